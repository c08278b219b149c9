"""A trader disputes a breach; a person upholds it or reinstates the account."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from domain.money import half_up
from domain.states import StateMachine

_ROOM_PCT: Final = Decimal(
    1
)  # percent of the initial balance: the room of a reinstated account above its highest floor

DISPUTE: Final = StateMachine(
    noun="dispute",
    initial="opened",
    table={
        ("opened", "evidence_assembled"): "awaiting_decision",
        ("awaiting_decision", "breach_upheld"): "upheld",
        ("awaiting_decision", "reinstatement_granted"): "reinstating",
        ("reinstating", "account_reinstated"): "reinstated",
    },
    transient=frozenset({"opened", "reinstating"}),
)

CASE: Final = StateMachine(
    noun="case",
    initial="open",
    table={("open", "suspicion_cleared"): "cleared", ("open", "abuse_confirmed"): "confirmed"},
    transient=frozenset(),
)


def window_end(occurred_at: datetime, dispute_days: int) -> datetime:
    """Returns the end (market time) of the time in which a breach can be disputed."""
    return occurred_at + timedelta(days=dispute_days)


def breach_is_final(now: datetime, until: datetime, dispute_state: str | None) -> bool:
    """Whether a breach ends the challenge: its dispute was upheld, or the window closed without a dispute."""
    return now >= until if dispute_state is None else dispute_state == "upheld"


def goodwill_minor(equity_minor: int, floors_minor: Iterable[int], initial_minor: int) -> int:
    """Returns the credit at a reinstatement, so that equity is at least 1 % of the initial balance above the highest
    floor.

    Without it, a real loss would breach the account again at the next tick. The money of the account is simulated,
    so the firm's books have no entry for it.
    """
    room = half_up(Decimal(initial_minor) * _ROOM_PCT / 100)
    return max(0, max(floors_minor, default=0) + room - equity_minor)
