"""The compiled loops of exposure: one pass over all positions, and the debt of all accounts."""

from functools import cache
from typing import Any, Final

import numpy as np
from numba import njit, uint32

from domain.exposure.owed import NO_CAP, WHOLE
from monitor.columns.kernels import (
    ASK,
    AT_RESETS,
    BID,
    BOTTOM,
    CEILING,
    ERROR,
    FACTOR,
    FIXED,
    FOLLOWS,
    HIGHEST,
    INCLUSIVE,
    LEVEL_FIELDS,
    LIFT,
    LOCK_AT,
    LOCK_LEVEL,
    TAKES_MAX,
    TOP,
    share,
    value,
)

# The sums of one symbol.
LONG, SHORT, ACCOUNTS, SLOPE = range(4)
SYMBOL_SUMS: Final = 4
# The sums of one group or trader, in the reporting currency.
LONG_VALUE, SHORT_VALUE, FLOATING = range(3)
GROUP_SUMS: Final = 3
# The curve of one account: see domain.exposure.owed.Curve.
START, CAP, MOST_PCT, WORTH_PCT, BLOCK, TIER_1, TIER_2, TIER_3, SHARE_1, SHARE_2, SHARE_3 = range(11)
CURVE_FIELDS: Final = 11


@njit(cache=True, nogil=True)
def sums(
    order: Any, spans: Any, rows: Any, units: Any, profits: Any, counts: Any, symbol_of: Any, value_of: Any,
    rate_of: Any, group_of: Any, trader_of: Any, share: Any, seen: Any, symbols: Any, groups: Any, traders: Any,
    floating: Any,
) -> None:  # fmt: skip
    """Add up every position of the accounts that count.

    order: numbers of the books, those of one symbol together. By book: `symbol_of`; `value_of`, one unit in the
    reporting currency; `rate_of`, its account currency in the reporting one. By row: `group_of`, `trader_of`, and
    `share`, what the firm would owe of one more unit of profit. seen: by row, scratch of -1. Outputs: `symbols`,
    `groups`, `traders`, and `floating` by book, in the account currency.
    """
    for number in order:
        start, end = spans[number, 0], spans[number, 0] + spans[number, 1]
        symbol, value, rate = symbol_of[number], value_of[number], rate_of[number]
        for i in range(start, end):
            r = uint32(rows[i])
            if not counts[r]:
                continue
            size, worth, profit = units[i], abs(units[i]) * value, profits[i]
            floating[number] += profit
            if size > 0:
                symbols[symbol, LONG] += size
                groups[group_of[r], LONG_VALUE] += worth
                traders[trader_of[r], LONG_VALUE] += worth
            else:
                symbols[symbol, SHORT] -= size
                groups[group_of[r], SHORT_VALUE] += worth
                traders[trader_of[r], SHORT_VALUE] += worth
            groups[group_of[r], FLOATING] += profit * rate
            symbols[symbol, SLOPE] += share[r] * size * value
            if seen[r] != symbol:
                seen[r] = symbol
                symbols[symbol, ACCOUNTS] += 1


@njit(cache=True, nogil=True)
def owed_of(curve: Any, worth: int) -> int:
    """Returns the trader's share at this worth: the same as `Curve.owed_minor`."""
    profit = worth - curve[START]
    if profit <= 0:
        return 0
    gross = min(profit, curve[CAP])
    if curve[MOST_PCT] != WHOLE:
        gross = min(gross, (2 * profit * curve[MOST_PCT] + WHOLE) // (2 * WHOLE))
    if curve[WORTH_PCT] != WHOLE:
        gross = min(gross, (2 * max(worth, 0) * curve[WORTH_PCT] + WHOLE) // (2 * WHOLE))
    if curve[BLOCK]:
        gross -= gross % curve[BLOCK]
    total, begin = 0, 0
    for tier in range(3):
        end = curve[TIER_1 + tier]
        part = min(gross, end) - begin
        if part > 0:
            total += part * curve[SHARE_1 + tier]
        begin = end
    return (2 * total + WHOLE) // (2 * WHOLE)


@njit(cache=True, nogil=True)
def owed(rows: Any, curves: Any, worths: Any, out: Any) -> None:
    """Write what is owed to each of `rows` at `worths` (by row) to `out` (by place)."""
    for place in range(rows.shape[0]):
        out[place] = owed_of(curves[place], worths[rows[place]])


@njit(cache=True, nogil=True)
def shares(rows: Any, curves: Any, worths: Any, step: int, out: Any) -> None:
    """Write to `out`, by row, what the firm would owe of one more unit of profit: the slope over the next `step`."""
    for place in range(rows.shape[0]):
        worth = worths[rows[place]]
        more = owed_of(curves[place], worth + step) - owed_of(curves[place], worth - step)
        out[rows[place]] = more / (2.0 * step)


# What a shock does to an account. JUDGE: only the exact evaluator can say.
CALM, BREACH, JUDGE = range(3)
# What the rules of an account are. PLAIN: levels that end the phase. BY_LEVELS: something happens only if a level
# breaks. MONEY_TOO: rules of conduct follow the equity, too. EXACT: its levels cannot be compared in a loop.
PLAIN, BY_LEVELS, MONEY_TOO, EXACT = range(4)


@njit(cache=True, nogil=True)
def mark(order: Any, spans: Any, lines: Any, units: Any, opens: Any, fresh: Any, doubtful: Any) -> None:
    """Write the profit of every position at shocked quotes to `fresh`, by place, and by book how many are doubtful.

    lines: by book, the quote as `columns.kernels.value` takes it.
    """
    for number in order:
        start, end = spans[number, 0], spans[number, 0] + spans[number, 1]
        doubtful[number] = value(units[start:end], opens[start:end], lines[number], fresh[start:end])


@njit(cache=True, nogil=True)
def add_up(order: Any, spans: Any, rows: Any, fresh: Any, out: Any) -> None:
    """Add the profit of every position to its row."""
    for number in order:
        start, end = spans[number, 0], spans[number, 0] + spans[number, 1]
        for i in range(start, end):
            out[uint32(rows[i])] += np.int64(fresh[i])


@njit(cache=True, nogil=True, error_model="numpy")
def reach(
    places: Any, book_of: Any, lines: Any, units: Any, opens: Any, stops: Any, targets: Any, walk: bool, fresh: Any,
    reached: Any,
) -> int:  # fmt: skip
    """Find the positions whose stop or take profit a shock reaches; of `places`, those that have one. Their number in
    `places` is written to `reached`; returns how many.

    With `walk`, they fill at their own price, and `fresh` gets the profit there, or NaN where its rounding is doubtful.
    """
    n = 0
    for k in range(places.shape[0]):
        i, number = places[k], book_of[k]
        size, stop, target = units[i], stops[i], targets[i]
        price = lines[number, BID] if size > 0 else lines[number, ASK]
        low, high = (stop, target) if size > 0 else (target, stop)
        fell, rose = price <= low, high > 0 and price >= high
        if not (fell or rose):
            continue
        reached[n] = k
        n += 1
        if walk:
            filled = stop if (fell if size > 0 else rose) else target
            each = size * lines[number, FACTOR]
            profit = (filled - opens[i]) * each
            error = 1.01 * (abs(each) * (filled + opens[i]) * ERROR + ERROR)
            lifted = abs(profit) + (0.5 + LIFT)
            whole = np.floor(lifted)
            part = lifted - whole
            sure = part >= error + LIFT and part <= 1.0 - error
            fresh[i] = np.copysign(whole, profit) if sure else np.nan
    return n


@njit(cache=True, nogil=True)
def moved(fields: Any, worth: int, balance: int, basis: int, floor: int, locked: bool) -> Any:
    """Returns a level after its peak has followed the equity."""
    figure = max(worth, balance) if fields[TAKES_MAX] else worth
    if not fields[FOLLOWS] or figure <= basis:
        return floor
    allowance = share(figure, fields[TOP], fields[BOTTOM]) if fields[BOTTOM] else fields[FIXED]
    return fields[LOCK_LEVEL] if locked else min(figure - allowance, fields[LOCK_AT])


@njit(cache=True, nogil=True)
def levels_that_break(
    count: int, table: Any, worth: int, balance: int, basis: Any, floor: Any, locked: Any, r: int
) -> Any:
    """Returns (a mask of the levels of row `r` that break, the first of them)."""
    mask, first = 0, 0
    for k in range(count):
        now = moved(table[k], worth, balance, basis[k, r], floor[k, r], locked[k, r])
        room = now - worth if table[k, CEILING] else worth - now
        if room < table[k, INCLUSIVE] and not table[k, AT_RESETS]:
            if mask == 0:
                first = k
            mask |= 1 << k
    return mask, first


@njit(cache=True, nogil=True)
def verdicts(
    equity: Any, balance: Any, realised: Any, counts: Any, judged: Any, known: Any, kind: Any, odd: Any, low: Any,
    high: Any, terms: Any, levels_of: Any, table: Any, basis: Any, floor: Any, locked: Any, status: Any, level: Any,
    broken: Any,
) -> None:  # fmt: skip
    """Write what the shocked money does to each account, the first level that breaks, and a mask of all that do.

    kind: by row, what its rules are: PLAIN, EXACT, BY_LEVELS or MONEY_TOO. odd: by number of terms, 1: a balance moves
    a level that no alarm follows; 2: a level of a symbol or position. levels_of: by number of terms, how many levels;
    negative: only the exact evaluator can move them. `broken` is negative where no level was compared.
    """
    for r in range(equity.shape[0]):
        status[r], broken[r] = CALM, -1
        if not counts[r] or not judged[r] or not known[r]:
            continue
        t, worth = terms[r], equity[r]
        if odd[t] == 2 or (odd[t] == 1 and realised[r] != 0):
            status[r] = JUDGE
            continue
        if low[r] < worth <= high[r] and low[r] != HIGHEST:
            continue
        if levels_of[t] < 0 or kind[r] == EXACT:
            status[r] = JUDGE
            continue
        mask, level[r] = levels_that_break(levels_of[t], table[t], worth, balance[r], basis, floor, locked, r)
        broken[r] = mask
        if kind[r] == PLAIN:
            status[r] = BREACH if mask else CALM
        elif mask or kind[r] == MONEY_TOO:
            status[r] = JUDGE


@cache
def ready() -> None:
    """Load the compiled loops, or compile them when no cache has them."""
    order, spans = np.zeros(1, np.int64), np.array([[0, 1]])
    rows, units, flags = np.zeros(1, np.int32), np.zeros(1), np.zeros(1, np.bool_)
    numbers, narrow, table = np.zeros(1, np.int64), np.zeros(1, np.int32), np.zeros((1, SYMBOL_SUMS))
    groups = np.zeros((1, GROUP_SUMS))
    sums(
        order, spans, rows, units, units, flags, numbers, units, units, numbers, narrow, units, numbers.copy(), table,
        groups, groups.copy(), units.copy(),
    )  # fmt: skip
    curves = np.zeros((1, CURVE_FIELDS), np.int64)
    curves[0, CAP] = NO_CAP
    owed(numbers, curves, numbers, numbers.copy())
    shares(numbers, curves, numbers, 1, units.copy())
    places, lines = np.zeros(1, np.int64), np.zeros((1, 4))
    mark(order, spans, lines, units, units, units.copy(), places.copy())
    add_up(order, spans, rows, units, places.copy())
    reach(places, places, lines, units, units, units, units, False, units.copy(), places.copy())
    short, small, levels = np.zeros(1, np.int16), np.zeros(1, np.int8), np.zeros((1, 1), np.int64)
    verdicts(
        places, places, places, flags, flags, flags, small, small, places, places, short, places,
        np.zeros((1, 1, LEVEL_FIELDS), np.int64), levels, levels, np.zeros((1, 1), np.bool_), small, small.copy(),
        places.copy(),
    )  # fmt: skip
