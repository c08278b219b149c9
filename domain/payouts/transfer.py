"""An attempt to send a payout over a rail: its states, and what the rail's word for it changes.

declared     the rail may be asked to send it, or was asked and has not answered
sent         the rail has it; it may still be refused, cancelled or fail
paid         it has arrived, as far as the rail knows; it can still come back
refused      the rail refused it for good; no money left
undelivered  it did not arrive, and the money waits at the rail
returned     the money left and is back with the firm
cancelled    it was stopped at the rail; no money left
never_sent   it was given up, and the rail had nothing under its key
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal

from domain.money import Money

TransferState = Literal["declared", "sent", "paid", "refused", "undelivered", "returned", "cancelled", "never_sent"]
RailStatus = Literal["pending", "paid", "refused", "undelivered", "returned", "cancelled"]


@dataclass(frozen=True)
class RailWord:
    """What a rail says about a transfer. `moved`: what it took or gave back. `failure`: in its own words."""

    transfer_id: str
    status: RailStatus
    moved: Money
    failure: str = ""


MONEY_IS_OUT: Final = frozenset({"sent", "paid", "undelivered"})
OVER: Final = frozenset({"refused", "returned", "cancelled", "never_sent"})

_AFTER: Final[Mapping[str, frozenset[str]]] = {
    "declared": frozenset({"sent", "paid", "refused", "undelivered", "returned", "cancelled"}),
    "sent": frozenset({"paid", "refused", "undelivered", "returned", "cancelled"}),
    "paid": frozenset({"undelivered", "returned"}),
    "undelivered": frozenset({"paid", "returned"}),
    # the rail made it after all: a call that was under way, or a refusal that was none
    "refused": frozenset({"sent", "paid", "undelivered", "returned"}),
    "never_sent": frozenset({"sent", "paid", "undelivered", "returned"}),
}

MAX_FAILURES: Final = 30  # failed tries in a row after which people must act: about ten minutes
MAX_WAIT: Final = timedelta(minutes=30)  # and the longest time since the first of them


_OF_STATUS: Final[Mapping[RailStatus, TransferState]] = {
    "pending": "sent",
    "paid": "paid",
    "refused": "refused",
    "undelivered": "undelivered",
    "returned": "returned",
    "cancelled": "cancelled",
}


def news(state: str, status: RailStatus, *, accepted: bool) -> TransferState | None:
    """Returns the state that an attempt takes on when its rail says `status`; None when that says nothing new.

    `accepted`: the rail had accepted it before. Its refusal is final then, and so is its cancellation.
    """
    after = _OF_STATUS[status]
    if state == "refused" and accepted:
        return None
    return after if after in _AFTER.get(state, ()) else None


def is_stalled(failures: int, waited: timedelta) -> bool:
    """Returns whether a send that failed so often, and so long, is handed to people."""
    return failures >= MAX_FAILURES or (failures > 1 and waited >= MAX_WAIT)
