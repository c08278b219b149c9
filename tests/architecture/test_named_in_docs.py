"""Every module, folder and file that a document names in backticks exists."""

import importlib.util
import re
from pathlib import Path
from typing import Final

import pytest

from tests.architecture.source import MODULES, PACKAGES, ROOT

DOCUMENTS: Final = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
ROOMS: Final = {*PACKAGES, *MODULES, "tests", "docs"}
_TICKED: Final = re.compile(r"`([^`\n]+)`")
_FENCE: Final = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
# what a page tells its reader to write, and the test that follows the page writes
WRITTEN_BY_READER: Final = {
    "docs/adding-a-rule.md": {"domain/rules/conduct/max_positions.py", "tests/unit/test_max_positions.py"},
    "docs/adding-a-detector.md": {
        "surveillance/patterns/size_jump.py",
        "tests/unit/test_size_jump.py",
    },
    "docs/production.md": {"adapters.env"},
}


def named(text: str) -> set[str]:
    """The paths and modules of ours in backticks: `store/ledger.py`, `domain/rules/`, `domain.rules.events`."""
    words = (word for found in _TICKED.findall(_FENCE.sub("", text)) for word in found.split())
    return {word for word in words if re.fullmatch(r"\w+([./][\w-]+)*[./]?\w*/?", word) and _is_of_a_room(word)}


def _is_of_a_room(word: str) -> bool:
    room = re.split(r"[./]", word)[0]
    if word.endswith(".py") and "/" not in word:  # `products.py` in a column about a room is a file of that room
        return word.removesuffix(".py") in MODULES
    return room in ROOMS and ("/" in word or "." in word)


def _exists(name: str) -> bool:
    if "/" in name or name.endswith(".py"):
        return (ROOT / name).exists()
    parts = name.split(".")
    for length in range(len(parts), 0, -1):  # the last parts may be what the module holds
        path = ROOT.joinpath(*parts[:length])
        if path.with_suffix(".py").is_file() or (path / "__init__.py").is_file():
            return length == len(parts) or _holds(".".join(parts[:length]), parts[length])
    return False


def _holds(module: str, name: str) -> bool:
    spec = importlib.util.find_spec(module)
    source = Path(spec.origin).read_text() if spec and spec.origin else ""
    return re.search(rf"\b{re.escape(name)}\b", source) is not None


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_document_names_exists(path: Path) -> None:
    written = WRITTEN_BY_READER.get(str(path.relative_to(ROOT)), set())
    assert sorted(name for name in named(path.read_text()) - written if not _exists(name)) == []


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("store/ledger.py", True),
        ("store/", True),
        ("store/nowhere.py", False),
        ("domain.rules.events", True),
        ("domain.rules.nowhere", False),
        ("firm.payment_reviews.open_review", True),
        ("firm.payment_reviews.never_written", False),
    ],
)
def test_the_search_knows_what_exists(name: str, found: bool) -> None:
    assert named(f"See `{name}`.") == {name}
    assert _exists(name) is found
