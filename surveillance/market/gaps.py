"""Ideas held over a close or halt of their market: opened shortly before it, closed shortly after it reopened."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from surveillance.book import DAY, HOUR, MINUTE, NEVER, REASONS, UNKNOWN, Book, Columns, Flags, Floats, Ints
from surveillance.market.quotes import Reference
from surveillance.market.sessions import Closings, asset_of, closings
from surveillance.positions import Positions, ideas

_SPLIT: Final = MINUTE  # openings no further apart are one idea
_STOPPED: Final = [REASONS.index(name) for name in ("stop", "stop_out")]
_NEAR: Final = 15 * MINUTE  # of a close, for the quotes before and after a gap
_EARLY: Final = HOUR  # by which a venue may close later and reopen earlier than its class usually does
_HOLE: Final = 30 * MINUTE
_MIDNIGHT: Final = 15 * MINUTE
_MOST: Final = 0.5  # of an idea's lots: closed in the window, the idea is

_DAY_MOVES: Final = {"forex": 0.005, "metal": 0.01, "index": 0.01, "energy": 0.02, "crypto": 0.03}  # of the price


@dataclass(frozen=True)
class Crossings(Columns):
    """One row per idea. `lead`: how long before the close it was opened, negative while the market was closed; `lag`:
    how long after the reopening most of it was closed; both microseconds, NEVER for what is no crossing. `closes`,
    `reopens`: the times of the gap. `held`: how long it was open in the time that the market was. `per_opening`: the
    closings per microsecond of the market's open time, 0 where the class never closes or is not known."""

    lead: Ints
    lag: Ints
    closes: Ints
    reopens: Ints
    held: Ints
    per_opening: Floats


@dataclass(frozen=True)
class Held:
    """The ideas of a book and their crossings, row by row. `idea_of`: the idea of each trade. `unknown`: symbols of
    which nobody told when their market closes."""

    ideas: Positions
    idea_of: Ints
    crossings: Crossings
    unknown: tuple[str, ...]


def held_over_gaps(book: Book, quoted: Mapping[int, Reference]) -> Held:
    """`quoted`: by the row of the symbol; its holes tell closes that the class of the symbol does not."""
    found, idea_of = ideas(book.trades, _SPLIT)
    count = len(found)
    never = np.full(count, NEVER, dtype=np.int64)
    crossings = Crossings(
        never, never.copy(), never.copy(), never.copy(), np.zeros(count, np.int64), np.zeros(count, np.float64)
    )
    unknown = []
    for symbol in np.unique(found.symbol).tolist():
        rows = np.flatnonzero(found.symbol == symbol)
        since, until = int(found.opened[rows].min()), int(found.opened[rows].max())
        last = found.closed[rows][found.is_closed[rows]].max(initial=until)
        gaps = closings(asset_of(book.symbols, symbol), since, int(last))
        if gaps is None:
            unknown.append(str(book.symbols.name[symbol]))
        elif len(gaps.closes):
            _fill_in(book, found, idea_of, rows, with_holes(gaps, quoted.get(symbol)), crossings)
    return Held(found, idea_of, crossings, tuple(unknown))


def with_holes(gaps: Closings, quoted: Reference | None) -> Closings:
    """Returns the closings with those that only the quotes tell: holes of half an hour to three days, put together with
    the closings that they touch. A hole that begins or ends at midnight is a day that was not recorded."""
    if quoted is None:
        return gaps
    at = quoted.quotes.at
    ends = np.flatnonzero((np.diff(at) >= _HOLE) & (np.diff(at) <= 3 * DAY))
    ends = ends[_far_from_midnight(at[ends]) & _far_from_midnight(at[ends + 1])]
    ends = ends[(at[ends] > gaps.closes[0]) & (at[ends + 1] < gaps.reopens[-1])]
    closes, reopens = np.append(gaps.closes, at[ends]), np.append(gaps.reopens, at[ends + 1])
    order = np.argsort(closes, kind="stable")
    closes, reopens = closes[order], np.maximum.accumulate(reopens[order])
    begins = np.append(True, closes[1:] > reopens[:-1])
    closes, reopens = closes[begins], reopens[np.append(begins[1:], True)]
    return Closings(closes, reopens, reopens - closes > DAY)


def _far_from_midnight(at: Ints) -> Flags:
    return np.asarray(np.minimum(at % DAY, -at % DAY) > _MIDNIGHT)


def _fill_in(book: Book, found: Positions, idea_of: Ints, rows: Ints, gaps: Closings, crossings: Crossings) -> None:
    opened = found.opened[rows]
    place = gaps.next_close(opened)
    closes, reopens = gaps.closes[place], gaps.reopens[place]
    crossings.closes[rows], crossings.reopens[rows] = closes, reopens
    done = np.where(found.is_closed[rows], found.closed[rows], opened)
    crossings.held[rows] = done - opened - gaps.closed_time(opened, done)
    whole = gaps.closes[-1] - gaps.reopens[0]
    crossings.per_opening[rows] = (len(gaps.closes) - 1) / (whole - (gaps.reopens - gaps.closes)[1:-1].sum())
    # A venue's weekend may be an hour off; who opened after our close must have held on until our reopening.
    earliest = reopens - np.where((opened < closes) & gaps.weekend[place], _EARLY, 0)
    late = opened > closes + _EARLY
    from_idea = np.full(len(found), -1, dtype=np.int64)
    from_idea[rows] = np.arange(len(rows))
    of = from_idea[idea_of]
    trades = np.flatnonzero(of >= 0)
    of = of[trades]
    closed = book.trades.closed[trades]
    after = (closed != NEVER) & (closed >= earliest[of]) & ~late[of]
    lost = np.isin(book.trades.reason[trades], _STOPPED) & (book.trades.profit_minor[trades] < 0)
    counted = after & ~lost  # a stop that the gap hit was not closed by the trader
    lag = _time_of_most(of[counted], closed[counted], book.trades.lots[trades[counted]], found.lots[rows])
    crossed = lag != NEVER
    crossings.lag[rows] = np.where(crossed, lag - reopens, NEVER)
    crossings.lead[rows] = np.where(crossed, closes - opened, NEVER)


def _time_of_most(of: Ints, closed: Ints, lots: Floats, whole: Floats) -> Ints:
    """Returns when half of the lots of each idea was closed by these parts, NEVER if it was not."""
    found = np.full(len(whole), NEVER, dtype=np.int64)
    order = np.lexsort((closed, of))
    of, closed, lots = of[order], closed[order], lots[order]
    if len(of) == 0:
        return found
    starts = np.flatnonzero(np.diff(of, prepend=-1))
    sums = np.cumsum(lots)
    before = np.repeat(sums[starts] - lots[starts], np.diff(np.append(starts, len(of))))
    most = sums - before >= _MOST * whole[of] - 1e-9
    np.minimum.at(found, of[most], closed[most])
    return found


def gap_percent(quoted: Reference | None, closes: int, reopens: int) -> float:
    """Returns by how many percent the price moved over the gap; NaN where no quotes are near its two ends."""
    if quoted is None:
        return float("nan")
    at = quoted.quotes.at
    before = int(np.searchsorted(at, closes)) - 1
    after = int(np.searchsorted(at, reopens))
    if before < 0 or after >= len(at) or closes - at[before] > _NEAR or at[after] - reopens > _NEAR:
        return gap_percent(quoted.coarser, closes, reopens)
    ends = [before, after]
    mids = (quoted.quotes.bid[ends] + quoted.quotes.ask[ends]) / 2
    return float(100 * (mids[1] / mids[0] - 1))


def by_chance(held: Ints, per_opening: Floats, lead: int, lag: int) -> Floats:
    """Returns how likely each idea would have been a crossing, opened at any moment and held as long as it was: opened
    no more than `lead` before a close and closed no more than `lag` after it."""
    overlap = np.maximum(np.minimum(lead, held) - np.maximum(held - lag, 0), 0)
    return np.asarray(np.minimum(overlap * per_opening, 1.0))


def size_of(book: Book, found: Positions) -> Floats:
    """Returns the size of each idea by what a usual day moves it, to compare trades of different symbols roughly: lots
    of a currency pair by their base currency, others by their price."""
    symbols = book.symbols
    move = np.array([_DAY_MOVES.get(asset_of(symbols, row), 0.01) for row in range(len(symbols))])
    pair = np.array([asset_of(symbols, row) == "forex" for row in range(len(symbols))], dtype=bool)
    yen = np.where((symbols.quote == "JPY").astype(bool), 0.01, 1.0)
    contract = np.nan_to_num(symbols.contract_size, nan=1.0) * move * np.where(pair, 1.0, yen)
    price = np.where((found.open_price > 0) & ~pair[found.symbol], found.open_price, 1.0)
    return np.asarray(found.lots * contract[found.symbol] * price)


def account_size(book: Book, account: int) -> float:
    told = int(book.accounts.size_minor[account])
    return float("nan") if told == UNKNOWN or told <= 0 else float(told)


def in_hours_before_close(opened: Ints, closes: Ints, lead: int) -> Flags:
    """Returns whether each idea was opened at the hours before 17:00 New York, on whatever day."""
    return np.asarray((closes - opened) % DAY <= lead)
