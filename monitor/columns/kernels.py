"""The loops over columns that numba compiles: profits of positions, equity of accounts, peaks, alarms.

Money is exact, in int64 minor units. A profit is a product of a few numbers that float64 holds to half a unit in their
last place, so the product is wrong by a few units in its last place at most. Where that error cannot change the rounded
result, the rounded result is the exact one. The rare position where it can is counted as doubtful, and the caller asks
the exact evaluator for its profit. Everything that is added or compared afterwards is int64.
"""

from functools import cache
from typing import Any, Final

import numpy as np
from numba import njit, uint32

# One row of `hot`: what a mark reads and writes of an account, on one cache line.
EQUITY, BALANCE, LOW, HIGH, BAR_OPEN, BAR_HIGH, BAR_LOW, TOUCHED = range(8)
# The quote of a book.
BID, ASK, FACTOR, TIE_MARGIN = range(4)
# One level of a phase in the table of terms.
FOLLOWS, TAKES_MAX, FIXED, TOP, BOTTOM, LOCK_AT, LOCK_LEVEL, INCLUSIVE, CEILING, FLOATING, AT_RESETS, STEPS = range(12)
WARN_PCT: Final = 12  # the percent of the allowance that is left when a warning is due
LEVEL_FIELDS: Final = 13
NO_WARNING: Final = -1  # in place of WARN_PCT and WARN_LEFT: no warning is ever due
# The state of one level on an account, in the order of RuleColumns. WARN_LEFT and NEXT_STEP, the least equity at which
# a price alone reaches a step, are derived and never stored.
BASIS, FLOOR, STATE_BALANCE, STATE_EQUITY, PAYOUTS, SEQ, AT, WARN_LEFT, NEXT_STEP = range(9)
STATE_FIELDS: Final = 9

LOWEST: Final = -(2**63)
HIGHEST: Final = 2**63 - 1
FAR: Final = 2**62  # in place of NEXT_STEP: no step; a difference to any amount fits 64 bits
# In place of a mask of muted levels: every mark of the account must be judged.
EVERY_MARK: Final = -1
# Ties are common on a grid of prices. Every figure is raised by LIFT before it is rounded. That is too little to carry
# a figure on a grid coarser than 2 x LIFT past the next tie, and it moves all ties out of the range in which the error
# of a float could change the result.
LIFT: Final = 2.0**-19
ERROR: Final = 2.0**-50  # eight units in the last place of 1; at most seven can go wrong
_LARGEST: Final = 2**53


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "nsz"})
def value(units: Any, opens: Any, quote: Any, out: Any) -> int:
    """Write each position's profit, rounded half up to whole minor units, to `out`. Returns how many are doubtful.

    units: lots x contract size, negative for shorts. quote: bid, ask, factor (conversion rate x minor units of the
    currency) and margin: 0 when every exact value is on a grid coarser than twice LIFT, else LIFT.
    """
    bid, ask, factor, margin = quote[BID], quote[ASK], quote[FACTOR], quote[TIE_MARGIN]
    doubtful = 0
    for i in range(units.shape[0]):
        size, opened = units[i], opens[i]
        price = bid if size > 0 else ask
        each = size * factor
        profit = (price - opened) * each
        error = abs(each) * (price + opened) * ERROR + ERROR
        lifted = abs(profit) + (0.5 + LIFT)
        whole = np.floor(lifted)
        part = lifted - whole
        doubtful += not ((part >= error + margin) & (part <= 1.0 - error))
        out[i] = np.copysign(whole, profit)
    return doubtful


@njit(cache=True, nogil=True, error_model="numpy")
def doubtful_positions(units: Any, opens: Any, quote: Any, out: Any) -> int:
    """Write the indices of the positions that `value` counts as doubtful, and perhaps one more, to `out`. Returns how
    many."""
    n = 0
    for i in range(units.shape[0]):
        size, opened = units[i], opens[i]
        price = quote[BID] if size > 0 else quote[ASK]
        each = size * quote[FACTOR]
        # slightly wider than in `value`, where the compiler may have fused the operations differently
        error = 1.01 * (abs(each) * (price + opened) * ERROR + ERROR)
        lifted = abs((price - opened) * each) + (0.5 + LIFT)
        part = lifted - np.floor(lifted)
        if not (part >= error + quote[TIE_MARGIN] and part <= 1.0 - error):
            out[n] = i
            n += 1
    return n


@njit(cache=True, nogil=True)
def mark(
    books: Any, spans: Any, quotes: Any, rows: Any, units: Any, opens: Any, profits: Any, fresh: Any, hot: Any,
    found: Any,
) -> int:  # fmt: skip
    """Mark every position of `books` (their numbers) at the quotes. Returns how many rows beyond an alarm were written
    to `found`. A negative result is minus the number of doubtful positions: then only `fresh` has changed, and the
    caller corrects it and calls `carry`.

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
    """Add the change of each profit to the equity of its row, update the minute bars, and write the rows beyond an
    alarm to `found`. Returns how many; a row may occur twice."""
    place, n = 0, 0
    for number in books:
        start, size = spans[number, 0], spans[number, 1]
        for i in range(size):
            hot[uint32(rows[start + i]), EQUITY] += np.int64(fresh[place + i] - profits[start + i])
            profits[start + i] = fresh[place + i]
        place += size
    for number in books:  # after all books: an account must not be compared while only some of its positions are marked
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
    """Write new profits of all positions of `books` and add them by row to `sums`. Returns how many are doubtful."""
    doubtful = 0
    for number in books:
        start, end = spans[number, 0], spans[number, 0] + spans[number, 1]
        doubtful += value(units[start:end], opens[start:end], quotes[number], profits[start:end])
        gather(rows[start:end], profits[start:end], sums)
    return doubtful


@njit(cache=True, nogil=True)
def settle(hot: Any, sums: Any, found: Any) -> int:
    """Set the equity of every row from balance and `sums`, clear `sums`, update the bars, and write the rows beyond an
    alarm to `found`. Returns how many."""
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
    """Returns `basis` x top / bottom, rounded half up; 0 of a negative basis. top x bottom must be below 2**61."""
    if basis <= 0:
        return 0
    whole, rest = basis // bottom, basis % bottom
    return whole * top + (2 * rest * top + bottom) // (2 * bottom)


@njit(cache=True, nogil=True)
def alarm(row: int, count: int, fields: Any, data: Any, warned: Any, extra: Any, place: int, muted: int) -> Any:
    """Returns (low, high) of a judged account: it is a candidate when its equity is at or below low, or above high.

    A level is reached there, or a warning that was not given is due, or a peak moves. This is the only place that
    computes alarms. fields: the levels of its terms. extra[:, place]: what each level adds to the equity (costs that it
    does not count). muted: a mask of levels that are not compared until the next reset.
    """
    low, high = LOWEST, HIGHEST
    for k in range(count):
        more = extra[k, place]
        if fields[k, FLOATING] and (fields[k, FOLLOWS] or not (muted >> k) & 1):
            gap = max(fields[k, INCLUSIVE], 0 if warned[k, row] else data[WARN_LEFT, k, row] + 1)
            if fields[k, AT_RESETS] and warned[k, row]:
                pass  # no mark can break it any more
            elif fields[k, CEILING]:
                high = min(high, data[FLOOR, k, row] - more - gap)
            else:
                low = max(low, data[FLOOR, k, row] - more + gap - 1)
        if fields[k, FOLLOWS]:
            high = min(high, data[BASIS, k, row] - more)
        if fields[k, STEPS]:
            high = min(high, data[NEXT_STEP, k, row] - more - 1)
    return low, high


@njit(cache=True, nogil=True)
def set_alarms(
    rows: Any, hot: Any, judged: Any, unknown: Any, terms: Any, levels: Any, table: Any, data: Any, warned: Any,
    extra: Any, muted: Any,
) -> None:  # fmt: skip
    """Set the alarms of `rows`. extra: levels x rows; muted: by row, or EVERY_MARK. An account that is not judged has
    none. One without a known equity is judged at the first mark that makes it known: levels may have moved before."""
    for i in range(rows.shape[0]):
        r = rows[i]
        low, high = LOWEST, HIGHEST
        if judged[r] and (muted[i] == EVERY_MARK or unknown[r] > 0):
            low = HIGHEST
        elif judged[r]:
            t = terms[r]
            low, high = alarm(r, abs(levels[t]), table[t], data, warned, extra, i, muted[i])
        hot[r, LOW] = low
        hot[r, HIGH] = high


@njit(cache=True, nogil=True)
def follow(
    found: Any, count: int, hot: Any, judged: Any, unknown: Any, synced: Any, terms: Any, levels: Any, table: Any,
    data: Any, locked: Any, warned: Any, peaked: Any, seq: int, at: int, out: Any,
) -> int:  # fmt: skip
    """Move the peaks that follow equity for the `found` rows at event `seq`, and their alarms with them. Rows that are
    still beyond an alarm are written to `out`: the exact evaluator must judge them. Returns how many.

    A row is skipped while it is not judged, while a position of it has no known value (`unknown` counts them), and at
    events up to `synced`. levels: how many levels each of the terms has, negative when only the exact evaluator can
    move them. While a limit may be cured (low is HIGHEST), the exact evaluator judges every mark.
    """
    n = 0
    nothing = np.zeros((table.shape[1], 1), np.int64)
    for i in range(count):
        r = found[i]
        equity = hot[r, EQUITY]
        if (equity > hot[r, LOW] and equity <= hot[r, HIGH]) or not judged[r] or unknown[r] > 0 or seq <= synced[r]:
            continue
        t = terms[r]
        if levels[t] < 0 or abs(equity) > _LARGEST or hot[r, LOW] == HIGHEST:
            out[n] = r
            n += 1
            continue
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
                    left = table[t, k, WARN_PCT]
                    data[WARN_LEFT, k, r] = NO_WARNING if left == NO_WARNING else share(allowance, left, 100)
                    peaked[r] = True
        low, high = alarm(r, levels[t], table[t], data, warned, nothing, 0, 0)
        hot[r, LOW] = low
        hot[r, HIGH] = high
        if equity <= low or equity > high:
            out[n] = r
            n += 1
    return n


@njit(cache=True, nogil=True)
def losing(books: Any, spans: Any, rows: Any, profits: Any, alarms: Any, found: Any) -> int:
    """Write the row of every position of `books` whose profit is below the alarm of its row to `found`. Returns how
    many; a row may occur twice."""
    n = 0
    for number in books:
        start, size = spans[number, 0], spans[number, 1]
        for i in range(start, start + size):
            r = uint32(rows[i])
            found[n] = r
            n += profits[i] < alarms[r]
    return n


@cache
def ready() -> None:
    """Load the compiled loops, or compile them when no cache has them. Called once a process, before anything waits for
    them."""
    hot, sums, found = np.zeros((1, 8), np.int64), np.zeros(1), np.zeros(1, np.int64)
    books, spans, quotes = np.zeros(1, np.int64), np.array([[0, 1]]), np.zeros((1, 4))
    rows, units, opens, profits, fresh = np.zeros(1, np.int32), np.zeros(1), np.zeros(1), np.zeros(1), np.zeros(1)
    mark(books, spans, quotes, rows, units, opens, profits, fresh, hot, found)
    carry(books, spans, rows, profits, fresh, hot, found)
    remark(books, spans, quotes, rows, units, opens, profits, sums)
    settle(hot, sums, found)
    doubtful_positions(units, opens, quotes[0], found)
    no, short, flags = np.zeros(1, np.bool_), np.zeros(1, np.int16), np.zeros((1, 1), np.bool_)
    levels, table = np.zeros(1, np.int64), np.zeros((1, 1, LEVEL_FIELDS), np.int64)
    data = np.zeros((STATE_FIELDS, 1, 1), np.int64)
    losing(books, spans, rows, profits, levels, found)
    follow(found, 1, hot, no, short, levels, short, levels, table, data, flags, flags, no, 1, 1, found.copy())
    set_alarms(found, hot, no, short, short, levels, table, data, flags, np.zeros((1, 1), np.int64), levels)
