"""Streaks: what an account opened one after the other, and whether the one before had lost or won by then."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from surveillance.book import Book, Columns, Flags, Floats, Ints
from surveillance.measures.groups import Groups
from surveillance.measures.worth import risk_to_stop, usual_result, worth_of_move
from surveillance.positions import Positions, ideas

_RISES: Final = 1.2  # what risks as much as before to its stop is not larger, however many lots it has


@dataclass(frozen=True)
class Streaks(Columns):
    """One row per idea, in the order of (sequence, opening). `idea`: its row among the ideas. `before`: -1 when the
    idea before it in the sequence had lost when this one opened (closed at a loss, or open and under water), +1 when it
    had won, 0 when it is the first, too long ago or not known. `losses`: how many losses in a row came before it.
    `size`: comparable lots. `risk`: to the stop, in minor units; NaN when not told."""

    idea: Ints
    account: Ints
    sequence: Ints
    before: Ints
    losses: Ints
    size: Floats
    risk: Floats

    def larger(self, which: Ints, than: Ints, ratio: float) -> Flags:
        """Whether the ideas of rows `which` are `ratio` times those of rows `than`, in size and, if told, in risk."""
        return is_larger(self.size[which], self.size[than], self.risk[which], self.risk[than], ratio)


@dataclass(frozen=True)
class Entries:
    """The ideas of a book and what their streaks are made of."""

    book: Book
    ideas: Positions
    trades_of: Groups
    risk: Floats
    unit: Floats


def entries(book: Book, within: int) -> Entries:
    found, of_trade = ideas(book.trades, within, while_open=True)
    risk = np.bincount(of_trade, weights=risk_to_stop(book, worth_of_move(book)), minlength=len(found))
    return Entries(book, found, Groups(of_trade, len(found)), risk.astype(np.float64), usual_result(book)[found.first])


def is_larger(size: Floats, base: Floats, risk: Floats, base_risk: Floats, ratio: float) -> Flags:
    with np.errstate(invalid="ignore"):
        risks = ~np.isfinite(risk) | ~np.isfinite(base_risk) | (risk >= min(ratio, _RISES) * base_risk)
    return np.asarray((size >= ratio * base * (1 - 1e-9)) & risks)


def streaks(told: Entries, *, by_symbol: bool, in_lots: bool, within: int) -> Streaks:
    """Returns the streaks of each account, in each symbol or over all. `in_lots`: sizes are lots; else lots times the
    usual result of a lot. `within`: the longest time, in microseconds, from the end of one idea to the next."""
    found = told.ideas
    account, symbol = found.account.astype(np.int64), found.symbol.astype(np.int64)
    sequence = account * (int(symbol.max(initial=0)) + 1) + symbol if by_symbol else account
    order = np.lexsort((found.opened, sequence))
    before = np.zeros(len(order), dtype=np.int64)
    if len(order) > 1:
        before[1:] = _outcome(found, order[:-1], order[1:], within)
        before[1:][sequence[order][1:] != sequence[order][:-1]] = 0
    place = np.arange(len(order))
    broken = np.maximum.accumulate(np.where(before != -1, place, 0)) if len(order) else place
    size = found.lots if in_lots else found.lots * told.unit
    return Streaks(
        order.astype(np.int64), account[order], sequence[order], before, place - broken, size[order], told.risk[order]
    )


def _outcome(found: Positions, earlier: Ints, later: Ints, within: int) -> Ints:
    """Returns -1, +1 or 0 for how the earlier ideas stood when the later ones opened."""
    closed = found.closed[earlier] <= found.opened[later]
    result = np.sign(found.profit_minor[earlier])
    move = found.side[earlier] * (found.open_price[later] - found.open_price[earlier])
    same = found.symbol[earlier] == found.symbol[later]
    stands = np.where(closed, result, np.where(same, np.sign(move), 0)).astype(np.int64)
    since = np.where(closed, found.closed[earlier], found.opened[earlier])
    return np.where(found.opened[later] - since <= within, stands, 0)
