"""Facts that cannot be told yet: of accounts whose first snapshot has not come, and fills that close what is not open.

They are in memory only. While there are any, no cursor is stored, so that a restarted gateway is told them again.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from ports.venue import Fact, Fill

_FOR_ONE: Final = 10_000  # facts of one account


class Waiting:
    def __init__(self) -> None:
        self._unknown: defaultdict[int, list[Fact]] = defaultdict(list)
        self._early: defaultdict[int, list[Fill]] = defaultdict(list)

    def __bool__(self) -> bool:
        return bool(self._early or self._unknown)

    @property
    def unknown(self) -> frozenset[int]:
        """The accounts that wait for their first snapshot."""
        return frozenset(self._unknown)

    def for_snapshot(self, login: int, fact: Fact) -> None:
        if len(self._unknown[login]) < _FOR_ONE:
            self._unknown[login].append(fact)

    def of_unknown(self, login: int) -> Sequence[Fact]:
        return self._unknown.get(login, ())

    def take_unknown(self, login: int) -> list[Fact]:
        return self._unknown.pop(login, [])

    def for_opening(self, fill: Fill) -> bool:
        """Returns whether the fill has waited before."""
        waiting = self._early[fill.login]
        if any(each.fill_id == fill.fill_id for each in waiting):
            return True
        if len(waiting) < _FOR_ONE:
            waiting.append(fill)
        return False

    def take_early(self, login: int) -> list[Fill]:
        return self._early.pop(login, [])
