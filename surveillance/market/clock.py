"""By how much the clocks of venues are ahead of the reference, fitted from the fills: no lag is believed before.

A fill at its venue's quote fits the reference best at its true time. One offset is fitted for the whole firm; accounts
that it does not explain are fitted together once more, as they may be at another venue. The delay of a few traders is
no clock: an offset is believed only when several owners have it, and that of another venue only when many have it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from surveillance.book import HOUR, NEVER, SECOND, Accounts, Book, Flags, Floats, Ints
from surveillance.build import order_by
from surveillance.market.fills import Fills, basis_of, edge
from surveillance.market.quotes import Reference

_SAMPLE: Final = 2000  # fills that one fit looks at
_PER_ACCOUNT: Final = 20  # of one account, so that no account decides alone
_LEAST: Final = 30  # fills for a fit
_LEAST_OWN: Final = 5  # fills of an account before it is said to fit badly
_OWNERS: Final = 3
# Another venue has so many owners, and so many of the accounts; fewer may be a ring with a delay of its own.
_VENUE_OWNERS, _VENUE_SHARE, _VENUE_ACCOUNTS = 5, 0.2, 30
_CLIP: Final = 3.0  # spreads: a fill that is further away tells no more
_FITS: Final = 1.5  # spreads: the mean distance from the reference up to which fills follow it at all
_WORSE: Final = 0.02  # spreads: a smaller improvement is no reason to believe in an offset
_UNSURE: Final = 0.2  # spreads: an improvement by more is no chance, however few accounts there are
_KEPT: Final = 0.8  # of the accounts decide
_VENUES: Final = 4
_WIDE: Final = np.unique(np.concatenate([np.arange(-14, 15) * HOUR, np.arange(-120, 121) * SECOND])).astype(np.int64)
_FINE: Final = np.arange(-50, 51, dtype=np.int64) * SECOND // 50


@dataclass(frozen=True)
class Clocks:
    """`offset`: how far the clock of each account's venue is ahead, `uncertainty`: half of the range of offsets that
    explain its fills as well; both in microseconds, one per account. `fitted`: whether fills told them, or the book;
    elsewhere both are 0. `own`: where too few accounts fit best at an offset other than the firm's, that offset; it is
    not believed; else 0. `basis`: see `basis_of`. `unlike`: why fills and reference cannot be compared, in words."""

    offset: Ints
    uncertainty: Ints
    fitted: Flags
    own: Ints
    basis: Mapping[int, float]
    unlike: str = ""

    def words(self, account: int) -> str:
        """Returns what is known of the clock of an account's venue, in one sentence."""
        offset, own = int(self.offset[account]) / 1000, int(self.own[account]) / 1000
        off = f"{offset:+.0f} ms off, accurate to {self.uncertainty[account] / 1000:.0f} ms"
        said = f"A wrong clock: the venue's clock is {off}, and the times are corrected for this."
        if own:
            return (
                f"{said} The fills of this account fit best at {own:+.0f} ms, but too few accounts share that offset."
            )
        return said


@dataclass(frozen=True)
class _Fit:
    offset: int
    uncertainty: int
    distance: float


def venue_clocks(book: Book, fills: Fills, quoted: Mapping[int, Reference]) -> Clocks:
    """Returns the clock of each account. Offsets that the book brings are taken as they are; others are fitted from
    ticks. On bars no offset can be seen: it is taken as none, and each bar stands for its whole time."""
    told, known = book.clock_offset, book.clock_known
    offset = np.zeros(len(book.accounts), dtype=np.int64) if told is None else told
    basis = basis_of(fills, fills.at - offset[fills.account], quoted)
    if told is not None and known.all():
        return Clocks(told, np.zeros_like(told), np.ones(len(told), dtype=bool), np.zeros_like(told), basis)
    ticks = {symbol: each for symbol, each in quoted.items() if each.is_ticks}
    usable = fills.rows(~fills.resting & np.isin(fills.symbol, list(ticks)))
    found = _Fitting(usable, ticks, {}, book.accounts).all_accounts()
    if found.unlike and basis:  # a wrong clock may look like other prices, and other prices like a wrong clock
        found = _Fitting(usable, ticks, basis, book.accounts).all_accounts()
    if told is not None:
        found = replace(
            found,
            offset=np.where(known, told, found.offset),
            uncertainty=np.where(known, 0, found.uncertainty),
            fitted=found.fitted | known,
            own=np.where(known, 0, found.own),
        )
    return replace(found, basis=basis_of(fills, fills.at - found.offset[fills.account], quoted))


def in_our_time(book: Book) -> Book:
    """Returns the book with the times of trades and orders as our clock tells them, so that they can be compared with a
    calendar. Rows are sorted anew where clocks differ."""
    offset = book.clock_offset
    if offset is None or not offset.any():
        return book
    trades, orders = book.trades, book.orders
    ahead = offset[trades.account]
    moved = replace(trades, opened=trades.opened - ahead, closed=_earlier(trades.closed, ahead))
    moved = moved.rows(order_by(moved.opened, moved.id))
    if orders is not None:
        ahead = offset[orders.account]
        orders = replace(orders, placed=orders.placed - ahead, done=_earlier(orders.done, ahead))
        orders = orders.rows(order_by(orders.placed, orders.id))
    return replace(book, trades=moved, orders=orders, clock_offset=np.zeros_like(offset), _known={})


def _earlier(at: Ints, by: Ints) -> Ints:
    return np.where(at == NEVER, NEVER, at - by)


class _Fitting:
    def __init__(
        self, fills: Fills, quoted: Mapping[int, Reference], basis: Mapping[int, float], accounts: Accounts
    ) -> None:
        self._quoted, self._basis, self._accounts = quoted, basis, accounts
        self._fills = fills.rows(np.isfinite(edge(fills, fills.at, quoted, basis)))

    def all_accounts(self) -> Clocks:
        count = len(self._accounts)
        offset, uncertainty = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64)
        fitted, own = np.zeros(count, dtype=bool), np.zeros(count, dtype=np.int64)
        left = np.bincount(self._fills.account, minlength=count) > 0
        unlike = ""
        for venue in range(_VENUES):
            owners = len(np.unique(self._accounts.owner[left]))
            fit = self._fit(left) if owners >= _OWNERS else None  # one trader's delay may be what he is found for
            if fit is None:
                break
            if fit.distance > _FITS:
                if venue == 0:
                    unlike = f"the fills are {fit.distance:.1f} spreads from the reference on average, at any offset"
                break
            distance = self._distances(fit.offset)
            near = left & ~(distance > max(2 * fit.distance, fit.distance + 0.5))
            if venue and not self._is_venue(near):
                own[near] = fit.offset
                break
            taken = near if venue else np.ones(count, dtype=bool)  # whom no offset explains keeps the firm's
            offset[taken], uncertainty[taken], fitted[taken] = fit.offset, fit.uncertainty, True
            left &= ~near
        return Clocks(offset, uncertainty, fitted, own, self._basis, unlike)

    def _is_venue(self, accounts: Flags) -> bool:
        """Whether these accounts are many enough for a clock of their own."""
        owners = len(np.unique(self._accounts.owner[accounts]))
        least = min(_VENUE_SHARE * len(np.unique(self._fills.account)), _VENUE_ACCOUNTS)
        return owners >= _VENUE_OWNERS and int(accounts.sum()) >= least

    def _distances(self, offset: int) -> Floats:
        """Returns the mean distance of each account's fills from the reference, in spreads; NaN for too few fills."""
        apart = self._apart(self._fills, self._fills.at - offset)
        count = len(self._accounts)
        fills = np.bincount(self._fills.account, minlength=count)
        sums = np.bincount(self._fills.account, weights=apart, minlength=count)
        return np.where(fills >= _LEAST_OWN, sums / np.maximum(fills, 1), np.nan)

    def _fit(self, accounts: Flags) -> _Fit | None:
        sample = self._sample(accounts)
        if len(sample) < _LEAST:
            return None
        rough = int(_WIDE[np.argmin(_trimmed(self._curve(sample, _WIDE)))])
        tried = np.unique(np.append(rough + _FINE, 0))
        fine = self._curve(sample, tried)
        best = _best(fine, tried)
        good = tried[_as_good(fine, best)]
        good = good[np.abs(good - tried[best]) <= 2 * SECOND]
        return _Fit(int(tried[best]), int(np.ptp(good)) // 2, float(_trimmed(fine)[best]))

    def _curve(self, sample: Fills, offsets: Ints) -> Floats:
        """Returns the mean distance of each account's fills at each offset (columns), in spreads."""
        accounts, which = np.unique(sample.account, return_inverse=True)
        counts = np.bincount(which, minlength=len(accounts))
        means = [
            np.bincount(which, self._apart(sample, sample.at - offset), len(accounts)) / counts
            for offset in offsets.tolist()
        ]
        return np.stack(means, axis=1)

    def _apart(self, fills: Fills, at: Ints) -> Floats:
        apart = np.abs(edge(fills, at, self._quoted, self._basis))
        return np.asarray(np.minimum(np.nan_to_num(apart, nan=_CLIP), _CLIP))

    def _sample(self, accounts: Flags) -> Fills:
        """Returns fills spread evenly over each account's time; the same ones for the same book."""
        rows = np.flatnonzero(accounts[self._fills.account])
        order = rows[np.lexsort((self._fills.at[rows], self._fills.account[rows]))]
        account = self._fills.account[order]
        starts = np.concatenate([[0], np.flatnonzero(np.diff(account)) + 1]) if len(order) else np.empty(0, np.int64)
        lengths = np.diff(np.append(starts, len(order)))
        rank = np.arange(len(order)) - np.repeat(starts, lengths)
        step = np.maximum(np.repeat(lengths, lengths) // _PER_ACCOUNT, 1)
        kept = order[rank % step == 0]
        return self._fills.rows(kept[:: len(kept) // _SAMPLE + 1])


def _best(curve: Floats, offsets: Ints) -> int:
    """Returns the place of the offset to believe: no offset at all, unless another is clearly better."""
    best = int(np.argmin(_trimmed(curve)))
    none = int(np.flatnonzero(offsets == 0)[0])
    return none if _as_good(curve, best)[none] else best


def _as_good(curve: Floats, best: int) -> Flags:
    """Returns which offsets explain the accounts as well as the best one, within chance. The accounts that the best one
    helps most are left out: a few traders with a delay of their own must not set the clock."""
    worse = np.sort(curve - curve[:, [best]], axis=0)[: _kept(len(curve))]
    chance = 3 * worse.std(axis=0) / np.sqrt(len(worse))
    return np.asarray(worse.mean(axis=0) <= np.maximum(np.minimum(chance, _UNSURE), _WORSE))


def _trimmed(curve: Floats) -> Floats:
    """Returns the mean over the accounts that each offset explains best."""
    return np.asarray(np.sort(curve, axis=0)[: _kept(len(curve))].mean(axis=0))


def _kept(accounts: int) -> int:
    return max(int(np.ceil(_KEPT * accounts)), 1)
