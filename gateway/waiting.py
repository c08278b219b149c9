"""Facts that cannot be told yet: of accounts whose first snapshot has not come, fills that close what is not open,
stops of what is not open, and figures whose balance no fill or operation explains.

They are in memory only. While a fill or an operation waits, no cursor is stored, so that a restarted gateway is told it
again. Every connection begins with the stops and the figures of all accounts.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from ports.venue import Fact, Fill, State, Stops

_FOR_ONE: Final = 10_000  # facts of one account
_LONGEST: Final = timedelta(seconds=10)  # that figures wait for what explains them
_STOPS: Final = 10_000  # positions, the oldest are forgotten first


class Waiting:
    def __init__(self) -> None:
        self._unknown: defaultdict[int, list[Fact]] = defaultdict(list)
        self._early: defaultdict[int, list[Fill]] = defaultdict(list)
        self._stops: dict[tuple[int, str], Stops] = {}
        self._states: dict[int, tuple[datetime, State]] = {}  # since when an account's figures wait, and the newest

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

    def new_connection(self) -> None:
        """The venue tells stops and figures anew."""
        self._stops.clear()
        self._states.clear()

    def stops_for_opening(self, stops: Stops) -> None:
        self._stops[stops.login, stops.position_id] = stops
        if len(self._stops) > _STOPS:
            del self._stops[next(iter(self._stops))]

    def take_stops(self, login: int, position_id: str) -> Stops | None:
        return self._stops.pop((login, position_id), None)

    def for_money(self, state: State, at: datetime) -> None:
        since, _ = self._states.get(state.login, (at, state))
        self._states[state.login] = since, state

    def for_money_of(self, login: int) -> State | None:
        found = self._states.get(login)
        return None if found is None else found[1]

    def take_state(self, login: int) -> None:
        self._states.pop(login, None)

    def too_long(self, at: datetime) -> list[State]:
        """Returns the figures of accounts that have waited for as long as they may."""
        return [state for since, state in self._states.values() if at - since >= _LONGEST]
