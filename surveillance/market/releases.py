"""Economic releases of a symbol's currencies, and the stop orders that wait for them on both sides of the price."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from surveillance.book import (
    MINUTE,
    NEVER,
    ORDER_STATES,
    ORDER_TYPES,
    SECOND,
    UNKNOWN,
    Accounts,
    Book,
    Events,
    Ints,
    Orders,
)

_STOPS: Final = [ORDER_TYPES.index(name) for name in ("stop", "stop_limit")]
_FILLED: Final = ORDER_STATES.index("filled")
_GIVEN_UP: Final = [ORDER_STATES.index(name) for name in ("cancelled", "expired")]
_EARLY: Final = 10 * SECOND  # by which the calendar or the venue's clock may be wrong
_TOGETHER: Final = MINUTE  # between the two orders of a pair


@dataclass(frozen=True)
class Straddle:
    """Orders (rows of the book's orders) on both sides before a release. `waited`: from the first order to the release;
    `filled_after`: from the release to the fill; `ended_after`: from the fill to the end of the other side, None while
    it is open; microseconds. `whipsaw`: both sides were filled."""

    symbol: int
    release: int
    bought: int
    sold: int
    filled: int
    waited: int
    filled_after: int
    ended_after: int | None
    whipsaw: bool


def releases_of_symbols(book: Book, least_impact: int) -> dict[int, Ints]:
    """Returns the times of the releases that move each symbol: of its base and quote currencies, each time once."""
    events = book.events
    if events is None:
        return {}
    found = {}
    strong = events.impact >= least_impact
    for row in range(len(book.symbols)):
        currencies = {str(book.symbols.base[row]), str(book.symbols.quote[row])} - {""}
        concerned = strong & np.isin(events.currency.astype(str), [*currencies, "ALL", "All"])
        found[row] = np.unique(events.at[concerned])
    return found


def title_at(events: Events, at: int, least_impact: int) -> str:
    """Returns what was released then, such as `USD Nonfarm Payrolls`."""
    rows = np.flatnonzero((events.at == at) & (events.impact >= least_impact))
    return ", ".join(f"{events.currency[row]} {events.title[row]}" for row in rows)


def traders(accounts: Accounts) -> Ints:
    """Returns a number for who trades each account: its owner, or the account itself where no owner is told."""
    named = np.array([bool(name) for name in accounts.owners], dtype=bool)[accounts.owner]
    return np.where(named, accounts.owner, len(accounts.owners) + np.arange(len(accounts))).astype(np.int64)


def stop_orders(orders: Orders) -> Ints:
    return np.flatnonzero(np.isin(orders.type, _STOPS)).astype(np.int64)


def straddles(
    orders: Orders,
    rows: Ints,
    trader: Ints,
    releases: dict[int, Ints],
    window: int,
    filled_within: int,
    ended_within: int,
) -> dict[int, list[Straddle]]:
    """Returns the straddles by trader. `rows`: stop orders. Placed no more than `window` before the release, the first
    side filled no more than `filled_within` after it, the other one given up no more than `ended_within` after that."""
    release = np.full(len(rows), NEVER, dtype=np.int64)
    for symbol in np.unique(orders.symbol[rows]).tolist():
        times = np.append(releases.get(symbol, np.empty(0, dtype=np.int64)), NEVER)
        of = orders.symbol[rows] == symbol
        release[of] = times[np.searchsorted(times, orders.placed[rows[of]])]
    waits = release != NEVER
    waits[waits] = release[waits] - orders.placed[rows[waits]] <= window
    waits &= orders.done[rows] >= np.where(waits, release, 0) - _EARLY
    rows, release = rows[waits], release[waits]
    keys = np.stack([trader[orders.account[rows]], orders.symbol[rows], release], axis=1)
    groups, which = np.unique(keys, axis=0, return_inverse=True) if len(keys) else (keys, np.empty(0, np.int64))
    which = which.reshape(-1)
    sides = [np.bincount(which, orders.side[rows] == side, minlength=len(groups)) > 0 for side in (1, -1)]
    found: dict[int, list[Straddle]] = {}
    for group in np.flatnonzero(sides[0] & sides[1]).tolist():
        who, symbol, at = (int(each) for each in groups[group])
        straddle = _judge(orders, rows[which == group], symbol, at, filled_within, ended_within)
        if straddle is not None:
            found.setdefault(who, []).append(straddle)
    return found


def _judge(
    orders: Orders, legs: Ints, symbol: int, release: int, filled_within: int, ended_within: int
) -> Straddle | None:
    filled = legs[orders.state[legs] == _FILLED]
    if len(filled) == 0:
        return None
    first = int(filled[np.argmin(orders.done[filled])])
    after = int(orders.done[first]) - release
    other = legs[orders.side[legs] != orders.side[first]]
    ended = orders.done[other] - orders.done[first]
    both = orders.state[other] == _FILLED
    given_up = np.isin(orders.state[other], _GIVEN_UP)
    soon = both | (given_up & ((ended <= ended_within) | (orders.done[other] == NEVER)))
    if after > filled_within or not soon.any():
        return None
    second = int(other[soon][np.argmin(ended[soon])])
    done = int(orders.done[second])
    pair = (first, second) if orders.side[first] > 0 else (second, first)
    return Straddle(
        symbol=symbol,
        release=release,
        bought=pair[0],
        sold=pair[1],
        filled=first,
        waited=release - int(min(orders.placed[first], orders.placed[second])),
        filled_after=after,
        ended_after=None if done == NEVER else done - int(orders.done[first]),
        whipsaw=orders.state[second] == _FILLED,
    )


def pairs_of_stops(orders: Orders, rows: Ints) -> int:
    """Returns how many times one trader's stop orders (rows) were placed on both sides of a symbol within a minute."""
    count = 0
    for symbol in np.unique(orders.symbol[rows]).tolist():
        of = rows[orders.symbol[rows] == symbol]
        bought, sold = (np.sort(orders.placed[of[orders.side[of] == side]]) for side in (1, -1))
        near = np.searchsorted(sold, bought + _TOGETHER, side="right") - np.searchsorted(sold, bought - _TOGETHER)
        count += int((near > 0).sum())
    return count


def trades_of_order(book: Book, order: int) -> Ints:
    """Returns the rows of the trades that an order opened: of its position, or opened as it was filled."""
    orders, trades = book.orders, book.trades
    assert orders is not None
    if orders.position[order] != UNKNOWN:
        return np.flatnonzero(trades.position == orders.position[order]).astype(np.int64)
    first, last = np.searchsorted(trades.opened, [orders.done[order] - SECOND, orders.done[order] + SECOND + 1])
    rows = np.arange(first, last)
    same = (trades.account[rows] == orders.account[order]) & (trades.symbol[rows] == orders.symbol[order])
    return np.asarray(rows[same & (trades.side[rows] == orders.side[order])], dtype=np.int64)
