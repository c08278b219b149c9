"""The order in which a run with several workers takes the modules of tests."""

from typing import Final

import pytest

_QUICK: Final = ("tests/unit/", "tests/architecture/")


def in_turns(items: list[pytest.Item], usual: float) -> list[pytest.Item]:
    """Modules with a test that may take longer than `usual` seconds begin early, the longest first, and apart from each
    other, since most start a whole firm. Quick modules are the last, so that no worker waits long for another."""
    modules: dict[str, list[pytest.Item]] = {}
    for item in items:
        modules.setdefault(item.nodeid.partition("::")[0], []).append(item)
    longest = {name: max(map(_seconds, tests)) for name, tests in modules.items()}
    long = sorted((name for name in modules if longest[name] > usual), key=lambda name: -longest[name])
    others = [name for name in modules if longest[name] <= usual]
    slow = [name for name in others if not name.startswith(_QUICK)]
    quick = [name for name in others if name.startswith(_QUICK)]
    return [item for name in [*_spread(long, slow), *quick] for item in modules[name]]


def _seconds(item: pytest.Item) -> float:
    mark = item.get_closest_marker("timeout")
    return float(mark.args[0]) if mark else 0


def _spread(long: list[str], others: list[str]) -> list[str]:
    """Returns all, with those of `long` at even distances among the first half of the others."""
    gap = len(others) // (2 * len(long) or 1)
    parts = [part for at, name in enumerate(long) for part in (name, *others[at * gap : (at + 1) * gap])]
    return [*parts, *others[len(long) * gap :]]
