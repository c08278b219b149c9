"""What the price did after entries, and after entries at random moments of the same minute, symbol and side."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from surveillance.book import SECOND, Columns, Floats, Indexes, Ints
from surveillance.market.clock import Clocks
from surveillance.market.fills import Fills
from surveillance.market.quotes import Reference

HORIZONS_MS: Final = (0, 100, 250, 500, 1000, 2000, 5000, 10_000, 30_000, 60_000)
# Moments around an entry that stand for entering at random: none so near that the entry's own move is in it.
_CONTROLS: Final = np.array([sign * each for each in range(3, 31, 3) for sign in (-1, 1)], dtype=np.int64) * SECOND
_CLIP: Final = 5.0  # spreads: a jump of a release does not decide alone


@dataclass(frozen=True)
class Entries(Columns):
    """Openings at a time and price that the trader chose, of symbols with ticks. `at`: by our own clock; `price`: by
    the reference's prices. `trade`: a row of the trades."""

    trade: Ints
    account: Indexes
    symbol: Indexes
    side: Ints
    at: Ints
    price: Floats


@dataclass(frozen=True)
class Curve:
    """One row per entry. `markout`: by horizon (columns), side x (mid - price) in spreads; `control`: the mean of the
    same for the random moments. `moved`: whether the price had moved in the entry's direction, 1 or 0, and
    `control_moved` the share of the random moments at which it had; NaN where there are no quotes."""

    markout: Floats
    control: Floats
    moved: Floats
    control_moved: Floats


def entries_of(fills: Fills, clocks: Clocks, quoted: Mapping[int, Reference]) -> Entries:
    ticks = [symbol for symbol, each in quoted.items() if each.is_ticks]
    rows = np.flatnonzero(~fills.closing & ~fills.resting & np.isin(fills.symbol, ticks))
    basis = np.array([clocks.basis.get(symbol, 0.0) for symbol in fills.symbol[rows].tolist()], dtype=np.float64)
    return Entries(
        trade=fills.trade[rows],
        account=fills.account[rows],
        symbol=fills.symbol[rows],
        side=fills.side[rows].astype(np.int64),
        at=fills.at[rows] - clocks.offset[fills.account[rows]],
        price=fills.price[rows] - basis,
    )


def markout(entries: Entries, quoted: Mapping[int, Reference], horizon_ms: int) -> Floats:
    """Returns side x (mid after the horizon - price) of each entry in spreads; NaN where there are no quotes."""
    found = np.full(len(entries), np.nan)
    for symbol, each in quoted.items():
        rows = np.flatnonzero(entries.symbol == symbol)
        at = entries.at[rows]
        later = each.mid(at + horizon_ms * 1000) - entries.price[rows]
        found[rows] = entries.side[rows] * later / _spread(each, at)
    return np.asarray(np.clip(found, -_CLIP, _CLIP))


def curve(entries: Entries, quoted: Mapping[int, Reference], around_ms: int, moved_spreads: float) -> Curve:
    """`around_ms`: before and after the entry, `moved_spreads`: how far the price moves within it to have moved."""
    count = len(entries)
    shape = (count, len(HORIZONS_MS))
    own, control = np.full(shape, np.nan), np.full(shape, np.nan)
    moved, control_moved = np.full(count, np.nan), np.full(count, np.nan)
    for symbol, each in quoted.items():
        rows = np.flatnonzero(entries.symbol == symbol)
        if len(rows) == 0:
            continue
        at, side, price = entries.at[rows], entries.side[rows], entries.price[rows]
        random = (at[:, None] + _CONTROLS).reshape(-1)
        sides = np.repeat(side, len(_CONTROLS))
        bid, ask = each.as_of(random)
        at_market = np.where(sides > 0, ask, bid)
        for column, horizon in enumerate(HORIZONS_MS):
            later = side * (each.mid(at + horizon * 1000) - price) / _spread(each, at)
            own[rows, column] = np.clip(later, -_CLIP, _CLIP)
            after = sides * (each.mid(random + horizon * 1000) - at_market) / _spread(each, random)
            control[rows, column] = _mean(np.clip(after, -_CLIP, _CLIP), len(rows))
        moved[rows] = _moved(each, at, side, around_ms, moved_spreads)
        control_moved[rows] = _mean(_moved(each, random, sides, around_ms, moved_spreads), len(rows))
    return Curve(own, control, moved, control_moved)


def _moved(each: Reference, at: Ints, side: Ints, around_ms: int, spreads: float) -> Floats:
    around = around_ms * 1000
    move = side * (each.mid(at + around) - each.mid(at - around)) / _spread(each, at)
    return np.where(np.isnan(move), np.nan, move >= spreads)


def _spread(each: Reference, at: Ints) -> Floats:
    bid, ask = each.as_of(at)
    return np.asarray(np.maximum(ask - bid, each.spread))


def _mean(of_controls: Floats, count: int) -> Floats:
    """Returns the mean over each entry's controls that are known; NaN where fewer than half of them are."""
    each = of_controls.reshape(count, -1)
    known = np.isfinite(each)
    sums = np.where(known, each, 0.0).sum(axis=1)
    return np.where(2 * known.sum(axis=1) >= each.shape[1], sums / np.maximum(known.sum(axis=1), 1), np.nan)
