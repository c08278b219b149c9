"""Copy trading: one owner's openings repeat another's, at a steady lag and a steady ratio of size.

Independent traders meet in the same news minute too. A copier differs: nearly all that it opens has a model, again and
again, equally late and equally scaled. The detector asks for all of that before it speaks.
"""

from bisect import bisect_left, insort
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from pydantic import Field

from domain.surveillance.base import Detector, Fill, Thresholds
from domain.surveillance.evidence import CopiedDeal, CopiedDeals, Figure, Figures
from domain.surveillance.findings import Finding, Involved

_LATENESS: Final = timedelta(minutes=5)  # how much later than the newest an opening may still be reported
_SWEEP: Final = timedelta(hours=1)


class CopyTradingThresholds(Thresholds):
    """The window slides with the newest opening."""

    window_hours: int = Field(default=72, ge=1)
    max_lag_seconds: int = Field(default=60, ge=1)
    lag_tolerance_seconds: int = Field(default=6, ge=0)
    ratio_tolerance_pct: int = Field(default=10, ge=0, lt=100)
    min_matches: int = Field(default=5, ge=2)
    min_share_pct: int = Field(default=70, ge=1, le=100)


@dataclass(frozen=True, slots=True)
class Match:
    leader: Fill
    follower: Fill

    @property
    def lag(self) -> timedelta:
        return self.follower.at - self.leader.at

    @property
    def ratio(self) -> Decimal:
        return self.follower.lots / self.leader.lots


class CopyTradingDetector(Detector):
    """An opening that was observed before, or is older than the window, is ignored. Each pair of accounts is found
    once. What has left the window is forgotten within an hour of market time."""

    name = "copy_trading"

    def __init__(self, thresholds: CopyTradingThresholds | None = None) -> None:
        self.thresholds: CopyTradingThresholds = thresholds or CopyTradingThresholds()
        self._newest: datetime | None = None
        self._swept: datetime | None = None
        self._recent: dict[tuple[str, str], list[Fill]] = {}  # by symbol and side
        self._by_account: dict[str, list[Fill]] = {}
        self._matches: dict[tuple[str, str], dict[int, Match]] = {}  # by leader and follower, then the follower's deal
        self._found: set[tuple[str, str]] = set()

    @property
    def window(self) -> timedelta:
        return timedelta(hours=self.thresholds.window_hours)

    def observe(self, fill: Fill) -> list[Finding]:
        """Returns the pairs that this opening makes conspicuous."""
        return self._observe_opening(fill) if fill.entry == "in" else []

    def _observe_opening(self, opening: Fill) -> list[Finding]:
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
        found = {pair: finding for pair in sorted(set(touched)) if (finding := self._judge(pair))}
        self._found.update(found)
        return list(found.values())

    def _since(self, newest: datetime) -> datetime:
        return newest - self.window

    def _sweep(self, newest: datetime) -> None:
        """Forget what has left the window, also of accounts that no longer trade."""
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

    def _pairings(self, opening: Fill, neighbours: list[Fill]) -> list[Match]:
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
        return self._finding(pair, alike, len(mine), self._newest)

    def _finding(self, pair: tuple[str, str], alike: list[Match], openings: int, at: datetime) -> Finding:
        leader, follower = pair
        count = len(alike)
        typical, ratio = _middle(alike)
        lag = _seconds(typical)
        return self.finding(
            leader,
            follower,
            at=at,
            score=(Decimal(count) / openings * count / (count + 1)).quantize(Decimal("0.0001")),
            sentence=f"{count} of {openings} openings repeat another trader's symbol and side, each about "
            f"{lag.normalize():f} seconds later at {ratio:.2f} times the size.",
            accounts=[Involved(account_id=leader, role="leader"), Involved(account_id=follower, role="follower")],
            blamed=[follower],
            evidence=[
                self._figures(count, openings, lag),
                CopiedDeals(openings=openings, pairs=tuple(_evidence(match) for match in alike)),
            ],
        )

    def _figures(self, count: int, openings: int, lag: Decimal) -> Figures:
        limits = self.thresholds
        share = (Decimal(100 * count) / openings).quantize(Decimal("0.1"))
        return Figures(
            figures=(
                Figure(
                    name="Openings that repeat the leader",
                    measured=Decimal(count),
                    threshold=Decimal(limits.min_matches),
                    bound="at_least",
                ),
                Figure(
                    name="Share of the follower's openings",
                    measured=share,
                    threshold=Decimal(limits.min_share_pct),
                    bound="at_least",
                    unit="%",
                ),
                Figure(
                    name="Typical lag",
                    measured=lag,
                    threshold=Decimal(limits.max_lag_seconds),
                    bound="at_most",
                    unit="s",
                ),
            )
        )


def _order(opening: Fill) -> tuple[datetime, int]:
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


def _evidence(match: Match) -> CopiedDeal:
    return CopiedDeal(
        leader_deal=match.leader.deal,
        follower_deal=match.follower.deal,
        symbol=match.follower.symbol,
        side=match.follower.side,
        lag_seconds=_seconds(match.lag),
        ratio=match.ratio.quantize(Decimal("0.001")),
    )


def _seconds(lag: timedelta) -> Decimal:
    return (Decimal(lag // timedelta(milliseconds=100)) / 10).quantize(Decimal("0.1"))
