"""Copy trading: an account repeats what another opens, again and again, at a steady lag.

To meet often is not enough: two followers of one signal meet as often as a copier and its model. A copy also closes
when its model closes, scales its sizes, and always comes second. Evidence is counted in points, and a pair whose
matches chance explains is never found, whatever its points.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isnan, nan
from typing import ClassVar, Final, Literal

import numpy as np
from pydantic import Field as Setting

from domain.surveillance.base import Thresholds
from domain.surveillance.evidence import Figures, Table
from domain.surveillance.findings import Finding, Severity
from surveillance.book import DAY, SECOND, Book, Ints
from surveillance.links import Links, links_of
from surveillance.matching import NO_MARKS, Field, Marks, Matched, candidates, marks, matched
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

_MOST_POINTS: Final = 110.0
_BEYOND_CHANCE: Final = 20.0  # points
_MOST_AT_ONCE: Final = 0.5  # from this share of matches at the same moment on, nobody comes second
_CLOSES_FOLLOW: Final = 0.5  # from here on the closes show that the one goes by the other
_LEAST_SURPRISE: Final = 10.0  # of the crowd at one lag; a first sieve, chance is computed afterwards
_CLOUD: Final = 2  # so many others whom the leader does not explain, or meetings without it, make a cloud
_TOGETHER: Final = 0.2  # the share of meetings in common from which two accounts are company
_ALONE: Final = 0.1  # the share of meetings without each other from which neither explains the other


class CopyTradingThresholds(Thresholds):
    """`own_copying`: noted (on the record, with a score below the line), scored (the product forbids it), or ignored.
    Points: closes that follow 30, sizes that follow 20, openings beyond chance 20, always second 15, share of the
    openings 15 (all from a half on), steady lag 10. Two who answer one move of the price open within
    `at_once_seconds` of each other, so unless the closes follow, such openings have no second."""

    near_line: ClassVar[Mapping[str, float]] = {"min_points": 0.85}

    split_seconds: int = Setting(default=20, ge=0)
    max_lag_seconds: int = Setting(default=300, ge=1)
    min_matches: int = Setting(default=5, ge=2)
    min_days: int = Setting(default=2, ge=1)
    min_share_pct: int = Setting(default=10, ge=1, le=100)
    min_second_pct: int = Setting(default=90, ge=50, le=100)
    at_once_seconds: float = Setting(default=0.5, ge=0)
    min_points: int = Setting(default=50, ge=1, le=110)
    hold_points: int = Setting(default=75, ge=1, le=110)
    false_discovery_pct: float = Setting(default=1.0, gt=0, le=100)
    own_copying: Literal["noted", "scored", "ignored"] = "noted"


@dataclass(frozen=True)
class Copy:
    """A follower (the subject of the matches) and its leader. `near`: the matches up to the lag, whoever came first;
    `second`: share of them in which the follower came second, NaN when most came at once."""

    pair: Matched
    near: Matched
    marks: Marks
    second: float
    points: float
    odds: Odds = NO_ODDS

    @property
    def leader(self) -> int:
        return self.pair.partner

    @property
    def follower(self) -> int:
        return self.pair.subject


class CopyTrading(Pattern[CopyTradingThresholds]):
    name = "copy_trading"
    scope = "firm"
    version = 2
    thresholds = CopyTradingThresholds

    def find(self, book: Book) -> Judged:
        if len(book.trades) == 0:
            return Judged()
        every = [self.limits.default, *self.limits.products.values()]
        field = Field.of(book, max(each.split_seconds for each in every) * SECOND)
        met = self._met(field, every)
        strong = self._without_clouds(book, met)
        tests = pairs_that_could_match(field, min(each.min_matches for each in every))
        copies = self._beyond_chance(field, strong, tests)
        return Judged(tuple(self._findings(field, copies)), not_compared(book))

    def _met(self, field: Field, every: Sequence[CopyTradingThresholds]) -> list[Copy]:
        """The pairs that meet often at one lag, with their points."""
        reach = max(each.max_lag_seconds for each in every) * SECOND
        found = candidates(
            field,
            reach,
            0,
            opposite=False,
            min_matches=min(each.min_matches for each in every),
            min_share=min(each.min_share_pct for each in every) / 100,
            min_surprise=_LEAST_SURPRISE,
        )
        least = min(each.min_second_pct for each in every) / 100
        return [_judged(field, pair, least, self.limits_of(field.book, pair.subject)) for pair in found]

    def _without_clouds(self, book: Book, met: Sequence[Copy]) -> list[Copy]:
        """The pairs with enough points that are not two of a cloud round a signal."""
        meets: dict[int, dict[int, set[int]]] = defaultdict(dict)
        for copy in met:
            meets[copy.follower].setdefault(copy.leader, set()).update(copy.near.mine.tolist())
            meets[copy.leader].setdefault(copy.follower, set()).update(copy.near.theirs.tolist())
        strong = [copy for copy in met if self._enough(book, copy)]
        follows = {(copy.leader, copy.follower) for copy in strong}
        return [copy for copy in strong if not _in_a_cloud(copy, meets[copy.follower], follows)]

    def _enough(self, book: Book, copy: Copy) -> bool:
        limits, pair = self.limits_of(book, copy.follower), copy.pair
        return (
            len(pair) >= limits.min_matches
            and pair.share * 100 >= limits.min_share_pct
            and pair.centre <= limits.max_lag_seconds * SECOND
            and not copy.second * 100 < limits.min_second_pct
            and copy.points + _BEYOND_CHANCE >= limits.min_points
        )

    def _beyond_chance(self, field: Field, strong: Sequence[Copy], tests: float) -> list[Copy]:
        every = odds(
            field,
            [(copy.pair, copy.marks) for copy in strong],
            reach=self.limits.default.max_lag_seconds * SECOND,
            opposite=False,
            tests=tests,
            false_discoveries=self.limits.default.false_discovery_pct / 100,
        )
        judged = [
            replace(copy, odds=known, points=copy.points + _BEYOND_CHANCE * known.certainty)
            for copy, known in zip(strong, every, strict=True)
            if known.stands and self._on_days(field, copy)
        ]
        return [each for each in judged if each.points >= self.limits_of(field.book, each.follower).min_points]

    def _on_days(self, field: Field, copy: Copy) -> bool:
        """Who is looked at all the time may meet somebody often on one day, but hardly twice as often as it takes."""
        limits = self.limits_of(field.book, copy.follower)
        days = len(np.unique(field.opened[copy.pair.mine] // DAY))
        return days >= limits.min_days or len(copy.pair) >= 2 * limits.min_matches

    def _findings(self, field: Field, copies: Sequence[Copy]) -> list[Finding]:
        """One finding per leader for other people's accounts, and one for the leader's own."""
        links = links_of(field.book)
        stars: dict[tuple[int, bool], list[Copy]] = defaultdict(list)
        followed = _one_leader_each(_one_way(field.book, copies))
        above = {copy.follower: copy.leader for copy in followed}
        for copy in followed:
            root = _head(copy, above)
            own = links.relation(copy.follower, root)[0] == "same_owner"
            stars[root, own].append(copy)
        found = []
        for (leader, own), star in sorted(stars.items()):
            stance = self.limits_of(field.book, star[0].follower).own_copying
            if not own or stance != "ignored":
                found.append(self._finding(field, leader, star, links, noted=own and stance == "noted"))
        return found

    def _finding(self, field: Field, leader: int, star: list[Copy], links: Links, *, noted: bool) -> Finding:
        book = field.book
        star = sorted(star, key=lambda copy: (-copy.points, copy.follower))
        best = star[0]
        limits = self.limits_of(book, best.follower)
        relation, strength = weakest([links.relation(copy.follower, leader) for copy in star])
        own = relation == "same_owner"
        used = np.concatenate([np.concatenate((copy.pair.theirs, copy.pair.mine)) for copy in star])
        severity: Severity = "note" if noted else "hold" if best.points >= limits.hold_points else "review"
        return self.finding(
            book,
            *(("own",) if own else ()),
            str(book.accounts.id[leader]),
            limits=limits,
            at=int(max(field.opened[copy.pair.mine].max() for copy in star)),
            score=NOTED if noted else score_of(best.points, limits.min_points, _MOST_POINTS),
            sentence=_sentence(book, leader, star, own=own),
            roles=[(leader, "leader"), *((copy.follower, "follower") for copy in star)],
            blamed=[] if noted else [copy.follower for copy in star],
            trades=field.trades_of(used),
            evidence=[_figures(best, limits), _followers(book, star), _matches(field, star)],
            chance=chance_words(len(best.pair), best.odds),
            ruled_out=_ruled_out(best, len(star)),
            exculpatory=_exculpatory(book, star),
            relation=relation,
            severity=severity,
            link_strength=strength,
        )


def _judged(field: Field, pair: Matched, min_second: float, limits: CopyTradingThresholds) -> Copy:
    """Whoever comes second too seldom is no follower, so nothing more is measured."""
    around = abs(pair.centre) + pair.half
    near = matched(field, pair.subject, pair.partner, 0, around, opposite=False)
    lags = field.opened[near.mine] - field.opened[near.theirs]
    second = _second(lags, 0)
    if second < min_second:
        return Copy(pair, near, NO_MARKS, second, 0.0)
    found = marks(field, pair, levels=False)
    if found.closes_follow < _CLOSES_FOLLOW:
        second = _second(lags, round(limits.at_once_seconds * SECOND))
    points = (
        30 * found.closes_follow
        + 20 * (0.0 if isnan(found.ratio_steady) else found.ratio_steady)
        + 15 * (0.0 if isnan(second) else max(2 * second - 1, 0.0))
        + 15 * min(2 * pair.share, 1.0)
        + 10 * found.steadiness
    )
    return Copy(pair, near, found, second, points)


def _second(lags: Ints, at_once: int) -> float:
    """Returns the share of the lags above `at_once` (microseconds) that are positive, NaN when there are few."""
    apart = lags[np.abs(lags) > at_once]
    return float((apart > 0).mean()) if len(apart) > (1 - _MOST_AT_ONCE) * len(lags) else nan


def _in_a_cloud(copy: Copy, meets: Mapping[int, set[int]], follows: set[tuple[int, int]]) -> bool:
    """Whoever copies meets the other followers only where the leader trades, too, and they follow that leader as well.
    Of followers of a signal each takes a part of the calls: two meet where a third is not, and few seem to follow one.
    `meets`: by account, the follower's openings near its own."""
    with_leader = meets[copy.leader]
    company = {
        other: each
        for other, each in meets.items()
        if other != copy.leader and len(each & with_leader) >= _TOGETHER * min(len(each), len(with_leader))
    }
    explained = sum((copy.leader, each) in follows or (each, copy.leader) in follows for each in company)
    if len(company) >= _CLOUD and explained < 0.5 * len(company):
        return True
    return any(_each_alone(with_leader, each) for each in company.values())


def _each_alone(one: set[int], other: set[int]) -> bool:
    only_one, only_other = len(one - other), len(other - one)
    share = min(only_one / len(one), only_other / len(other))
    return share > _ALONE and min(only_one, only_other) >= _CLOUD


def _one_way(book: Book, copies: Sequence[Copy]) -> list[Copy]:
    """Of two accounts that trade at the same moments each seems to follow the other: the older one leads."""
    known = {(copy.leader, copy.follower) for copy in copies}
    age = book.accounts.opened
    return [
        copy
        for copy in copies
        if (copy.follower, copy.leader) not in known
        or (int(age[copy.leader]), copy.leader) < (int(age[copy.follower]), copy.follower)
    ]


def _one_leader_each(copies: Sequence[Copy]) -> list[Copy]:
    """Each follower with the leader whom most follow: the others of a star come later than the leader, and seem to be
    copied by those who are later still."""
    count: dict[int, int] = defaultdict(int)
    for copy in copies:
        count[copy.leader] += 1
    best: dict[int, Copy] = {}
    for copy in copies:
        known = best.get(copy.follower)
        if known is None or _rank(copy, count) > _rank(known, count):
            best[copy.follower] = copy
    return [best[follower] for follower in sorted(best)]


def _rank(copy: Copy, count: dict[int, int]) -> tuple[int, float, int]:
    return count[copy.leader], copy.points, -copy.leader


def _head(copy: Copy, above: Mapping[int, int]) -> int:
    """The leader at the head of a chain: who copies a copier copies the first."""
    seen, leader = {copy.follower}, copy.leader
    while leader in above and leader not in seen:
        seen.add(leader)
        leader = above[leader]
    return leader


def _sentence(book: Book, leader: int, star: list[Copy], *, own: bool) -> str:
    best, ids, more = star[0], book.accounts.id, len(star) - 1
    whose = ", an account of the same trader" if own else ""
    what = (
        f"{ids[best.follower]} copies {ids[leader]}{whose}: {len(best.pair)} of {best.pair.openings} trades opened "
        f"about {words(best.marks.lag)} seconds after the same trade of {ids[leader]}, at {best.marks.ratio:.2f} times "
        f"the size."
    )
    also = f" {more} more accounts copy" if more > 1 else " 1 more account copies"
    return f"{what}{also} {ids[leader]}." if more else what


def _figures(best: Copy, limits: CopyTradingThresholds) -> Figures:
    told = [
        figure("Copied trades", len(best.pair), limits.min_matches),
        figure("Share of the copying account's trades", 100 * best.pair.share, limits.min_share_pct, "%"),
        figure("Typical delay", best.marks.lag, limits.max_lag_seconds, "s", "at_most"),
    ]
    if not isnan(best.second):
        told.append(
            figure("Matches in which the copying account was second", 100 * best.second, limits.min_second_pct, "%")
        )
    if best.marks.closes_tell:
        closes, by_chance = 100 * best.marks.closes, 100 * best.marks.closes_by_chance
        told.append(figure("Closes at the same delay (threshold: by chance)", closes, by_chance, "%"))
    return Figures(figures=(*told, figure("Evidence points", best.points, limits.min_points)))


def _followers(book: Book, star: list[Copy]) -> Table:
    return Table(
        title="Copying accounts",
        columns=(
            "Account",
            "Copied trades",
            "Expected by chance",
            "Share of all trades",
            "Delay, s",
            "Spread of the delay, s",
            "Size ratio",
            "Closes at the same delay",
        ),
        rows=tuple(
            (
                str(book.accounts.id[copy.follower]),
                f"{len(copy.pair)} of {copy.pair.openings}",
                words(copy.odds.expected),
                f"{100 * copy.pair.share:.0f} %",
                words(copy.marks.lag),
                words(copy.marks.lag_spread),
                f"{copy.marks.ratio:.2f}",
                f"{100 * copy.marks.closes:.0f} %" if copy.marks.closes_tell else "unknown",
            )
            for copy in star
        ),
    )


def _matches(field: Field, star: list[Copy]) -> Table:
    names = ("Copied account", "Copying account")
    return matches_table(field, [copy.pair for copy in star], "Copied trades", names)


def _ruled_out(best: Copy, followers: int) -> list[str]:
    told = [BUSY_MINUTE]
    if best.marks.closes_follow >= _CLOSES_FOLLOW:
        told.append("Two traders with the same signal: such traders close on their own, these accounts close together.")
    if best.second >= 0.95:
        told.append(
            f"Traders who answer the same signal: this account was second in {100 * best.second:.0f} % of cases."
        )
    if followers > 1:
        told.append(f"Traders who answer the same signal: all {followers} copying accounts trade after one account.")
    return told


def _exculpatory(book: Book, star: list[Copy]) -> list[Table]:
    rows = tuple(
        (str(book.accounts.id[copy.follower]), f"{copy.pair.openings - len(copy.pair)} of {copy.pair.openings}")
        for copy in star
        if copy.pair.share < 0.7
    )
    return [Table(title="Trades that copy nothing", columns=("Account", "Trades"), rows=rows)] if rows else []
