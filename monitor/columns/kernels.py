"""The loops over columns that numba compiles: values of positions, what they do to accounts, peaks that follow equity.

Money is exact. The value of a position is a product of a few numbers that float64 holds to half a unit in their last
place, so the product is off by a few units in its last place at most. Where rounding cannot hang on that error, the
rounded value *is* the exact one; the rare position where it can is counted as doubtful, and the caller asks the exact
evaluator for it. Everything that is added or compared afterwards is int64.
"""

from functools import cache
from typing import Any, Final

import numpy as np
from numba import njit, uint32

from domain.rules.room import WARN_AT_PCT

# One row of `hot`: what a mark reads and writes of an account, on one cache line.
EQUITY, BALANCE, LOW, HIGH, BAR_OPEN, BAR_HIGH, BAR_LOW, TOUCHED = range(8)
# The quote of a book.
BID, ASK, FACTOR, GUARD = range(4)
# One level of a phase in the table of terms.
FOLLOWS, TAKES_MAX, FIXED, TOP, BOTTOM, LOCK_AT, LOCK_LEVEL, INCLUSIVE, CEILING = range(9)
LEVEL_FIELDS: Final = 9
# What is left of an allowance when a warning is due.
WARN_TOP, WARN_BOTTOM = 100 - WARN_AT_PCT, 100
# One level's state on an account, in the order of RuleColumns.
BASIS, FLOOR, STATE_BALANCE, STATE_EQUITY, PAYOUTS, SEQ, AT = range(7)

LOWEST: Final = -(2**63)
HIGHEST: Final = 2**63 - 1
# Ties are common on a grid of prices. Every figure is lifted by so little before it is rounded that no figure on a grid
# coarser than twice that passes the next tie, but all ties leave the band in which the error of a float could matter.
LIFT: Final = 2.0**-19
_ERROR: Final = 2.0**-50  # eight units in the last place of 1, against at most seven that can go wrong
_LARGEST: Final = 2**53


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "nsz"})
def value(units: Any, opens: Any, quote: Any, out: Any) -> int:
    """Write each position's profit, rounded half up to whole minor units, to `out`; gives how many are doubtful.

    units: lots x contract size, negative for shorts. quote: bid, ask, factor (conversion rate x minor units of the
    currency) and guard: 0 when every exact value lies on a grid coarser than twice LIFT, else LIFT.
    """
    bid, ask, factor, guard = quote[BID], quote[ASK], quote[FACTOR], quote[GUARD]
    doubtful = 0
    for i in range(units.shape[0]):
        size, opened = units[i], opens[i]
        price = bid if size > 0 else ask
        each = size * factor
        profit = (price - opened) * each
        error = abs(each) * (price + opened) * _ERROR + _ERROR
        lifted = abs(profit) + (0.5 + LIFT)
        whole = np.floor(lifted)
        part = lifted - whole
        doubtful += not ((part >= error + guard) & (part <= 1.0 - error))
        out[i] = np.copysign(whole, profit)
    return doubtful


@njit(cache=True, nogil=True, error_model="numpy")
def doubts(units: Any, opens: Any, quote: Any, out: Any) -> int:
    """The indices of the positions that `value` counts as doubtful, and perhaps one more, written to `out`; gives how
    many."""
    n = 0
    for i in range(units.shape[0]):
        size, opened = units[i], opens[i]
        price = quote[BID] if size > 0 else quote[ASK]
        each = size * quote[FACTOR]
        # a shade wider than in `value`, which the compiler may have contracted in another way
        error = 1.01 * (abs(each) * (price + opened) * _ERROR + _ERROR)
        lifted = abs((price - opened) * each) + (0.5 + LIFT)
        part = lifted - np.floor(lifted)
        if not (part >= error + quote[GUARD] and part <= 1.0 - error):
            out[n] = i
            n += 1
    return n


@njit(cache=True, nogil=True)
def mark(
    books: Any, spans: Any, quotes: Any, rows: Any, units: Any, opens: Any, profits: Any, fresh: Any, hot: Any, found: Any
) -> int:  # fmt: skip
    """Mark every position of `books` (their numbers) at the quotes. Gives how many rows beyond an alarm were written to
    `found`; or minus the number of doubtful positions, and then nothing but `fresh` has changed: `carry` goes on.

    spans: start and size of each book within the positions. fresh: the new profits, book after book.
    """
    doubtful, place = 0, 0
    for number in books:
        start, end = spans[number, 0], spans[number, 0] + spans[number, 1]
        doubtful += value(units[start:end], opens[start:end], quotes[number], fresh[place : place + end - start])
        place += end - start
    return -doubtful if doubtful else carry(books, spans, rows, profits, fresh, hot, found)


@njit(cache=True, nogil=True)
def carry(books: Any, spans: Any, rows: Any, profits: Any, fresh: Any, hot: Any, found: Any) -> int:
    """Carry new profits into the equity of their rows, draw it into their minute bars, and write the rows beyond an alarm
    to `found`; gives how many, a row may be named twice."""
    place, n = 0, 0
    for number in books:
        start, size = spans[number, 0], spans[number, 1]
        for i in range(size):
            hot[uint32(rows[start + i]), EQUITY] += np.int64(fresh[place + i] - profits[start + i])
            profits[start + i] = fresh[place + i]
        place += size
    for number in books:  # only now: an account must not be looked at while it is half marked
        start, size = spans[number, 0], spans[number, 1]
        for i in range(start, start + size):
            r = uint32(rows[i])
            equity = hot[r, EQUITY]
            hot[r, BAR_HIGH] = max(hot[r, BAR_HIGH], equity)
            hot[r, BAR_LOW] = min(hot[r, BAR_LOW], equity)
            hot[r, TOUCHED] = 1
            found[n] = r
            n += (equity <= hot[r, LOW]) | (equity > hot[r, HIGH])
    return n


@njit(cache=True, nogil=True)
def gather(rows: Any, profits: Any, sums: Any) -> None:
    """Add every position's profit to its row's entry of `sums`."""
    for i in range(rows.shape[0]):
        sums[uint32(rows[i])] += profits[i]


@njit(cache=True, nogil=True)
def remark(
    books: Any, spans: Any, quotes: Any, rows: Any, units: Any, opens: Any, profits: Any, sums: Any
) -> int:  # fmt: skip
    """New profits of all positions of `books`, summed by row into `sums`; gives how many are doubtful."""
    doubtful = 0
    for number in books:
        start, end = spans[number, 0], spans[number, 0] + spans[number, 1]
        doubtful += value(units[start:end], opens[start:end], quotes[number], profits[start:end])
        gather(rows[start:end], profits[start:end], sums)
    return doubtful


@njit(cache=True, nogil=True)
def settle(hot: Any, sums: Any, found: Any) -> int:
    """Equity of every row afresh from balance and `sums` (which is cleared), its bar, and the rows beyond an alarm."""
    n = 0
    for r in range(sums.shape[0]):
        equity = hot[r, BALANCE] + np.int64(sums[r])
        sums[r] = 0.0
        hot[r, EQUITY] = equity
        hot[r, BAR_HIGH] = max(hot[r, BAR_HIGH], equity)
        hot[r, BAR_LOW] = min(hot[r, BAR_LOW], equity)
        found[n] = r
        n += (equity <= hot[r, LOW]) | (equity > hot[r, HIGH])
    return n


@njit(cache=True, nogil=True)
def share(basis: int, top: int, bottom: int) -> int:
    """`basis` x top / bottom, rounded half up (ties away from zero); top x bottom must stay below 2**61."""
    size = abs(basis)
    whole, rest = size // bottom, size % bottom
    rounded = whole * top + (2 * rest * top + bottom) // (2 * bottom)
    return rounded if basis >= 0 else -rounded


@njit(cache=True, nogil=True)
def follow(
    found: Any, count: int, hot: Any, judged: Any, unknown: Any, synced: Any, terms: Any, levels: Any, table: Any,
    data: Any, locked: Any, told: Any, peaked: Any, seq: int, at: int, out: Any,
) -> int:  # fmt: skip
    """Move the peaks that follow equity for the `found` rows at event `seq`, and their alarms with them. The rows that
    then stand beyond a level, or where a warning is due that was not `told`, are written to `out`: the exact evaluator
    must look at them; gives how many.

    A row is left alone while it is not judged, while a position of it has no known value (`unknown` counts them), and
    at events up to `synced`. levels: how many levels each of the terms has, negative when only the exact evaluator can
    move them.
    """
    n = 0
    for i in range(count):
        r = found[i]
        equity = hot[r, EQUITY]
        if (equity > hot[r, LOW] and equity <= hot[r, HIGH]) or not judged[r] or unknown[r] > 0 or seq <= synced[r]:
            continue
        t = terms[r]
        if levels[t] < 0 or abs(equity) > _LARGEST:
            out[n] = r
            n += 1
            continue
        low, high = LOWEST, HIGHEST
        for k in range(levels[t]):
            if table[t, k, FOLLOWS]:
                figure = max(equity, hot[r, BALANCE]) if table[t, k, TAKES_MAX] else equity
                if figure > data[BASIS, k, r]:
                    bottom = table[t, k, BOTTOM]
                    allowance = share(figure, table[t, k, TOP], bottom) if bottom else table[t, k, FIXED]
                    floor = min(figure - allowance, table[t, k, LOCK_AT])
                    data[BASIS, k, r] = figure
                    data[FLOOR, k, r] = table[t, k, LOCK_LEVEL] if locked[k, r] else floor
                    data[STATE_BALANCE, k, r] = hot[r, BALANCE]
                    data[STATE_EQUITY, k, r] = equity
                    data[PAYOUTS, k, r] = 0
                    data[SEQ, k, r] = seq
                    data[AT, k, r] = at
                    peaked[r] = True
                high = min(high, data[BASIS, k, r])
            level, left = data[FLOOR, k, r], 0
            if not told[k, r]:
                bottom = table[t, k, BOTTOM]
                whole = share(data[BASIS, k, r], table[t, k, TOP], bottom) if bottom else table[t, k, FIXED]
                left = share(whole, WARN_TOP, WARN_BOTTOM)
            if table[t, k, CEILING]:
                high = min(high, level - max(table[t, k, INCLUSIVE], left + 1 - told[k, r]))
            else:
                low = max(low, level + max(table[t, k, INCLUSIVE] - 1, left - told[k, r]))
        hot[r, LOW] = low
        hot[r, HIGH] = high
        if equity <= low or equity > high:
            out[n] = r
            n += 1
    return n


@cache
def ready() -> None:
    """Load the compiled loops, or compile them when no cache has them: once a process, before anything waits for them."""
    hot, sums, found = np.zeros((1, 8), np.int64), np.zeros(1), np.zeros(1, np.int64)
    books, spans, quotes = np.zeros(1, np.int64), np.array([[0, 1]]), np.zeros((1, 4))
    rows, units, opens, profits, fresh = np.zeros(1, np.int32), np.zeros(1), np.zeros(1), np.zeros(1), np.zeros(1)
    mark(books, spans, quotes, rows, units, opens, profits, fresh, hot, found)
    carry(books, spans, rows, profits, fresh, hot, found)
    remark(books, spans, quotes, rows, units, opens, profits, sums)
    settle(hot, sums, found)
    doubts(units, opens, quotes[0], found)
    no, short, flags = np.zeros(1, np.bool_), np.zeros(1, np.int16), np.zeros((1, 1), np.bool_)
    levels, table = np.zeros(1, np.int64), np.zeros((1, 1, LEVEL_FIELDS), np.int64)
    data = np.zeros((7, 1, 1), np.int64)
    follow(found, 1, hot, no, short, levels, short, levels, table, data, flags, flags, no, 1, 1, found.copy())
