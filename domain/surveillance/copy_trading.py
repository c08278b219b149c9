"""Copy trading: one owner's openings repeat another's, at a steady lag and a steady ratio of size.

Independent traders meet in the same news minute too. What gives a copier away is that nearly all it opens has a
model, again and again, equally late and equally scaled; all of that is asked for before anything is said.
"""

from bisect import bisect_left, insort
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

DETECTOR: Final = "copy_trading"
_LATENESS: Final = timedelta(minutes=5)  # how much later than the newest an opening may still be reported
_SWEEP: Final = timedelta(hours=1)


class CopyTradingThresholds(BaseModel):
    """Times are market time; the window slides with the newest opening."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    window_hours: int = Field(default=72, ge=1)
    max_lag_seconds: int = Field(default=60, ge=1)
    lag_tolerance_seconds: int = Field(default=6, ge=0)
    ratio_tolerance_pct: int = Field(default=10, ge=0, lt=100)
    min_matches: int = Field(default=5, ge=2)
    min_share_pct: int = Field(default=70, ge=1, le=100)


@dataclass(frozen=True, slots=True)
class Opening:
    """A deal that opened a position. `deal` is its number in the order of storing."""

    deal: int
    account_id: str
    owner_id: str
    symbol: str
    side: str
    lots: Decimal
    at: datetime


@dataclass(frozen=True, slots=True)
class Match:
    leader: Opening
    follower: Opening

    @property
    def lag(self) -> timedelta:
        return self.follower.at - self.leader.at

    @property
    def ratio(self) -> Decimal:
        return self.follower.lots / self.leader.lots


class Copied(BaseModel):
    """One piece of evidence: the two deals, seconds between them, size of the copy over the size of the model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    leader_deal: int
    follower_deal: int
    symbol: str
    side: str
    lag_seconds: Decimal
    ratio: Decimal


class Finding(BaseModel):
    """`score` 0..1 rises with the share of the follower's openings that are copies, and with their number."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    leader: str
    follower: str
    at: datetime
    score: Decimal
    openings: int
    pairs: tuple[Copied, ...]
    sentence: str

    @property
    def key(self) -> str:
        return f"{DETECTOR}/{self.leader}/{self.follower}"


@dataclass
class CopyTradingDetector:
    """Feed it every opening once; one that was seen before, or is older than the window, is ignored. Each pair of
    accounts is found once. What has left the window is forgotten within an hour of market time."""

    thresholds: CopyTradingThresholds
    _newest: datetime | None = None
    _swept: datetime | None = None
    _recent: dict[tuple[str, str], list[Opening]] = field(default_factory=dict)
    _by_account: dict[str, list[Opening]] = field(default_factory=dict)
    _matches: dict[tuple[str, str], dict[int, Match]] = field(default_factory=dict)
    _found: set[tuple[str, str]] = field(default_factory=set)

    def observe(self, opening: Opening) -> list[Finding]:
        """Take in one opening and give the pairs that it makes conspicuous, mostly none."""
        self._newest = max(self._newest or opening.at, opening.at)
        if opening.at < self._since(self._newest):
            return []
        mine = self._by_account.setdefault(opening.account_id, [])
        place = bisect_left(mine, _order(opening), key=_order)
        if mine[place : place + 1] == [opening]:
            return []
        mine.insert(place, opening)
        self._sweep(self._newest)
        neighbours = self._recent.setdefault((opening.symbol, opening.side), [])
        touched = [self._remember(match) for match in self._pairings(opening, neighbours)]
        insort(neighbours, opening, key=_order)
        stale = self._newest - timedelta(seconds=self.thresholds.max_lag_seconds) - _LATENESS
        del neighbours[: bisect_left(neighbours, stale, key=lambda o: o.at)]
        found = [finding for pair in sorted(set(touched)) if (finding := self._judge(pair))]
        self._found.update((finding.leader, finding.follower) for finding in found)
        return found

    def _since(self, newest: datetime) -> datetime:
        return newest - timedelta(hours=self.thresholds.window_hours)

    def _sweep(self, newest: datetime) -> None:
        """Forget what has left the window, also of those who trade no more."""
        if self._swept is not None and newest - self._swept < _SWEEP:
            return
        self._swept, since = newest, self._since(newest)
        for openings in (*self._by_account.values(), *self._recent.values()):
            del openings[: bisect_left(openings, since, key=lambda o: o.at)]
        for known in self._matches.values():
            for deal in [deal for deal, match in known.items() if match.follower.at < since]:
                del known[deal]
        self._by_account = {name: openings for name, openings in self._by_account.items() if openings}
        self._recent = {key: openings for key, openings in self._recent.items() if openings}
        self._matches = {pair: known for pair, known in self._matches.items() if known}

    def _pairings(self, opening: Opening, neighbours: list[Opening]) -> list[Match]:
        """The opening as a copy of what came just before it and, when it is reported late, as a model of later ones."""
        reach = timedelta(seconds=self.thresholds.max_lag_seconds)
        start = bisect_left(neighbours, opening.at - reach, key=lambda o: o.at)
        near = [
            other
            for other in neighbours[start:]
            if other.at <= opening.at + reach and other.owner_id != opening.owner_id
        ]
        return [
            Match(other, opening) if _order(other) < _order(opening) else Match(opening, other)
            for other in near
            if other.account_id != opening.account_id
        ]

    def _remember(self, match: Match) -> tuple[str, str]:
        """Keep the closest model per copy, so that one opening counts once for a pair."""
        pair = (match.leader.account_id, match.follower.account_id)
        known = self._matches.setdefault(pair, {})
        before = known.get(match.follower.deal)
        if before is None or match.lag < before.lag:
            known[match.follower.deal] = match
        return pair

    def _judge(self, pair: tuple[str, str]) -> Finding | None:
        # who trades every minute also follows its own copier; the first direction found is the shorter lag
        if pair in self._found or pair[::-1] in self._found or self._newest is None:
            return None
        limits = self.thresholds
        since = self._since(self._newest)
        known = self._matches[pair] = {
            deal: match for deal, match in self._matches[pair].items() if match.follower.at >= since
        }
        mine = self._by_account[pair[1]]
        del mine[: bisect_left(mine, since, key=lambda o: o.at)]
        alike = _alike(list(known.values()), limits)
        if len(alike) < limits.min_matches or len(alike) * 100 < len(mine) * limits.min_share_pct:
            return None
        return _finding(pair, alike, len(mine), self._newest)


def _order(opening: Opening) -> tuple[datetime, int]:
    return opening.at, opening.deal


def _alike(matches: list[Match], limits: CopyTradingThresholds) -> list[Match]:
    """The matches whose lag and size ratio lie close to the pair's own medians, oldest first."""
    if len(matches) < limits.min_matches:
        return []
    lag, ratio = _middle(matches)
    near = timedelta(seconds=limits.lag_tolerance_seconds)
    alike = [
        match
        for match in matches
        if abs(match.lag - lag) <= near and abs(match.ratio - ratio) * 100 <= ratio * limits.ratio_tolerance_pct
    ]
    return sorted(alike, key=lambda match: _order(match.follower))


def _middle(matches: list[Match]) -> tuple[timedelta, Decimal]:
    """The median lag and the median ratio, each one that occurred."""
    half = len(matches) // 2
    return sorted(match.lag for match in matches)[half], sorted(match.ratio for match in matches)[half]


def _finding(pair: tuple[str, str], alike: list[Match], openings: int, at: datetime) -> Finding:
    count = len(alike)
    typical, ratio = _middle(alike)
    lag = _seconds(typical)
    score = (Decimal(count) / openings * count / (count + 1)).quantize(Decimal("0.0001"))
    return Finding(
        leader=pair[0],
        follower=pair[1],
        at=at,
        score=score,
        openings=openings,
        pairs=tuple(
            Copied(
                leader_deal=match.leader.deal,
                follower_deal=match.follower.deal,
                symbol=match.follower.symbol,
                side=match.follower.side,
                lag_seconds=_seconds(match.lag),
                ratio=match.ratio.quantize(Decimal("0.001")),
            )
            for match in alike
        ),
        sentence=f"{count} of {openings} openings repeat another trader's symbol and side, each about {lag.normalize():f} "
        f"seconds later at {ratio:.2f} times the size.",
    )


def _seconds(lag: timedelta) -> Decimal:
    return (Decimal(lag // timedelta(milliseconds=100)) / 10).quantize(Decimal("0.1"))
