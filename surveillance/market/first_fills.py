"""Openings in the first seconds after releases: the traces of stop orders that waited for them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from scipy.stats import binom, chi2

from surveillance.book import DAY, MINUTE, SECOND, Book, Flags, Floats, Indexes, Ints
from surveillance.market.quotes import Reference

_USUAL: Final = 0.1  # of the openings in the minute after a release, at least so many are in its first seconds
_LEAST_USUAL: Final = 30  # openings that tell more of the firm's usual than `_USUAL` does
_CUTS: Final = (1, 4)  # the first seconds, and a quarter of them
_SUSPECT: Final = 0.75  # of an account's openings in the minute after a release
_EARLY: Final = SECOND
_LEAST_BRIEF: Final = 0.3  # in a small firm nobody knows what is usual


@dataclass(frozen=True)
class NewsTrades:
    """Openings in the minute after a release, one element each. `trade`: a row of the trades. `like_stop`: whether the
    price was beyond that of before the release, as that of a stop order is; true where no quotes tell it."""

    trade: Ints
    account: Indexes
    release: Ints
    after: Ints
    like_stop: Flags


@dataclass(frozen=True)
class FirstFills:
    """Of one account: the releases at which it opened (`due`), and those at which it did so `within` microseconds
    (`hit`), with these openings (`early`, rows of the news trades). `usual`: the share of all openings so early.
    `brief`: how many of the early ones were closed while the spike lasted; `usual_brief`: the share of the firm's."""

    hit: int
    due: int
    early: Ints
    within: int
    usual: float
    chance: float
    brief: int = 0
    usual_brief: float = 1.0


def news_trades(book: Book, releases: Mapping[int, Ints], quoted: Mapping[int, Reference]) -> NewsTrades:
    """`releases`, `quoted`: by the row of the symbol."""
    trades = book.trades
    release = np.full(len(trades), -DAY, dtype=np.int64)
    for symbol, times in releases.items():
        rows = np.flatnonzero(trades.symbol == symbol)
        if len(times) and len(rows):
            place = np.searchsorted(times, trades.opened[rows] + _EARLY, side="right") - 1
            release[rows] = np.where(place >= 0, times[np.maximum(place, 0)], -DAY)
    rows = np.flatnonzero(trades.opened - release <= MINUTE).astype(np.int64)
    before = np.full(len(rows), np.nan)
    for symbol, each in quoted.items():
        of = trades.symbol[rows] == symbol
        before[of] = _mid(each, release[rows[of]] - _EARLY)
    against = trades.side[rows] * (trades.open_price[rows] - before) <= 0  # false where there are no quotes
    return NewsTrades(rows, trades.account[rows], release[rows], trades.opened[rows] - release[rows], ~against)


def usual_shares(news: NewsTrades, count: int, first: int, least: int) -> list[tuple[int, float]]:
    """Returns (time after a release, the share of the openings in its minute that are no later and like a stop's).

    `count`: accounts; `first`: microseconds; `least`: openings in the first seconds of a suspect. Who opens mostly in
    the first seconds is a suspect, and tells nothing of how it usually is; nor do a few openings of a small firm.
    """
    in_minute, in_first = (np.bincount(news.account[news.after <= until], minlength=count) for until in (MINUTE, first))
    usual = (in_first < np.maximum(least, _SUSPECT * in_minute))[news.account]
    like_stop = float(news.like_stop[usual].mean()) if usual.any() else 1.0
    cuts = [first // part for part in _CUTS]
    told = int(usual.sum()) >= _LEAST_USUAL
    shares = [float((news.after[usual] <= cut).mean()) if told else 0.0 for cut in cuts]
    return [(cut, like_stop * max(share, _USUAL / part)) for cut, share, part in zip(cuts, shares, _CUTS, strict=True)]


def first_fills(news: NewsTrades, own: Ints, usual: list[tuple[int, float]]) -> FirstFills:
    """Returns what is least likely by chance. `own`: an account's rows of the news trades."""
    due = len(np.unique(news.release[own]))
    found = []
    for within, share in usual:
        early = own[(news.after[own] <= within) & news.like_stop[own]]
        hit = len(np.unique(news.release[early]))
        chance = min(len(_CUTS) * float(binom.sf(hit - 1, due, share)), 1.0)
        found.append(FirstFills(hit, due, early, within, share, chance))
    return min(found, key=lambda each: each.chance)


def with_holding(found: FirstFills, is_brief: Flags, usual: float) -> FirstFills:
    """Returns the same with how long the early ones were held: the chance is of both together. `is_brief`: by row of
    the news trades, whether it was closed while the spike lasted; `usual`: the share of the firm's that are."""
    many, brief = len(found.early), int(is_brief[found.early].sum())
    held = float(binom.sf(brief - 1, many, usual)) if many else 1.0
    both = -2 * (np.log(max(found.chance, 1e-300)) + np.log(max(held, 1e-300)))
    return replace(found, brief=brief, usual_brief=usual, chance=float(chi2.sf(both, 4)))


def usual_brief(news: NewsTrades, is_brief: Flags) -> float:
    """Returns the share of the openings in the minute after a release that are closed while the spike lasts; accounts
    count alike, however often they open."""
    if not len(news.account):
        return 1.0
    many = np.bincount(news.account)
    shares = np.bincount(news.account, weights=is_brief)[many > 0] / many[many > 0]
    return float(max(shares.mean(), _LEAST_BRIEF))


def whipsaws(book: Book, news: NewsTrades, early: Ints) -> int:
    """Returns at how many releases both sides of one symbol were opened among these news trades."""
    trades = news.trade[early]
    keys = np.stack([news.release[early], book.trades.symbol[trades], book.trades.side[trades]], axis=1)
    sides = np.unique(keys, axis=0)
    _, counts = np.unique(sides[:, :2], axis=0, return_counts=True)
    return int((counts == 2).sum())


def _mid(each: Reference, at: Ints) -> Floats:
    found = each.mid(at)
    if each.coarser is None:
        return found
    return np.where(np.isnan(found), _mid(each.coarser, at), found)
