"""Leaves out what a suite asks of every subject and this one does not have. What is still skipped is missing on the
machine."""

from typing import Any

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items[:] = [item for item in items if not _left_out(item)]


def _left_out(item: pytest.Item) -> bool:
    suite: Any = getattr(item, "cls", None)
    needed = [mark.args[0] for mark in item.iter_markers("needs")]
    faults = [mark.args[0] for mark in item.iter_markers("fault")]
    return (
        item.get_closest_marker("no_case") is not None
        or any(call not in suite.calls for call in needed)
        or any(fault in suite.impossible for fault in faults)
    )
