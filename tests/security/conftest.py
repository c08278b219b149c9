"""Prints at the end what the tests of the whole API asked, as counts."""

from collections.abc import Iterator
from typing import Any

import pytest
from _pytest.terminal import TerminalReporter

COUNTS = "counts"
MATRIX = "matrix"


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    for name, value in _told(terminalreporter, COUNTS):
        terminalreporter.write_line(f"{name}: {value}")
    parts = [part for _, part in _told(terminalreporter, MATRIX)]
    if parts:
        terminalreporter.write_line(matrix_line(parts))


def _told(terminalreporter: TerminalReporter, kind: str) -> Iterator[tuple[str, Any]]:
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, []):
            for name, value in getattr(report, "user_properties", ()):
                if name == kind and isinstance(report, pytest.TestReport):
                    yield report.location[2], value


def matrix_line(parts: list[dict[str, Any]]) -> str:
    """What was tried in all parts of the matrix of access, in one line. A route that names nothing has one kind of
    address."""
    people, tries, allowed, wrong = (
        sum(each[name] for each in parts) for name in ("people", "tries", "allowed", "wrong")
    )
    routes, kinds = (max(part[name] for part in parts) for name in ("routes", "kinds"))
    return (
        f"access matrix: {routes} routes × {people} persons and keys × up to {kinds} kinds of ids = {tries} tries, "
        f"{allowed} allowed, {tries - allowed} refused, {wrong} wrong"
    )
