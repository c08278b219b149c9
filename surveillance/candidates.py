"""Which openings of different accounts come close together: the candidates for copying and for hedging.

Openings are sorted by (symbol, side, time); two pointers find for each opening the run of openings near it. Memory is
what the openings take, whatever the number of pairs: `count` and `partners` visit pairs and keep none, `pairs` lists
them.
"""

from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numba import njit

from surveillance.book import Codes, Columns, Indexes, Ints
from surveillance.positions import Positions

_FEW_GROUPS: Final = 1 << 15
Spans: TypeAlias = tuple[Ints, Ints]


@dataclass(frozen=True)
class Openings(Columns):
    """Sorted by (symbol, side, opened, account). `row`: the row of the positions or ideas that it was made of."""

    row: Indexes
    account: Indexes
    symbol: Indexes
    side: Codes
    opened: Ints


@dataclass(frozen=True)
class Partners(Columns):
    """Account `partner` has openings near `matches` of the `openings` of account `subject`."""

    subject: Indexes
    partner: Indexes
    matches: Ints
    openings: Ints


def openings(found: Positions, symbol: Indexes | None = None) -> Openings:
    """Returns the openings of positions or ideas. `symbol`: compare these instead, such as groups of symbols."""
    symbols = found.symbol if symbol is None else symbol
    order = _order(symbols, found.side, found.opened, found.account)
    return Openings(
        row=order.astype(np.int32),
        account=found.account[order],
        symbol=symbols[order].astype(np.int32),
        side=found.side[order],
        opened=found.opened[order],
    )


def _order(symbol: Indexes, side: Codes, opened: Ints, account: Indexes) -> Ints:
    """Sorts by (symbol, side, opened, account). Positions come by opening, so they are only dealt out to their symbols
    and sides; accounts are compared where moments are equal."""
    groups = symbol.astype(np.int64) * 2 + (side > 0)
    if (np.diff(opened) < 0).any() or (len(groups) and not 0 <= groups.min() <= groups.max() < _FEW_GROUPS):
        return np.lexsort((account, opened, side, symbol)).astype(np.int64)
    order = np.argsort(groups.astype(np.int16), kind="stable")  # numpy sorts 16 bits by radix, in linear time
    grouped, times = groups[order], opened[order]
    equal = np.zeros(len(order), dtype=bool)
    equal[1:] = (times[1:] == times[:-1]) & (grouped[1:] == grouped[:-1])
    equal[:-1] |= equal[1:]
    tied = order[equal]
    order[equal] = tied[np.lexsort((account[tied], opened[tied], groups[tied]))]
    return order.astype(np.int64)


def spans(found: Openings, before: int, after: int, *, opposite: bool = False) -> Spans:
    """Returns for each opening the rows [from, to) of the same symbol, and of the same or the opposite side, that were
    opened from `before` microseconds earlier to `after` microseconds later, both included."""
    start, end = np.empty(len(found), dtype=np.int64), np.empty(len(found), dtype=np.int64)
    _spans(found.symbol, found.side, found.opened, before, after, opposite, start, end)
    return start, end


def count(found: Openings, within: int, *, opposite: bool = False) -> int:
    """Returns how many pairs of openings of two accounts lie at most `within` microseconds apart."""
    start, end = spans(found, within, within, opposite=opposite)
    return int(_count(found.account, start, end)) // 2


def pairs(found: Openings, within: int, *, opposite: bool = False) -> tuple[Ints, Ints]:
    """Returns the rows (earlier, later) of every such pair; of two at the same moment the lower row comes first."""
    start, end = spans(found, within, within, opposite=opposite)
    size = int(_count(found.account, start, end)) // 2
    earlier, later = np.empty(size, dtype=np.int64), np.empty(size, dtype=np.int64)
    _list(found.account, found.opened, start, end, earlier, later)
    return earlier, later


def partners(
    found: Openings, accounts: int, near: Spans, *, min_matches: int, min_share: float, subjects: range | None = None
) -> Partners:
    """Returns for each account the accounts that have openings near at least `min_matches` and `min_share` of its own.

    `near`: from `spans`. `accounts`: how many there are. `subjects`: only these; ranges can be computed apart, and
    their results put one behind the other.
    """
    order = np.argsort(found.account, kind="stable")
    begins = np.searchsorted(found.account[order], np.arange(accounts + 1))
    chosen = subjects or range(accounts)
    size = 65_536
    while True:
        out = np.empty((size, 4), dtype=np.int64)
        filled = _partners(
            found.account, order, begins, *near, chosen.start, chosen.stop, accounts, min_matches, min_share, out
        )
        if filled <= size:
            break
        size = int(filled)
    rows = out[:filled]
    return Partners(rows[:, 0].astype(np.int32), rows[:, 1].astype(np.int32), rows[:, 2].copy(), rows[:, 3].copy())


@njit(cache=True, nogil=True)
def _spans(symbol, side, opened, before, after, opposite, start, end):  # type: ignore[no-untyped-def]
    """Within a group of (symbol, side) times rise, so both ends of the run only move forward."""
    size = len(opened)
    group = 0
    while group < size:
        stop = group
        while stop < size and symbol[stop] == symbol[group]:
            stop += 1
        middle = group
        while middle < stop and side[middle] == side[group]:
            middle += 1
        for half in range(2):
            mine, my_end = (group, middle) if half == 0 else (middle, stop)
            theirs, their_end = (group, middle) if (half == 0) != opposite else (middle, stop)
            low = high = theirs
            for row in range(mine, my_end):
                while low < their_end and opened[low] < opened[row] - before:
                    low += 1
                high = max(high, low)
                while high < their_end and opened[high] <= opened[row] + after:
                    high += 1
                start[row], end[row] = low, high
        group = stop


@njit(cache=True, nogil=True)
def _count(account, start, end):  # type: ignore[no-untyped-def]
    total = 0
    for row in range(len(account)):
        for other in range(start[row], end[row]):
            if account[other] != account[row]:
                total += 1
    return total


@njit(cache=True, nogil=True)
def _list(account, opened, start, end, earlier, later):  # type: ignore[no-untyped-def]
    place = 0
    for row in range(len(account)):
        for other in range(start[row], end[row]):
            if account[other] == account[row] or opened[other] > opened[row]:
                continue
            if opened[other] == opened[row] and other > row:
                continue
            earlier[place], later[place] = other, row
            place += 1


@njit(cache=True, nogil=True)
def _kept(touched, matches, least):  # type: ignore[no-untyped-def]
    """Moves the partners with enough matches to the front, forgets the others, and returns how many are left."""
    enough = 0
    for place in range(len(touched)):
        partner = touched[place]
        if matches[partner] >= least:
            touched[enough] = partner
            enough += 1
        else:
            matches[partner] = 0
    return enough


@njit(cache=True, nogil=True)
def _partners(account, order, begins, start, end, first, stop, accounts, min_matches, min_share, out):  # type: ignore[no-untyped-def]
    """Returns how many rows there are, also when `out` has no room for all of them."""
    matches = np.zeros(accounts, dtype=np.int32)
    stamp = np.full(accounts, -1, dtype=np.int64)
    touched = np.empty(accounts, dtype=np.int64)
    filled = 0
    for subject in range(first, stop):
        own = begins[subject + 1] - begins[subject]
        if own < min_matches:
            continue
        known = 0
        for place in range(begins[subject], begins[subject + 1]):
            row = order[place]
            for other in range(start[row], end[row]):
                partner = account[other]
                if partner == subject or stamp[partner] == row:
                    continue
                stamp[partner] = row
                if matches[partner] == 0:
                    touched[known] = partner
                    known += 1
                matches[partner] += 1
        enough = _kept(touched[:known], matches, max(min_matches, min_share * own))
        for partner in np.sort(touched[:enough]):
            if filled < len(out):
                out[filled, 0], out[filled, 1] = subject, partner
                out[filled, 2], out[filled, 3] = matches[partner], own
            filled += 1
            matches[partner] = 0
    return filled
