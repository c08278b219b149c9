"""Positions and trade ideas: closing parts put together, and openings within seconds counted as one decision."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from surveillance.book import NEVER, Codes, Columns, Flags, Floats, Indexes, Ints, Trades


@dataclass(frozen=True)
class Positions(Columns):
    """One row per position or idea, sorted by (opened, first trade). `first`: the row in `Trades` of its first trade,
    `parts`: how many trades it has. `lots`: all of them. `profit_minor`: of what is closed. `closed`: of its last part;
    NEVER while a part is open."""

    first: Indexes
    parts: Indexes
    account: Indexes
    symbol: Indexes
    side: Codes
    lots: Floats
    opened: Ints
    closed: Ints
    open_price: Floats
    profit_minor: Ints

    @cached_property
    def is_closed(self) -> Flags:
        return np.not_equal(self.closed, NEVER)


def positions(trades: Trades) -> Positions:
    """Returns one row for each position, however many parts it was closed in."""
    return _put_together(trades, trades.position.astype(np.int64))


def ideas(trades: Trades, within: int, *, while_open: bool = False) -> tuple[Positions, Ints]:
    """Returns (ideas, the idea of each trade). An idea is what an account opened in one symbol and direction with no
    more than `within` microseconds from one opening to the next: split legs are one decision. `while_open`: what opens
    after the trade before it was closed is another idea, however soon it comes."""
    order = np.lexsort((trades.closed, trades.opened, trades.side, trades.symbol, trades.account))
    account, symbol, side = trades.account[order], trades.symbol[order], trades.side[order]
    opened = trades.opened[order]
    begins = np.ones(len(order), dtype=bool)
    begins[1:] = (
        (account[1:] != account[:-1])
        | (symbol[1:] != symbol[:-1])
        | (side[1:] != side[:-1])
        | (opened[1:] - opened[:-1] > within)
    )
    if while_open:
        begins[1:] |= (trades.closed[order][:-1] <= opened[1:]) & (opened[1:] > opened[:-1])
    key = np.empty(len(order), dtype=np.int64)
    key[order] = np.cumsum(begins) - 1
    return _put_together(trades, key), _rank_by_first(key)


def _rank_by_first(key: Ints) -> Ints:
    """Returns the keys numbered in the order in which they come first."""
    _, first, which = np.unique(key, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first, kind="stable")] = np.arange(len(first))
    return rank[which]


def _put_together(trades: Trades, key: Ints) -> Positions:
    """Trades are sorted by opening, so the first row of a key is its first trade."""
    which = _rank_by_first(key)
    count = int(which.max()) + 1 if len(which) else 0
    first = np.unique(which, return_index=True)[1]
    profit, closed = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64)
    np.add.at(profit, which, trades.profit_minor)
    np.maximum.at(closed, which, trades.closed)
    return Positions(
        first=first.astype(np.int32),
        parts=np.bincount(which, minlength=count).astype(np.int32),
        account=trades.account[first],
        symbol=trades.symbol[first],
        side=trades.side[first],
        lots=np.bincount(which, weights=trades.lots, minlength=count).astype(np.float64),
        opened=trades.opened[first],
        closed=closed,
        open_price=trades.open_price[first],
        profit_minor=profit,
    )
