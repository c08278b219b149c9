"""Alarms: which accounts, and which pairs of accounts, are worth a look now. Each deal costs a few array operations.

An alarm is no finding. It only decides when the patterns look at an account's book; what they then find is what they
would find of the same book at any other time. So a count here may be rough: a look too many finds nothing, and the
windowed run looks at everybody in the end.

Memory is bounded: openings of the last seconds in a ring for each symbol, pairs in a table of fixed size from which the
pair with the fewest meetings goes when there is no room. What goes is counted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from surveillance.book import SECOND
from surveillance.deals import Deals

REACH: Final = 90 * SECOND  # two openings within it are a meeting of their accounts
_TOGETHER: Final = 5 * SECOND  # openings of one account in one symbol and side within it are one
_RING: Final = 256  # openings of a symbol that are looked at for meetings, the newest
_PROBES: Final = 16
_FIRST_MEETINGS: Final = 4  # before a pair is looked at
_SHARE: Final = 4  # and at least every fourth opening of the quieter account
_FIRST_DEALS: Final = 10  # before an account is looked at, and between two looks, or an eighth of its deals
PAIRS: Final = 1 << 20

Array = npt.NDArray[Any]


DEALS, LOOKED, OPENED = range(3)  # of an account: deals, deals at the last look, openings
OPENINGS, FORGOTTEN = range(2)  # of all


class _Pairs(NamedTuple):
    """A table of pairs by their hash. `met`: on the same side, on opposite sides. `looked`: meetings at the last look.
    `last`: the opening that met last."""

    keys: Array
    met: Array
    looked: Array
    last: Array


class _Rings(NamedTuple):
    """The newest openings of each symbol. `who`: account and side. `head`: how many there were."""

    at: Array
    who: Array
    head: Array


class _Each(NamedTuple):
    """By account. `large`: the result of one deal that is worth a look at once. `opened`: time, symbol and side of its
    last opening."""

    counts: Array
    large: Array
    opened: Array


class _Taken(NamedTuple):
    """Deals, by column."""

    at: Array
    account: Array
    symbol: Array
    side: Array
    entry: Array
    total: Array
    price: Array
    bid: Array
    ask: Array


@dataclass(frozen=True)
class Due:
    """Rows of accounts to look at. `alone`: by what each did itself. `together`: pairs, a row for each."""

    alone: npt.NDArray[np.int32]
    together: npt.NDArray[np.int32]

    def __bool__(self) -> bool:
        return len(self.alone) > 0 or len(self.together) > 0


def with_accounts(due: Due, more: Sequence[int]) -> Due:
    """Returns what is due with these accounts, each to be looked at alone."""
    return due if not more else Due(np.concatenate([due.alone, np.array(more, dtype=np.int32)]), due.together)


class Alarms:
    """Rows of accounts and of listed symbols come from the memory of the stream."""

    def __init__(self, pairs: int = PAIRS) -> None:
        self._pairs = _Pairs(
            keys=np.full(pairs, -1, dtype=np.int64),
            met=np.zeros((pairs, 2), dtype=np.int32),
            looked=np.zeros(pairs, dtype=np.int32),
            last=np.full(pairs, -1, dtype=np.int64),
        )
        self._rings = _Rings(_far(0), np.zeros((0, _RING, 2), dtype=np.int32), np.zeros(0, dtype=np.int64))
        self._each = _Each(*_unknown(0))
        self._figures = np.zeros(2, dtype=np.int64)
        self._rested = True  # since the last deal, `rest` has found everything looked at

    @property
    def pairs_forgotten(self) -> int:
        return int(self._figures[FORGOTTEN])

    def size(self, accounts: int, symbols: int) -> None:
        """Makes room for so many accounts and symbols."""
        have = len(self._each.large)
        if accounts > have:
            more = _unknown(max(accounts, 2 * have) - have)
            self._each = _Each(*(np.concatenate(both) for both in zip(self._each, more, strict=True)))
        have = len(self._rings.head)
        if symbols > have:
            count = max(symbols, 2 * have) - have
            more = (_far(count), np.zeros((count, _RING, 2), dtype=np.int32), np.zeros(count, dtype=np.int64))
            self._rings = _Rings(*(np.concatenate(both) for both in zip(self._rings, more, strict=True)))

    def know_sizes(self, large_minor: npt.NDArray[np.int64]) -> None:
        """Sets the result of one deal, by account, that is worth a look at once."""
        self._each.large[: len(large_minor)] = large_minor

    def take(self, deals: Deals, symbol: npt.NDArray[np.int32]) -> Due:
        """Takes in deals, in the order of storing. `symbol`: the main symbol of each, in numbers that do not change."""
        self._rested = self._rested and not len(deals)
        alone = np.zeros(len(self._each.large), dtype=np.bool_)
        together = np.zeros((len(deals) * 4 + 16, 2), dtype=np.int32)
        taken = _Taken(
            *(deals.at, deals.account, symbol, deals.side, deals.entry, deals.total, deals.price, deals.bid, deals.ask)
        )
        found = _take(taken, self._pairs, self._rings, self._each, self._figures, alone, together)
        return Due(np.flatnonzero(alone).astype(np.int32), together[:found].copy())

    def rest(self, at_most: int) -> Due:
        """Returns what was not looked at since its last deal, for a quiet moment."""
        if self._rested:
            return Due(np.empty(0, dtype=np.int32), np.empty((0, 2), dtype=np.int32))
        counts, met = self._each.counts, self._most_met()
        alone = np.flatnonzero(counts[:, DEALS] > counts[:, LOOKED])[:at_most]
        pairs = np.flatnonzero((met >= _FIRST_MEETINGS) & (met > self._pairs.looked))[:at_most]
        self._rested = not len(alone) and not len(pairs)
        counts[alone, LOOKED] = counts[alone, DEALS]
        self._pairs.looked[pairs] = met[pairs]
        keys = self._pairs.keys[pairs]
        both = np.stack([keys >> 32, keys & 0xFFFF_FFFF], axis=1)
        return Due(alone.astype(np.int32), both.astype(np.int32))

    def looked_at_all(self) -> None:
        """Takes everything so far as looked at: after a restart, what was judged before is not judged again."""
        self._pairs.looked[:] = self._most_met()
        self._each.counts[:, LOOKED] = self._each.counts[:, DEALS]

    def _most_met(self) -> Array:
        """Returns how often each pair met, on the side where it met more often."""
        return np.maximum(self._pairs.met[:, 0], self._pairs.met[:, 1])


def _far(count: int) -> Array:
    return np.full((count, _RING), -(1 << 62), dtype=np.int64)


def _unknown(count: int) -> tuple[Array, Array, Array]:
    """Returns the counts, the large result and the last opening of accounts of which nothing is known."""
    large = np.full(count, np.iinfo(np.int64).max)
    return np.zeros((count, 3), dtype=np.int32), large, np.full((count, 2), -1, dtype=np.int64)


@njit(cache=True)  # type: ignore[misc,unused-ignore]
def _place(pairs: _Pairs, key: int, figures: Array) -> int:
    """Returns the row of a pair, a new one if need be in the place of the pair that met the least."""
    mask = len(pairs.keys) - 1
    start = (key * -7046029254386353131) >> 20
    weakest, fewest = -1, 1 << 30
    for probe in range(_PROBES):
        row = (start + probe) & mask
        if pairs.keys[row] == key:
            return row
        if pairs.keys[row] == -1:
            weakest = row
            break
        meetings = max(pairs.met[row, 0], pairs.met[row, 1])
        if meetings < fewest:
            weakest, fewest = row, meetings
    if pairs.keys[weakest] != -1:
        figures[FORGOTTEN] += 1
    pairs.keys[weakest] = key
    pairs.met[weakest, 0] = pairs.met[weakest, 1] = pairs.looked[weakest] = 0
    pairs.last[weakest] = -1
    return weakest


@njit(cache=True)  # type: ignore[misc,unused-ignore]
def _looks(each: _Each, mine: int, result: int, off: bool) -> bool:
    """Counts a deal of an account, and returns whether to look at it now."""
    each.counts[mine, DEALS] += 1
    since = each.counts[mine, DEALS] - each.counts[mine, LOOKED]
    look = since >= max(_FIRST_DEALS, each.counts[mine, LOOKED] // 8) or abs(result) >= each.large[mine] or off
    if look:
        each.counts[mine, LOOKED] = each.counts[mine, DEALS]
    return look


@njit(cache=True)  # type: ignore[misc,unused-ignore]
def _begins(each: _Each, mine: int, what: int, at: int) -> bool:
    """Returns whether an opening is more than another part of the account's last one."""
    again = each.opened[mine, 1] == what and at - each.opened[mine, 0] <= _TOGETHER
    each.opened[mine, 0], each.opened[mine, 1] = at, what
    return not again


@njit(cache=True)  # type: ignore[misc,unused-ignore]
def _meet(
    pairs: _Pairs, rings: _Rings, each: _Each, figures: Array, mine: int, which: int, side: int, at: int,
    together: Array, found: int,
) -> int:  # fmt: skip
    """Counts whom an opening meets. Adds the pairs to look at to `together`, and returns how many there are then."""
    for back in range(1, min(_RING, rings.head[which]) + 1):
        place = (rings.head[which] - back) % _RING
        if at - rings.at[which, place] > REACH:
            break
        other = rings.who[which, place, 0]
        if other == mine:
            continue
        row = _place(pairs, (min(mine, other) << 32) | max(mine, other), figures)
        if pairs.last[row] == figures[OPENINGS]:
            continue
        pairs.last[row] = figures[OPENINGS]
        opposite = 0 if rings.who[which, place, 1] == side else 1
        pairs.met[row, opposite] += 1
        meetings, before = pairs.met[row, opposite], pairs.looked[row]
        quieter = min(each.counts[mine, OPENED], each.counts[other, OPENED])
        enough = meetings >= max(_FIRST_MEETINGS, before + 1 + before // 4) and meetings * _SHARE >= quieter
        if enough and found < len(together):
            pairs.looked[row] = meetings
            together[found, 0], together[found, 1] = mine, other
            found += 1
    place = rings.head[which] % _RING
    rings.at[which, place] = at
    rings.who[which, place, 0], rings.who[which, place, 1] = mine, side
    rings.head[which] += 1
    return found


@njit(cache=True)  # type: ignore[misc,unused-ignore]
def _take(
    deals: _Taken, pairs: _Pairs, rings: _Rings, each: _Each, figures: Array, alone: Array, together: Array
) -> int:
    """Marks in `alone` the accounts to look at. Returns how many pairs are in `together`."""
    found = 0
    for n in range(len(deals.at)):
        mine = deals.account[n]
        if mine < 0:
            continue
        spread = deals.ask[n] - deals.bid[n]  # NaN when the quote is not told: then nothing is off
        off = deals.price[n] > deals.ask[n] + spread or deals.price[n] < deals.bid[n] - spread
        if _looks(each, mine, deals.total[n], off):
            alone[mine] = True
        if deals.entry[n] != 1:
            continue
        which, side, at = deals.symbol[n], deals.side[n], deals.at[n]
        if _begins(each, mine, which * 4 + side + 1, at):
            figures[OPENINGS] += 1
            each.counts[mine, OPENED] += 1
            found = _meet(pairs, rings, each, figures, mine, which, side, at, together, found)
    return found
