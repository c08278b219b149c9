"""What the documents speak of exists: tests, links, pictures, commands; and a decision is a page."""

import ast
import re
from functools import cache
from pathlib import Path
from typing import Final

import click
import pytest
import typer

from cli.main import app
from tests.architecture.source import ROOT, tree

GUARANTEES: Final = ROOT / "docs" / "guarantees.md"
DOCUMENTS: Final = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
DECISIONS: Final = sorted((ROOT / "docs" / "decisions").glob("*.md"))
PROMISES: Final = [f"P{number}" for number in range(1, 13)]
LONGEST_PAGE: Final = 60
_LINK: Final = re.compile(r"!?\[([^\]]*)\]\(([^)\s]+)[^)]*\)")
_FENCE: Final = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_COMMAND: Final = re.compile(r"(?:^|`|uv run )propos ([a-z]+(?:-[a-z]+)*)(?: ([a-z]+))?", re.MULTILINE)


def _named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _links(path: Path) -> list[tuple[str, str]]:
    """(text, target) of every link and picture outside code blocks."""
    return _LINK.findall(_FENCE.sub("", path.read_text()))


@cache
def _functions(path: Path) -> frozenset[str]:
    return frozenset(node.name for node in tree(path).body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def _anchors(path: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", _FENCE.sub("", path.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def test_every_test_that_guarantees_name_exists() -> None:
    named = [(text, target) for text, target in _links(GUARANTEES) if "::" in text]
    assert len(named) > 50
    wrong = []
    for text, target in named:
        file, name = text.split("::")
        path = (GUARANTEES.parent / target).resolve()
        if path != ROOT / file or not path.is_file() or not name.startswith("test_") or name not in _functions(path):
            wrong.append(f"{text} -> {target}")
    assert wrong == []


def test_nothing_that_looks_like_a_test_is_named_without_its_link() -> None:
    text = _LINK.sub("", GUARANTEES.read_text())
    assert re.findall(r"\S*test_\w+", text) == []


def _sections() -> dict[str, str]:
    """heading -> text of every part of the guarantees, without what stands before the first."""
    parts = GUARANTEES.read_text().split("\n## ")[1:]
    return {heading: text for heading, _, text in (part.partition("\n") for part in parts)}


def _rows(text: str) -> list[str]:
    """The rows of a table, without its head."""
    table = [line for line in text.splitlines() if line.startswith("|")]
    return table[2:]


def test_every_promise_is_there_and_says_how_it_is_kept() -> None:
    promises = {heading.split(".")[0]: text for heading, text in _sections().items() if heading != "Bad input"}
    assert list(promises) == PROMISES
    assert [name for name, text in promises.items() if "\nKept by: " not in text] == []
    assert [name for name, text in promises.items() if "Not yet " not in text and "Proven for " not in text] == []


@pytest.mark.parametrize("heading", [*PROMISES, "Bad input"])
def test_every_row_has_its_test(heading: str) -> None:
    text = next(text for name, text in _sections().items() if name.split(".")[0] == heading)
    assert len(_rows(text)) >= 5
    assert [row for row in _rows(text) if "::test_" not in row] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=_named)
def test_every_link_leads_somewhere(path: Path) -> None:
    wrong = []
    for _, target in _links(path):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        found = (path.parent / file).resolve() if file else path
        if not found.exists() or not found.is_relative_to(ROOT) or (anchor and anchor not in _anchors(found)):
            wrong.append(target)
    assert wrong == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=_named)
def test_every_command_exists(path: Path) -> None:
    commands = typer.main.get_group(app).commands
    wrong = []
    for name, second in _COMMAND.findall(path.read_text()):
        command = commands.get(name)
        if command is None or (second and isinstance(command, click.Group) and second not in command.commands):
            wrong.append(f"propos {name} {second}".strip())
    assert wrong == []


def test_the_search_for_commands_finds_them() -> None:
    text = "`propos up` then\nuv run propos proof check FILE\npropos nonsense\n"
    assert _COMMAND.findall(text) == [("up", ""), ("proof", "check"), ("nonsense", "")]


@pytest.mark.parametrize("path", DECISIONS, ids=_named)
def test_a_decision_is_a_page_with_its_reason(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert len(lines) <= LONGEST_PAGE
    assert re.match(rf"# {int(path.name[:4])}\. ", lines[0])
    assert "**Decision.**" in path.read_text()
    assert "**Why.**" in path.read_text()


def test_decisions_are_numbered_without_gaps() -> None:
    assert [int(path.name[:4]) for path in DECISIONS] == list(range(1, len(DECISIONS) + 1))
