"""A control that is broken on purpose, and the tests that must notice it."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Mutation:
    """`control`: what the code makes sure of. `old` is in `file` exactly once and becomes `new`. `tests`: node ids, of
    which at least one fails then; the quickest first."""

    id: str
    control: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    def problem(self) -> str:
        """Returns why this mutation cannot be made any more; empty when it can."""
        found = (ROOT / self.file).read_text().count(self.old) if (ROOT / self.file).is_file() else 0
        if found != 1:
            return f"{self.file} has the old text {found} times, not once"
        if self.old == self.new:
            return "the new text is the old one"
        for test in self.tests:
            if not _is_there(test):
                return f"there is no test {test}"
        return "" if self.tests else "no test is named"


def _is_there(test: str) -> bool:
    """Returns whether there is such a test; the class of a contract has its tests from a file beside it."""
    file, *_, name = test.split("::")
    path = ROOT / file
    of_class = test.count("::") > 1
    texts = (each.read_text() for each in (path.parent.glob("*.py") if of_class else [path]) if path.is_file())
    return any(f"def {name.partition('[')[0]}(" in text for text in texts)


def table() -> list[Mutation]:
    """Returns the mutations of all files beside this one, in the order of their names."""
    files = sorted(Path(__file__).parent.glob("*.toml"))
    rows = [row for file in files for row in tomllib.loads(file.read_text())["mutation"]]
    return [Mutation(**{**row, "tests": tuple(row["tests"])}) for row in rows]
