"""Hedging across accounts: what one account opens, another opens the other way round, so that one of them must win.

About half of all openings in a symbol are opposite to each other, so an overlap alone means nothing. Two legs of one
hedge open and close together, with sizes that fit, again and again. Groups may net flat: one account long three lots,
three accounts short one each. Mini and micro are one symbol in the book; symbols of one group move together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isnan, log
from typing import ClassVar, Final, Literal

import numpy as np
from pydantic import Field as Setting

from domain.surveillance.base import Thresholds
from domain.surveillance.evidence import Figures, Table
from domain.surveillance.findings import Finding, Severity
from surveillance.book import DAY, SECOND, UNKNOWN, Book, Floats, Indexes, Ints
from surveillance.groups import Edge, Group, groups
from surveillance.links import Links, links_of
from surveillance.matching import Field, Marks, Matched, candidates, marks
from surveillance.pair_evidence import (
    BUSY_MINUTE,
    NOTED,
    chance_words,
    figure,
    matches_table,
    not_compared,
    score_of,
    weakest,
    words,
)
from surveillance.pattern import Judged, Pattern
from surveillance.surprise import NO_ODDS, Odds, odds, pairs_that_could_match

_LEAST_SURPRISE: Final = 8.0  # of the crowd at one lag; a first sieve, chance is computed afterwards
_MOST_POINTS: Final = 110.0
_BEYOND_CHANCE: Final = 20.0  # points
_AT_ONCE_SECONDS: Final = 2.0  # a spread of the lags that people who wait for the same level do not reach


class HedgingThresholds(Thresholds):
    """`own_hedging`: scored, noted (on the record, with a score below the line), or ignored. Points: closes together
    35, sizes that fit 20, openings beyond chance 20, opposite results 15, share of the openings 10, steady lag 10;
    15 less when the legs open seconds apart and close on their own."""

    near_line: ClassVar[Mapping[str, float]] = {"min_points": 0.85}

    split_seconds: int = Setting(default=20, ge=0)
    max_lag_seconds: int = Setting(default=300, ge=1)
    min_matches: int = Setting(default=3, ge=2)
    min_days: int = Setting(default=1, ge=1)
    min_share_pct: int = Setting(default=10, ge=1, le=100)
    size_tolerance_pct: int = Setting(default=15, ge=0, le=100)
    min_points: int = Setting(default=50, ge=1, le=110)
    hold_points: int = Setting(default=75, ge=1, le=110)
    false_discovery_pct: float = Setting(default=1.0, gt=0, le=100)
    own_hedging: Literal["scored", "noted", "ignored"] = "scored"


@dataclass(frozen=True)
class Hedge:
    """Two accounts. `sizes`: the subject's sizes over the partner's, each in units of the account's loss limit.
    `opposite`: 1 when what the one made for a lot the other lost, 0 when their results have nothing to do with each
    other, NaN when it cannot be said."""

    pair: Matched
    marks: Marks
    sizes: float
    opposite: float
    points: float
    odds: Odds = NO_ODDS


class Hedging(Pattern[HedgingThresholds]):
    name = "hedging"
    scope = "firm"
    version = 2
    thresholds = HedgingThresholds

    def find(self, book: Book) -> Judged:
        if len(book.trades) == 0:
            return Judged()
        every = [self.limits.default, *self.limits.products.values()]
        field = Field.of(book, max(each.split_seconds for each in every) * SECOND, _moving_together(book))
        strong = [hedge for hedge in self._met(field, every) if self._enough(field, hedge)]
        known = odds(
            field,
            [(hedge.pair, hedge.marks) for hedge in strong],
            reach=2 * self.limits.default.max_lag_seconds * SECOND,
            opposite=True,
            tests=pairs_that_could_match(field, min(each.min_matches for each in every)),
            false_discoveries=self.limits.default.false_discovery_pct / 100,
        )
        hedges = [
            replace(hedge, odds=each, points=hedge.points + _BEYOND_CHANCE * each.certainty)
            for hedge, each in zip(strong, known, strict=True)
            if each.stands
        ]
        enough = [each for each in hedges if each.points >= self.limits_of(book, each.pair.subject).min_points]
        return Judged(tuple(self._findings(field, enough)), not_compared(book))

    def _met(self, field: Field, every: Sequence[HedgingThresholds]) -> list[Hedge]:
        reach = max(each.max_lag_seconds for each in every) * SECOND
        found = candidates(
            field,
            reach,
            reach,
            opposite=True,
            min_matches=min(each.min_matches for each in every),
            min_share=min(each.min_share_pct for each in every) / 100,
            min_surprise=_LEAST_SURPRISE,
        )
        best: dict[tuple[int, int], Matched] = {}
        for pair in found:
            both = (min(pair.subject, pair.partner), max(pair.subject, pair.partner))
            if both not in best or _by_share(pair) > _by_share(best[both]):
                best[both] = pair
        return [self._judged(field, best[both]) for both in sorted(best)]

    def _judged(self, field: Field, pair: Matched) -> Hedge:
        limits = self.limits_of(field.book, pair.subject)
        found = marks(field, pair, levels=True)
        sizes = float(np.exp(np.median(np.log(_units(field, pair.mine)) - np.log(_units(field, pair.theirs)))))
        opposite = _opposite_results(field, pair)
        points = (
            35 * found.closes_follow
            + 20 * _fit(found, sizes, limits.size_tolerance_pct / 100)
            + 15 * (0.0 if isnan(opposite) else max(opposite, 0.0))
            + 10 * min(2 * max(pair.share, pair.their_share), 1.0)
            + 10 * found.steadiness
            - (15 if _close_alone(found) else 0)
        )
        return Hedge(pair, found, sizes, opposite, points)

    def _enough(self, field: Field, hedge: Hedge) -> bool:
        limits, pair = self.limits_of(field.book, hedge.pair.subject), hedge.pair
        return (
            len(pair) >= limits.min_matches
            and max(pair.share, pair.their_share) * 100 >= limits.min_share_pct
            and abs(pair.centre) <= limits.max_lag_seconds * SECOND
            and hedge.points + _BEYOND_CHANCE >= limits.min_points
            and len(np.unique(field.opened[pair.mine] // DAY)) >= limits.min_days
        )

    def _findings(self, field: Field, hedges: Sequence[Hedge]) -> list[Finding]:
        links, found = links_of(field.book), []
        by_pair = {_ends(hedge): hedge for hedge in hedges}
        edges = [Edge(*_ends(hedge), hedge.points / _MOST_POINTS) for hedge in hedges]
        named: set[str] = set()
        for group in groups(edges):
            inside = [by_pair[edge.one, edge.other] for edge in group.edges]
            relation = weakest([links.relation(*_ends(hedge)) for hedge in inside])
            stance = self.limits_of(field.book, inside[0].pair.subject).own_hedging
            own = relation[0] == "same_owner"
            if own and stance == "ignored":
                continue
            finding = self._finding(field, group, inside, links, noted=own and stance == "noted", taken=named)
            named.add(finding.key)
            found.append(finding)
        return found

    def _finding(
        self, field: Field, group: Group, inside: list[Hedge], links: Links, *, noted: bool, taken: set[str]
    ) -> Finding:
        book = field.book
        inside = sorted(inside, key=lambda hedge: (-hedge.points, _ends(hedge)))
        best, first = inside[0], _by_age(book, group.members)
        limits = self.limits_of(book, best.pair.subject)
        relation, strength = weakest([links.relation(*_ends(hedge)) for hedge in inside])
        severity: Severity = "note" if noted else "hold" if best.points >= limits.hold_points else "review"
        used = np.unique(np.concatenate([np.concatenate((each.pair.theirs, each.pair.mine)) for each in inside]))
        name = [str(book.accounts.id[first[0]])]
        if f"{self.name}/{name[0]}" in taken:
            name.append(str(book.accounts.id[first[1]]))
        return self.finding(
            book,
            *name,
            limits=limits,
            at=int(field.opened[used].max()),
            score=NOTED if noted else score_of(best.points, limits.min_points, _MOST_POINTS),
            sentence=_sentence(book, best, group),
            roles=[(member, "leg") for member in first],
            blamed=[] if noted else list(first),
            trades=field.trades_of(used),
            evidence=[_figures(best, limits), _legs(field, inside, used), _matches(field, inside)],
            chance=chance_words(len(best.pair), best.odds),
            ruled_out=_ruled_out(best),
            exculpatory=_exculpatory(book, best),
            relation=relation,
            severity=severity,
            link_strength=strength,
        )


def _moving_together(book: Book) -> Indexes:
    """By symbol, the first symbol of its group: what moves together is compared as one."""
    group = book.symbols.group
    first = {int(name): int(np.flatnonzero(group == name)[0]) for name in np.unique(group) if name != UNKNOWN}
    return np.array([first.get(int(name), row) for row, name in enumerate(group)], dtype=np.int32)


def _ends(hedge: Hedge) -> tuple[int, int]:
    one, other = hedge.pair.subject, hedge.pair.partner
    return min(one, other), max(one, other)


def _by_share(pair: Matched) -> tuple[int, float, int]:
    return len(pair), pair.share, -pair.subject


def _by_age(book: Book, members: Sequence[int]) -> list[int]:
    """The oldest account first: a group keeps its name when an account joins it."""
    return sorted(members, key=lambda row: (int(book.accounts.opened[row]), str(book.accounts.id[row])))


def _units(field: Field, rows: Ints) -> Floats:
    """The size of ideas in what their accounts may lose; where no limit is known, in price alone."""
    book, found = field.book, field.ideas
    limit = book.accounts.max_loss_minor[found.account[rows]].astype(np.float64)
    limit = np.where(limit > 0, limit, 100.0)
    return np.asarray(
        found.lots[rows] * book.symbols.contract_size[found.symbol[rows]] * found.open_price[rows] / limit
    )


def _opposite_results(field: Field, pair: Matched) -> float:
    """Costs make both legs lose a little, so results are correlated and signs are not counted."""
    found = field.ideas
    told = found.is_closed[pair.mine] & found.is_closed[pair.theirs]
    if told.sum() < 3:
        return float("nan")
    mine, theirs = (found.profit_minor[rows[told]] / found.lots[rows[told]] for rows in (pair.mine, pair.theirs))
    if min(float(np.std(mine)), float(np.std(theirs))) == 0:
        return float("nan")
    return float(-np.corrcoef(mine, theirs)[0, 1])


def _close_alone(found: Marks) -> bool:
    """Two views of one market meet at the same levels, within seconds of each other, and part as each likes."""
    few = found.compared_closes < 3 or not found.closes_tell
    return not few and found.closes_follow < 0.2 and found.lag_spread > _AT_ONCE_SECONDS


def _fit(found: Marks, sizes: float, tolerance: float) -> float:
    """Sizes fit when one follows the other, or when they are equal in lots or in units of the loss limits."""
    steady = 0.0 if isnan(found.ratio_steady) else found.ratio_steady
    equal = min(abs(log(found.ratio)), abs(log(sizes))) <= log(1 + tolerance)
    alike = 0.75 if equal else 0.25
    return max(steady, alike if found.ratio_spread <= log(1 + tolerance) else 0.0)


def _net_share(field: Field, used: Ints) -> float:
    """The share of what a group opened that the other side did not offset, in lots times price."""
    book, found = field.book, field.ideas
    size = found.lots[used] * book.symbols.contract_size[found.symbol[used]] * found.open_price[used]
    return float(abs((size * found.side[used]).sum()) / max(size.sum(), 1e-12))


def _sentence(book: Book, best: Hedge, group: Group) -> str:
    pair, ids = best.pair, book.accounts.id
    later, earlier = (pair.subject, pair.partner) if pair.centre >= 0 else (pair.partner, pair.subject)
    what = (
        f"{ids[later]} opened {len(pair)} trades opposite to trades of {ids[earlier]}, each within "
        f"{words(abs(pair.centre) / SECOND + pair.half / SECOND)} seconds"
    )
    if best.marks.closes_tell:
        what += f"; {100 * best.marks.closes:.0f} % of the pairs closed together"
    more = len(group.members) - 2
    also = f" {more} more accounts take part." if more > 1 else " 1 more account takes part."
    return f"{what}.{also}" if more else f"{what}."


def _figures(best: Hedge, limits: HedgingThresholds) -> Figures:
    pair, found = best.pair, best.marks
    share = 100 * max(pair.share, pair.their_share)
    told = [
        figure("Opposite trades", len(pair), limits.min_matches),
        figure("Share of an account's trades", share, limits.min_share_pct, "%"),
        figure("Typical delay", abs(found.lag), limits.max_lag_seconds, "s", "at_most"),
    ]
    if found.closes_tell:
        closes, by_chance = 100 * found.closes, 100 * found.closes_by_chance
        told.append(figure("Pairs that closed together (threshold: by chance)", closes, by_chance, "%"))
    if not isnan(best.opposite):
        told.append(figure("Opposite results (0 when unrelated)", 100 * best.opposite, 0, "%"))
    return Figures(figures=(*told, figure("Evidence points", best.points, limits.min_points)))


def _legs(field: Field, inside: list[Hedge], used: Ints) -> Table:
    ids = field.book.accounts.id
    return Table(
        title=f"Hedged pairs: {100 * _net_share(field, used):.0f} % of the traded size is not hedged",
        columns=(
            "Accounts",
            "Opposite trades",
            "Expected by chance",
            "Share of each account's trades",
            "Size ratio by loss limit",
            "Opposite results",
        ),
        rows=tuple(
            (
                f"{ids[hedge.pair.partner]}, {ids[hedge.pair.subject]}",
                str(len(hedge.pair)),
                words(hedge.odds.expected),
                f"{100 * hedge.pair.their_share:.0f} %, {100 * hedge.pair.share:.0f} %",
                f"{hedge.sizes:.2f}",
                "unknown" if isnan(hedge.opposite) else f"{100 * hedge.opposite:.0f} %",
            )
            for hedge in inside
        ),
    )


def _matches(field: Field, inside: list[Hedge]) -> Table:
    return matches_table(
        field, [hedge.pair for hedge in inside], "Opposite trades", ("First account", "Second account")
    )


def _ruled_out(best: Hedge) -> list[str]:
    told = [BUSY_MINUTE]
    if best.marks.closes_follow >= 0.5:
        told.append("Two opposite strategies: such traders close on their own, these accounts close together.")
    return told


def _exculpatory(book: Book, best: Hedge) -> list[Table]:
    pair, ids = best.pair, book.accounts.id
    if max(pair.share, pair.their_share) >= 0.7:
        return []
    each = ((pair.subject, pair.openings), (pair.partner, pair.their_openings))
    rows = tuple((str(ids[account]), f"{openings - len(pair)} of {openings}") for account, openings in each)
    return [Table(title="Trades without an opposite trade", columns=("Account", "Trades"), rows=rows)]
