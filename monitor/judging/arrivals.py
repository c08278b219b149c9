"""Accounts that came from another platform: the resets between its market time and ours, and the names of their trades.

An account leaves without open positions and may not trade before it is here, so its money at those resets is known.
"""

from collections.abc import Iterator
from typing import TypeVar

from domain.places import on_record
from monitor.columns.reset_clock import Group, Reset
from monitor.columns.roster import AccountRow
from monitor.judging.rollover import Rollover
from monitor.state import ShardState
from ports.platform import Deal, PendingOrder, StopsChanged

E = TypeVar("E", Deal, StopsChanged, PendingOrder)


class Arrivals:
    def __init__(self, state: ShardState, rollover: Rollover) -> None:
        self._state, self._rollover = state, rollover

    def join(self, seq: int) -> None:
        """Makes up for missed resets, once market time here is later than that of the departure. Called when the
        resets up to market time are done, before event `seq` is applied."""
        state = self._state
        for row in sorted(state.arriving):
            account = state.accounts[row]
            place = account.place
            if place is None or state.now <= place.since or account.contains(seq):
                continue
            state.arriving.discard(row)
            account.place = place.model_copy(update={"arrived": True})
            account.mark_changed()
            for reset in sorted(self._missed(account), key=lambda reset: (reset.at, reset.group.index)):
                if account.judged:
                    self._rollover.make_up(account, reset, seq)

    def _missed(self, account: AccountRow) -> Iterator[Reset]:
        """Yields the resets of an account's clocks after its departure that were done here without it."""
        state, place = self._state, account.place
        assert place is not None
        columns, row = state.columns, account.row
        for index in {int(columns.group[row]), int(columns.loss_group[row])}:
            group = state.clock.groups[index]
            clock, day, at = group.clock, group.clock.trading_day(place.since), group.clock.next_reset(place.since)
            while at < group.next_reset:
                begun = Group(index, clock, clock.trading_day(at), clock.next_reset(at))
                yield Reset(begun, at, day)
                day, at = begun.day, begun.next_reset


def named(account: AccountRow, event: E) -> E:
    """Returns the event with the names that its ids have on the account's record."""
    if account.place is None:
        return event
    place = account.place_number
    fields = [name for name in ("deal_id", "position_id", "order_id") if name in type(event).model_fields]
    return event.model_copy(update={name: on_record(place, getattr(event, name)) for name in fields})
