"""Files, functions and folders stay short enough to be read in one go. What is longer is listed, and may not grow."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.architecture.source import MODULES, PACKAGES, ROOT, files, tree

LONGEST_FILE: Final = 400
LONGEST_WORKFLOW_FILE: Final = 299
LONGEST_FUNCTION: Final = 60
MOST_FILES: Final = 15
# the first schema is one listing of tables, and a migration is never edited
EXCEPTED: Final = "store/migrations/versions/0001_"

# file -> its lines
LONG_FILES: Final[dict[str, int]] = {}
# file::function -> its lines
LONG_FUNCTIONS: Final[dict[str, int]] = {}
# folder -> its modules
LARGE_FOLDERS: Final[dict[str, int]] = {}


def _sources() -> Iterator[tuple[str, Path]]:
    for path in files(*PACKAGES, *MODULES):
        name = str(path.relative_to(ROOT))
        if not name.startswith(EXCEPTED):
            yield name, path


def _lines(path: Path) -> int:
    return len(path.read_text().splitlines())


def _functions(node: ast.AST, inside: str) -> Iterator[tuple[str, int]]:
    """(dotted name, lines) of every function, decorators and inner functions included."""
    for child in ast.iter_child_nodes(node):
        name = inside
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            name = f"{inside}.{child.name}".lstrip(".")
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            first = min([child.lineno, *(decorator.lineno for decorator in child.decorator_list)])
            yield name, (child.end_lineno or first) - first + 1
        yield from _functions(child, name)


def test_files_are_short() -> None:
    long = {name: lines for name, path in _sources() if (lines := _lines(path)) > LONGEST_FILE}
    assert long == LONG_FILES, "split the file; take a listed one out once it is short"


def test_functions_are_short() -> None:
    long = {
        f"{name}::{function}": lines
        for name, path in _sources()
        for function, lines in _functions(tree(path), "")
        if lines > LONGEST_FUNCTION
    }
    assert long == LONG_FUNCTIONS, "split the function; take a listed one out once it is short"


def test_workflows_read_like_the_sentence_they_are() -> None:
    assert [path.name for path in files("workflows") if _lines(path) > LONGEST_WORKFLOW_FILE] == []


@pytest.mark.parametrize("root", ["monitor", "domain/rules"])
def test_folders_have_few_modules(root: str) -> None:
    folders = [ROOT / root, *(path for path in (ROOT / root).rglob("*") if path.is_dir())]
    counted = {
        str(folder.relative_to(ROOT)): sum(path.name != "__init__.py" for path in folder.glob("*.py"))
        for folder in folders
    }
    large = {folder: count for folder, count in counted.items() if count > MOST_FILES}
    assert large == {folder: count for folder, count in LARGE_FOLDERS.items() if folder.startswith(root)}


def test_the_measure_counts_decorators_and_inner_functions() -> None:
    code = ast.parse(
        "class A:\n    @property\n    def b(self):\n        def c():\n            pass\n        return c\n"
    )
    assert list(_functions(code, "")) == [("A.b", 5), ("A.b.c", 2)]
