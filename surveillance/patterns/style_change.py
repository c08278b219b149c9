"""Style change: another hand trades the next phase of a challenge, and a service that passes phases for many."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
from pydantic import Field

from domain.surveillance.base import Thresholds
from domain.surveillance.evidence import Evidence, Table
from domain.surveillance.findings import Finding
from surveillance.book import NEVER, Book, Floats, Ints
from surveillance.measures import shown
from surveillance.measures.profiles import (
    FEATURES,
    MANUAL_WORDS,
    Change,
    Profile,
    changes,
    likeness,
    profiles,
    sizes_of,
)
from surveillance.pattern import Judged, Pattern

_FEWEST_PAIRS: Final = 30  # of phases, from which the firm's own changes are a measure
_MOST_USUAL: Final = 0.45  # so that a firm or a file full of changes does not hide them
_MOST_OTHERS: Final = 60  # whose likeness is shown beside that of a group
_HOURS: Final = 24


class StyleChangeThresholds(Thresholds):
    """Distances are Jensen-Shannon's, less what random days give: 0 alike, 1 nothing in common. Prop Number One names
    another asset class, and an expert in one phase and hands in the next: one feature that changed wholly. No firm
    states distances. `max_alike_distance`, `min_unlike_distance`: of owners before and after a passing service."""

    near_line: ClassVar[Mapping[str, float]] = {
        "min_total_distance": 0.9,
        "min_distance_of_one": 0.9,
        "max_probability": 3.0,
    }

    leg_seconds: int = Field(default=30, ge=0)
    min_trades: int = Field(default=30, ge=2)
    min_days: int = Field(default=8, ge=2)
    max_probability: float = Field(default=0.01, gt=0, lt=1)
    min_distance: float = Field(default=0.3, gt=0, lt=1)
    min_total_distance: float = Field(default=0.9, gt=0)
    min_distance_of_one: float = Field(default=0.75, gt=0, lt=1)
    min_times_usual_spread: float = Field(default=4, ge=0)
    min_owners_of_service: int = Field(default=3, ge=2)
    max_alike_distance: float = Field(default=0.3, gt=0, lt=1)
    min_unlike_distance: float = Field(default=0.45, gt=0, lt=1)


@dataclass(frozen=True)
class Phases:
    """Two phases that follow each other, and how far each feature changed."""

    before: Profile
    after: Profile
    changes: Mapping[str, Change]


@dataclass(frozen=True)
class Found:
    """`changed`: the features over the line, by their effect. `lines`: the least effect that counts, by feature."""

    phases: Phases
    changed: tuple[str, ...]
    lines: Mapping[str, float]

    @property
    def total(self) -> float:
        return sum(self.phases.changes[feature].effect for feature in self.changed)


class StyleChange(Pattern[StyleChangeThresholds]):
    """Compares the phases of one challenge with each other, and owners with owners. A feature counts when it changed
    beyond chance (days dealt out at random) and beyond what the traders of this firm change."""

    name = "style_change"
    scope = "firm"
    thresholds = StyleChangeThresholds

    def find(self, book: Book) -> Judged:
        limits = self.limits.default
        told, short = _phases(book, limits)
        usual = _usual_changes(told, limits)
        found = [each for each in (self._changed(book, phases, usual) for phases in told) if each is not None]
        over = [each for each in found if self._is_over(book, each)]
        findings = [self._finding(book, each) for each in over]
        findings += [self._service(book, group, told) for group in _services(book, found, limits)]
        why = f"{short} phases have too few trades or days to be compared with the phase before" if short else None
        return Judged(tuple(findings), why)

    def _changed(self, book: Book, phases: Phases, usual: Mapping[str, float]) -> Found | None:
        """Returns which features changed, beyond chance and beyond what honest traders of the firm change."""
        limits = self.limits_of(book, phases.after.account)
        lines = {feature: max(limits.min_distance, usual.get(feature, 0.0)) for feature in phases.changes}
        changed = [
            feature
            for feature, change in phases.changes.items()
            if change.probability <= limits.max_probability and change.effect >= lines[feature]
        ]
        changed.sort(key=lambda feature: -phases.changes[feature].effect)
        return Found(phases, tuple(changed), lines) if changed else None

    def _is_over(self, book: Book, found: Found) -> bool:
        limits = self.limits_of(book, found.phases.after.account)
        alone = found.phases.changes[found.changed[0]].effect >= limits.min_distance_of_one
        return alone or (len(found.changed) > 1 and found.total >= limits.min_total_distance)

    def _finding(self, book: Book, found: Found) -> Finding:
        before, after = found.phases.before, found.phases.after
        limits = self.limits_of(book, after.account)
        effects = {feature: found.phases.changes[feature] for feature in found.changed}
        score = max(
            shown.rising(found.total, limits.min_total_distance, 3.0),
            shown.rising(next(iter(effects.values())).effect, limits.min_distance_of_one, 1.0) if effects else 0.0,
        )
        names = [str(book.accounts.id[profile.account]) for profile in (before, after)]
        phases = [book.accounts.phases[book.accounts.phase[profile.account]] for profile in (before, after)]
        trades = np.flatnonzero(np.isin(book.trades.account, [before.account, after.account]))
        worst = max(change.probability for change in effects.values())
        return self.finding(
            book,
            *names,
            limits=limits,
            at=int(np.max(book.trades.opened[trades])),
            score=max(score, 0.5),
            sentence=(
                f"The trading style changed between the phases {phases[0]} and {phases[1]}: {_listed(found.changed)}."
            ),
            roles=[(before.account, "phase_before"), (after.account, "phase_after")],
            blamed=[before.account, after.account],
            trades=trades,
            evidence=[_figures(found), *_histograms(book, before, after)],
            chance=(
                f"When the days of both phases are mixed at random, a change as large appears in {100 * worst:.1f} % "
                f"of the mixes. The average change between mixed days is {_means(effects)}."
            ),
            ruled_out=(
                "Smaller trades on a funded account: sizes are compared with the usual size of each phase.",
                "Daylight saving time: trading hours may shift by one hour.",
                "A few unusual days: whole days are mixed at random for the comparison.",
            ),
            exculpatory=[_unchanged(found)],
            relation="same_owner",
        )

    def _service(self, book: Book, group: Sequence[Found], told: Sequence[Phases]) -> Finding:
        limits = self.limits.default
        group = sorted(group, key=lambda each: int(book.accounts.opened[each.phases.before.account]))
        alike, unlike = (
            np.median(_distances([getattr(each.phases, side) for each in group])) for side in ("before", "after")
        )
        others = _distances([phases.before for phases in told[:200]])
        share = float(np.mean(others <= limits.max_alike_distance)) if len(others) else 0.0
        accounts = [(each.phases.before.account, each.phases.after.account) for each in group]
        trades = np.flatnonzero(np.isin(book.trades.account, [before for before, _ in accounts]))
        score = (
            shown.rising(len(group), limits.min_owners_of_service, limits.min_owners_of_service + 4)
            + shown.rising(alike, limits.max_alike_distance, 0.0)
            + shown.rising(unlike, limits.min_unlike_distance, 0.9)
        ) / 3
        return self.finding(
            book,
            "service",
            str(book.accounts.id[accounts[0][0]]),
            limits=limits,
            at=int(np.max(book.trades.opened[trades])),
            score=max(score, 0.5),
            sentence=(
                f"{len(group)} traders traded alike in one phase (difference {alike:.2f} of 1) and differently in the "
                f"next ({unlike:.2f} of 1): one person may have passed the phase for all of them."
            ),
            roles=[(before, "passed_phase") for before, _ in accounts]
            + [(after, "own_phase") for _, after in accounts],
            blamed=[account for pair in accounts for account in pair],
            trades=trades,
            evidence=[_owners(book, group)],
            chance=f"{100 * share:.1f} % of the other pairs of traders trade as alike in that phase.",
            ruled_out=("A popular trading style: the same traders trade differently in the next phase.",),
            relation="stranger",
            link_strength=min(max(1.0 - alike, 0.0), 1.0),
        )


def _phases(book: Book, limits: StyleChangeThresholds) -> tuple[list[Phases], int]:
    """Returns the pairs of phases that can be compared, and how many cannot for lack of trades or days."""
    pairs = _pairs(book)
    many = np.bincount(book.trades.account, minlength=len(book.accounts)) >= limits.min_trades
    enough = pairs[many[pairs].all(axis=1)]
    told = profiles(book, np.unique(enough), limits.leg_seconds) if len(enough) else {}
    found = []
    for first, second in enough.tolist():
        before, after = told[first], told[second]
        if all(
            each.trades >= limits.min_trades and len(each.days["hours"]) >= limits.min_days for each in (before, after)
        ):
            found.append(Phases(before, after, changes(before, after)))
    return found, len(pairs) - len(found)


def _pairs(book: Book) -> Ints:
    """Returns (account, account of the next phase) in rows: of one challenge, or of one owner where an account stands
    alone in its challenge and the next begins when it has ended. Both traded."""
    accounts, trades = book.accounts, book.trades
    first, last = np.full(len(accounts), NEVER), np.full(len(accounts), -1)
    np.minimum.at(first, trades.account, trades.opened)
    np.maximum.at(last, trades.account, trades.opened)
    traded = np.flatnonzero(last >= 0)
    order = traded[np.lexsort((first[traded], accounts.owner[traded]))]
    earlier, later = order[:-1], order[1:]
    alone = np.bincount(accounts.challenge, minlength=len(accounts.challenges))[accounts.challenge] == 1
    linked = (accounts.challenge[earlier] == accounts.challenge[later]) | (alone[earlier] & alone[later])
    linked &= (accounts.owner[earlier] == accounts.owner[later]) & (accounts.phase[earlier] != accounts.phase[later])
    pairs: Ints = np.stack([earlier, later], axis=1)[linked & (last[earlier] <= first[later])]
    return pairs


def _usual_changes(told: Sequence[Phases], limits: StyleChangeThresholds) -> dict[str, float]:
    """Returns the effect by feature beyond which a change is unusual in this firm: its median and some spreads."""
    found = {}
    for feature in FEATURES:
        effects = np.array([phases.changes[feature].effect for phases in told if feature in phases.changes])
        if len(effects) >= _FEWEST_PAIRS:
            middle = np.median(effects)
            spread = 1.48 * np.median(np.abs(effects - middle))
            found[feature] = min(float(middle + limits.min_times_usual_spread * spread), _MOST_USUAL)
    return found


def _distances(each: Sequence[Profile]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.concatenate([np.zeros(0), *(likeness(one, each[n + 1 :]) for n, one in enumerate(each[:-1]))])


def _services(book: Book, found: Sequence[Found], limits: StyleChangeThresholds) -> list[list[Found]]:
    """Returns groups of owners whose phases before are alike and whose phases after are not."""
    left = [each for each in found if likeness(each.phases.before, [each.phases.after])[0] > limits.max_alike_distance]
    groups = []
    while left:
        seed, *others = left
        near = likeness(seed.phases.before, [each.phases.before for each in others]) <= limits.max_alike_distance
        group = [seed, *(each for each, is_near in zip(others, near.tolist(), strict=True) if is_near)]
        left = [each for each, is_near in zip(others, near.tolist(), strict=True) if not is_near]
        owners = {int(book.accounts.owner[each.phases.before.account]) for each in group}
        if len(owners) < limits.min_owners_of_service:
            continue
        if float(np.median(_distances([each.phases.after for each in group]))) >= limits.min_unlike_distance:
            groups.append(group)
    return groups


def _listed(features: Sequence[str]) -> str:
    return features[0] if len(features) == 1 else f"{', '.join(features[:-1])} and {features[-1]}"


def _means(effects: Mapping[str, Change]) -> str:
    return ", ".join(f"{change.by_chance:.2f} for {feature}" for feature, change in effects.items())


def _figures(found: Found) -> Evidence:
    changes = found.phases.changes
    return shown.figures(
        *(
            (
                f"Change of {feature} beyond chance, 0 to 1",
                changes[feature].effect,
                found.lines[feature],
                "at_least",
                "",
            )
            for feature in found.changed
        )
    )


def _unchanged(found: Found) -> Evidence:
    rows = [
        (feature, f"{change.distance:.2f}", f"{change.by_chance:.2f}", f"{100 * change.probability:.1f} %")
        for feature, change in found.phases.changes.items()
        if feature not in found.changed
    ]
    columns = ("Feature", "Change, 0 to 1", "Expected by chance", "Probability by chance")
    return Table(title="What did not change", columns=columns, rows=tuple(rows))


def _histograms(book: Book, before: Profile, after: Profile) -> list[Evidence]:
    """Returns both histograms of each feature as shares."""
    labels: dict[str, Sequence[str]] = {
        "symbols": [str(name) for name in book.symbols.name],
        "hours": [f"{hour:02d}:00" for hour in range(_HOURS)],
        "holding time": [f"{2**n} s" for n in range(before.days["holding time"].shape[1])],
        "manual or expert": MANUAL_WORDS,
    }
    counts = {name: (before.counts(name), after.counts(name)) for name in labels}
    bins = sizes_of(before, after)
    most = int(max(bins[0].max(), bins[1].max())) + 1
    labels["size"] = [f"{2 ** ((n - 16) / 2):.2f} x usual" for n in range(most)]
    counts["size"] = (
        np.bincount(bins[0], minlength=most).astype(float),
        np.bincount(bins[1], minlength=most).astype(float),
    )
    return [_histogram(name, labels[name], counts[name]) for name in FEATURES]


def _histogram(name: str, labels: Sequence[str], counts: tuple[Floats, Floats]) -> Table:
    one, other = (each / max(float(each.sum()), 1.0) for each in counts)
    rows = [
        (label, f"{100 * first:.0f} %", f"{100 * second:.0f} %")
        for label, first, second in zip(labels, one.tolist(), other.tolist(), strict=True)
        if first + second > 0
    ]
    return Table(
        type="histogram", title=f"Trades by {name}", columns=("Value", "Earlier phase", "Later phase"), rows=tuple(rows)
    )


def _owners(book: Book, group: Sequence[Found]) -> Table:
    rows = [
        (
            str(book.accounts.owners[book.accounts.owner[each.phases.before.account]]),
            str(book.accounts.id[each.phases.before.account]),
            str(book.accounts.id[each.phases.after.account]),
            _listed(each.changed),
        )
        for each in group
    ]
    columns = ("Trader", "Account of the passed phase", "Account of the next phase", "What changed")
    return Table(title="Traders", columns=columns, rows=tuple(rows))
