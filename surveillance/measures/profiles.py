"""How an account trades, as histograms by day: symbols, hours, holding times, sizes, and who places the trades.

Two profiles are compared by the Jensen-Shannon distance (0 alike, 1 nothing in common), and with what it is when the
days of both are dealt out at random: the trades of one day hang together, so days are dealt and not trades.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from surveillance.book import NEVER, REASONS, SECOND, UNKNOWN, Book, Floats, Ints
from surveillance.measures.groups import Groups
from surveillance.measures.local_time import local_times
from surveillance.measures.worth import usual_result
from surveillance.positions import ideas, positions

FEATURES: Final = ("symbols", "hours", "holding time", "size", "manual or expert")
HOLDING_BINS: Final = 21  # from a second, each twice as long as the one before
SIZE_BINS: Final = 33  # in half doublings around the usual size
MANUAL_WORDS: Final = ("manual", "expert", "signal")
_OF_LIKENESS: Final = ("symbols", "hours", "holding time")
_HOURS: Final = 24
_SHUFFLES: Final = 499
_SEED: Final = 1
_LARGEST_RISE: Final = 2.0  # in size between phases that may be a bolder trader; a smaller size is no change at all


@dataclass(frozen=True)
class Profile:
    """One account. `trades`: its positions. `days`: for each feature the counts, a row for each day that it traded.
    `sizes`: log2 of lots that compare over the room of the account, of each idea; `size_days`: the day of each, as a
    row of the counts."""

    account: int
    trades: int
    days: dict[str, Floats]
    sizes: Floats
    size_days: Ints

    def counts(self, feature: str) -> Floats:
        return np.asarray(self.days[feature].sum(axis=0))


@dataclass(frozen=True)
class Change:
    """Of one feature between two profiles: the distance, its mean over random days, how probable one as large is."""

    distance: float
    by_chance: float
    probability: float

    @property
    def effect(self) -> float:
        return max(self.distance - self.by_chance, 0.0)


def profiles(book: Book, chosen: Ints, leg_seconds: int) -> dict[int, Profile]:
    """Returns the profiles of these accounts, without those that did not trade."""
    part = book.of_accounts(chosen)
    trades = part.trades
    found, of_trade = ideas(trades, leg_seconds * SECOND, while_open=True)
    if not len(found):
        return {}
    units = np.bincount(of_trade, weights=usual_result(part) * trades.lots, minlength=len(found))
    size = np.log2(np.maximum(units, 1e-9) / np.maximum(part.accounts.size_minor[found.account], 1))
    local = local_times(part.accounts, found.account, found.opened)
    hour, day = local // (3600 * SECOND) % _HOURS, local // (86_400 * SECOND)
    lasted = np.where(found.closed == NEVER, SECOND, np.maximum(found.closed - found.opened, SECOND))
    holding = np.clip(np.log2(lasted / SECOND).astype(np.int64), 0, HOLDING_BINS - 1)
    # what was closed by a stop or a target does not say who placed it
    placed = np.where(trades.expert[found.first] != UNKNOWN, 1, 0)
    reason = trades.reason[found.first]
    placed = np.where(reason == REASONS.index("expert"), 1, np.where(reason == REASONS.index("signal"), 2, placed))
    kinds = {
        "symbols": (found.symbol.astype(np.int64), len(part.symbols)),
        "hours": (hour, _HOURS),
        "holding time": (holding, HOLDING_BINS),
        "manual or expert": (placed.astype(np.int64), len(MANUAL_WORDS)),
    }
    held = np.bincount(positions(trades).account, minlength=len(part.accounts))
    ideas_of = Groups(found.account, len(part.accounts))
    answer = {}
    for account in chosen.tolist():
        rows = ideas_of.of(account)
        if not len(rows):
            continue
        days, which = np.unique(day[rows], return_inverse=True)
        counts = {}
        for name, (values, bins) in kinds.items():
            counts[name] = _by_day(which, values[rows], len(days), bins)
        answer[account] = Profile(
            account, int(held[account]), counts, size[rows].astype(np.float64), which.astype(np.int64)
        )
    return answer


def changes(before: Profile, after: Profile) -> dict[str, Change]:
    """Returns how far each feature changed. Sizes are set against the usual size of each phase, so that trading smaller
    is no change; hours may move by one, as clocks do; what was never told is left out."""
    first, second = len(before.days["hours"]), len(after.days["hours"])
    rng = np.random.default_rng(_SEED)
    order = np.argsort(rng.random((_SHUFFLES, first + second)), axis=1)
    dealt = np.concatenate([np.arange(first + second)[None, :] < first, order < first]).astype(np.float64)
    found = {}
    for feature, table in _tables(before, after).items():
        one, other = smoothed(feature, dealt @ table), smoothed(feature, (1 - dealt) @ table)
        distance = js_distance(one, other)
        if feature == "hours":
            shifted = [js_distance(np.roll(one, shift, axis=1), other) for shift in (-1, 1)]
            distance = np.min([distance, *shifted], axis=0)
        probability = float(np.mean(distance >= distance[0] - 1e-12))
        found[feature] = Change(float(distance[0]), float(np.mean(distance[1:])), probability)
    return found


def likeness(one: Profile, others: Sequence[Profile]) -> Floats:
    """Returns the mean distance of the symbols, hours and holding times of an account to each of the others."""
    total = np.zeros(len(others))
    if not others:
        return total
    for feature in _OF_LIKENESS:
        mine = smoothed(feature, one.counts(feature)[None, :])
        theirs = smoothed(feature, np.stack([profile.counts(feature) for profile in others]))
        total += js_distance(np.repeat(mine, len(others), axis=0), theirs)
    return np.asarray(total / len(_OF_LIKENESS))


def js_distance(one: Floats, other: Floats) -> Floats:
    """Returns the Jensen-Shannon distance of each pair of rows of counts: the root of the divergence in bits."""
    p, q = (each / np.maximum(each.sum(axis=1, keepdims=True), 1e-12) for each in (one, other))
    middle = (p + q) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        bits = [np.where(each > 0, each * np.log2(each / middle), 0.0).sum(axis=1) for each in (p, q)]
    return np.asarray(np.sqrt(np.clip((bits[0] + bits[1]) / 2, 0.0, 1.0)))


def smoothed(feature: str, counts: Floats) -> Floats:
    """Spreads the counts of an ordered feature over neighbouring bins: the edge of a bin is no change of style."""
    if feature in ("symbols", "manual or expert"):
        return counts
    if feature == "hours":
        return np.asarray(0.5 * counts + 0.25 * (np.roll(counts, 1, axis=1) + np.roll(counts, -1, axis=1)))
    padded = np.pad(counts, ((0, 0), (1, 1)), mode="edge")
    return np.asarray(0.5 * counts + 0.25 * (padded[:, :-2] + padded[:, 2:]))


def sizes_of(before: Profile, after: Profile) -> tuple[Ints, Ints]:
    """Returns the bins of the sizes of both, around the usual size of each; one that rose more than a bolder trader's
    keeps the rest of the rise."""
    rise = float(np.median(after.sizes) - np.median(before.sizes))
    kept = max(rise - float(np.log2(_LARGEST_RISE)), 0.0)
    one = before.sizes - np.median(before.sizes)
    other = after.sizes - np.median(after.sizes) + kept
    bins = [np.clip(np.round(2 * each).astype(np.int64) + SIZE_BINS // 2, 0, SIZE_BINS - 1) for each in (one, other)]
    return bins[0], bins[1]


def _tables(before: Profile, after: Profile) -> dict[str, Floats]:
    """Returns the counts of each feature, a row for each day of the one and then of the other."""
    tables = {name: np.concatenate([before.days[name], after.days[name]]) for name in before.days}
    if not tables["manual or expert"][:, 1:].any():
        del tables["manual or expert"]
    bins = sizes_of(before, after)
    tables["size"] = np.concatenate(
        [
            _by_day(profile.size_days, of_ideas, len(profile.days["hours"]), SIZE_BINS)
            for profile, of_ideas in zip((before, after), bins, strict=True)
        ]
    )
    return tables


def _by_day(which: Ints, values: Ints, days: int, bins: int) -> Floats:
    return np.bincount(which * bins + values, minlength=days * bins).reshape(days, bins).astype(np.float64)
