"""Trading days from the events of an account: closed results, floating results, and money from reset to reset.

A pure reducer: `begin` returns a new book; `step` takes one event and returns the days that it ended. Only a reset
ends a day.
"""

from dataclasses import replace
from datetime import date
from typing import Final, Literal

from domain.rules.base import State
from domain.rules.events import Closed, DayEnded, Event, Moment, Opened, PaidOut, Rolled

DayBasis = Literal[
    "closed_pnl",
    "closed_pnl_plus_negative_floating",
    "closing_balance_minus_opening_balance",
    "equity_snapshot_to_snapshot",
]
BASIS_WORDS: Final[dict[DayBasis, str]] = {
    "closed_pnl": "the profit and loss closed on that day",
    "closed_pnl_plus_negative_floating": "the profit and loss closed on that day, minus the open losses at its end",
    "closing_balance_minus_opening_balance": "the balance at the end of the day minus the balance at its start",
    "equity_snapshot_to_snapshot": "the equity at the end of the day minus the equity at its start",
}


class DayBook(State):
    """The running day. `opening_*`: the figures at its start, minus later payouts, because a payout is not a loss.
    None: unknown, either before the first reset of a history that starts midway, or because prices are missing.
    `traded`: a position was opened, enlarged or closed."""

    opening_balance_minor: int | None = None
    opening_equity_minor: int | None = None
    closed_minor: int = 0
    positions_opened: int = 0
    traded: bool = False


def begin(initial_minor: int | None) -> DayBook:
    """Returns the first day of an account that starts with `initial_minor`; None: the history starts midway."""
    return DayBook(opening_balance_minor=initial_minor, opening_equity_minor=initial_minor)


def step(book: DayBook, event: Event) -> tuple[DayBook, tuple[DayEnded, ...]]:
    """Returns the book after `event`, and the day that it ended, if any. Returns `book` itself when it did not
    change."""
    if isinstance(event, Closed):
        return book.model_copy(update={"closed_minor": book.closed_minor + event.pnl_minor, "traded": True}), ()
    if isinstance(event, Opened):
        if event.adds:
            return (book if book.traded else book.model_copy(update={"traded": True})), ()
        return book.model_copy(update={"positions_opened": book.positions_opened + 1, "traded": True}), ()
    if isinstance(event, PaidOut):
        return _without(book, _amount_out(event)), ()
    if isinstance(event, Rolled) and ends_day(event):
        following = DayBook(opening_balance_minor=event.balance_minor, opening_equity_minor=event.equity_minor)
        return following, (() if _is_unknown(book) else (running(book, event, event.day),))
    return book, ()


def ends_day(event: Event) -> bool:
    """Whether `event` is the reset of the trading day."""
    return isinstance(event, Rolled) and event.purpose != "loss_snapshot"


def on(ended: DayEnded, day: date) -> DayEnded:
    """Returns the result with its date."""
    return replace(ended, day=day)


def running(book: DayBook, now: Moment, day: date | None = None) -> DayEnded:
    """Returns the running day as if it ended at `now`."""
    return DayEnded(
        seq=now.seq,
        at=now.at,
        balance_minor=now.balance_minor,
        equity_minor=now.equity_minor,
        day=day,
        closed_minor=book.closed_minor,
        floating_minor=None if now.equity_minor is None else now.equity_minor - now.balance_minor,
        opening_balance_minor=book.opening_balance_minor,
        opening_equity_minor=book.opening_equity_minor,
        positions_opened=book.positions_opened,
        traded=book.traded,
    )


def has_results(book: DayBook, now: Moment) -> bool:
    """Whether the running day has a profit or a loss so far."""
    moved = book.opening_equity_minor is not None and now.equity_minor not in (None, book.opening_equity_minor)
    return moved or book.closed_minor != 0


def day_profit(day: DayEnded, basis: DayBasis) -> int | None:
    """Returns the result of `day` by `basis`, in minor units; None when a figure it needs is unknown."""
    if basis == "closed_pnl":
        return day.closed_minor
    if basis == "closed_pnl_plus_negative_floating":
        return None if day.floating_minor is None else day.closed_minor + min(0, day.floating_minor)
    if basis == "closing_balance_minus_opening_balance":
        return None if day.opening_balance_minor is None else day.balance_minor - day.opening_balance_minor
    if day.opening_equity_minor is None or day.equity_minor is None:
        return None
    return day.equity_minor - day.opening_equity_minor


def is_paid(event: Event) -> bool:
    """Whether `event` is a payout that was settled."""
    return isinstance(event, PaidOut) and event.stage == "settled"


def _is_unknown(book: DayBook) -> bool:
    """Whether nothing is known about the day: a history that starts with a reset contains nothing of the day before
    it."""
    return book.opening_balance_minor is None and not book.closed_minor and not book.positions_opened


def _amount_out(event: PaidOut) -> int:
    """Returns the money that left the account at this stage of a payout (negative: it came back)."""
    if event.stage == "held":
        return event.gross_minor
    if event.stage == "released":
        return -event.gross_minor
    return event.gross_minor if event.leaves else 0


def _without(book: DayBook, out_minor: int) -> DayBook:
    if not out_minor:
        return book
    balance, equity = book.opening_balance_minor, book.opening_equity_minor
    return book.model_copy(
        update={
            "opening_balance_minor": None if balance is None else balance - out_minor,
            "opening_equity_minor": None if equity is None else equity - out_minor,
        }
    )
