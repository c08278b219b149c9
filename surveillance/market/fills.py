"""The fills of a book beside the reference quotes: what each was bought or sold for, and how much better or worse than
the reference quoted."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from surveillance.book import (
    NEVER,
    ORDER_STATES,
    ORDER_TYPES,
    REASONS,
    SECOND,
    UNKNOWN,
    Book,
    Codes,
    Columns,
    Flags,
    Floats,
    Indexes,
    Ints,
    Orders,
    Trades,
)
from surveillance.market.quotes import Reference, reference

_RESTING: Final = [ORDER_TYPES.index(name) for name in ("limit", "stop", "stop_limit")]
_SET_BY_ORDER: Final = [REASONS.index(name) for name in ("stop", "target", "stop_out")]
_FILLED: Final = ORDER_STATES.index("filled")
_NEAR: Final = SECOND  # between a fill and the end of the order that it belongs to, when nobody told the position
_BASIS_FILLS, _BASIS_ACCOUNTS = 30, 5  # fewer do not tell how far a venue's prices are from the reference


@dataclass(frozen=True)
class Fills(Columns):
    """One row per opening of a position and per closing part. `side`: +1 bought, -1 sold. `resting`: its price was set
    by an order that waited at the venue, so that the trader did not choose the moment. `trade`: a row of the trades."""

    trade: Ints
    account: Indexes
    symbol: Indexes
    side: Codes
    at: Ints
    price: Floats
    closing: Flags
    resting: Flags


def fills_of(book: Book) -> Fills:
    trades = book.trades
    opening = _first_of_each_opening(trades)
    closing = np.flatnonzero(trades.closed != NEVER)
    row = np.concatenate([opening, closing])
    is_closing = np.arange(len(row)) >= len(opening)
    resting = np.where(is_closing, _closed_by_order(book)[row], opened_by_resting_order(book)[row])
    return Fills(
        trade=row.astype(np.int64),
        account=trades.account[row],
        symbol=trades.symbol[row],
        side=np.where(is_closing, -trades.side[row], trades.side[row]).astype(np.int8),
        at=np.where(is_closing, trades.closed[row], trades.opened[row]),
        price=np.where(is_closing, trades.close_price[row], trades.open_price[row]),
        closing=is_closing,
        resting=resting,
    )


def references(book: Book) -> dict[int, Reference]:
    """Returns the reference quotes by the row of the symbol."""
    rows = {str(name): row for row, name in enumerate(book.symbols.name)}
    found = {rows[name]: reference(quotes) for name, quotes in book.quotes.items() if name in rows}
    return {row: each for row, each in found.items() if each is not None}


def edge(fills: Fills, at: Ints, quoted: Mapping[int, Reference], basis: Mapping[int, float]) -> Floats:
    """Returns by how many spreads each fill is better for the trader than the quote at `at`; worse is negative, NaN
    where there is no quote. `at`: the times of the fills by our own clock. `basis`: see `basis_of`."""
    found = np.full(len(fills), np.nan)
    for symbol, each in quoted.items():
        rows = np.flatnonzero(fills.symbol == symbol)
        if len(rows) == 0:
            continue
        bid, ask = each.as_of(at[rows])
        side = fills.side[rows]
        price = fills.price[rows] - basis.get(symbol, 0.0)
        found[rows] = side * (np.where(side > 0, ask, bid) - price) / np.maximum(ask - bid, each.spread)
    return found


def basis_of(fills: Fills, at: Ints, quoted: Mapping[int, Reference]) -> dict[int, float]:
    """Returns by how much the venue's prices of a symbol are above the reference's, such as a contract for difference
    beside its future: the median over all fills, where enough accounts traded it and it exceeds half a spread."""
    found = {}
    for symbol, each in quoted.items():
        rows = np.flatnonzero((fills.symbol == symbol) & ~fills.resting)
        bid, ask = each.as_of(at[rows])
        known = np.isfinite(bid)
        if known.sum() < _BASIS_FILLS or len(np.unique(fills.account[rows[known]])) < _BASIS_ACCOUNTS:
            continue
        side = fills.side[rows]
        apart = float(np.median((fills.price[rows] - np.where(side > 0, ask, bid))[known]))
        if abs(apart) > each.spread / 2:
            found[symbol] = apart
    return found


def opened_by_resting_order(book: Book) -> Flags:
    """Returns for each trade whether it was opened by a limit or stop order, as far as orders are known."""
    found = np.zeros(len(book.trades), dtype=bool)
    pending = (book.trades.closed == NEVER) & (book.trades.reason == REASONS.index("pending"))
    found |= pending  # of an open trade the reason is that of its opening
    if book.orders is None or len(book.orders) == 0 or len(found) == 0:
        return found
    orders = book.orders.rows(np.isin(book.orders.type, _RESTING) & (book.orders.state == _FILLED))
    found |= np.isin(book.trades.position, orders.position[orders.position != UNKNOWN])
    return found | _ended_when_opened(book.trades, orders.rows(orders.position == UNKNOWN))


def _ended_when_opened(trades: Trades, orders: Orders) -> Flags:
    """Returns for each trade whether an order of its account, symbol and side was filled as it was opened."""
    if len(orders) == 0:
        return np.zeros(len(trades), dtype=bool)
    start = min(int(trades.opened.min()), int(orders.done.min())) - SECOND
    span = (max(int(trades.opened.max()), int(orders.done[orders.done != NEVER].max(initial=start))) - start) // 1000
    count = int(max(trades.symbol.max(), orders.symbol.max())) + 1

    def code(account: Indexes, symbol: Indexes, side: Codes, at: Ints) -> Ints:
        market = (account.astype(np.int64) * count + symbol) * 2 + (side > 0)
        return np.asarray(market * (span + 10_000) + (at - start) // 1000, dtype=np.int64)

    orders = orders.rows(orders.done != NEVER)
    ended = np.sort(code(orders.account, orders.symbol, orders.side, orders.done))
    opened = code(trades.account, trades.symbol, trades.side, trades.opened)
    near = _NEAR // 1000
    return np.searchsorted(ended, opened + near, side="right") > np.searchsorted(ended, opened - near)


def _closed_by_order(book: Book) -> Flags:
    trades = book.trades
    point = np.nan_to_num(book.symbols.point[trades.symbol], nan=0.0) / 2 + 1e-12
    at_order = np.zeros(len(trades), dtype=bool)
    for level in (trades.stop, trades.target):
        at_order |= np.abs(trades.close_price - level) <= point  # false where there is no level
    return np.isin(trades.reason, _SET_BY_ORDER) | at_order


def _first_of_each_opening(trades: Trades) -> Ints:
    """A position that was closed in parts has one opening in several rows."""
    order = np.lexsort((np.arange(len(trades)), trades.open_price, trades.opened, trades.position))
    kept = np.ones(len(order), dtype=bool)
    position, opened, price = (each[order] for each in (trades.position, trades.opened, trades.open_price))
    kept[1:] = (position[1:] != position[:-1]) | (opened[1:] != opened[:-1]) | (price[1:] != price[:-1])
    return np.sort(order[kept]).astype(np.int64)
