"""Patterns that exist for the length of a test: found by the registry like any other, or a simple one of our own."""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import numpy as np

from domain.surveillance.base import Thresholds
from domain.surveillance.evidence import CopiedDeal, CopiedDeals
from domain.surveillance.findings import Finding
from surveillance import patterns, registry
from surveillance.book import SECOND, Book
from surveillance.pattern import Judged, Limits, Pattern


@contextmanager
def pattern_module(folder: Path, name: str, source: str) -> Iterator[None]:
    """A module in the patterns' package, as far as imports can tell. `folder` must hold no other."""
    (folder / f"{name}.py").write_text(source)
    patterns.__path__.append(str(folder))
    registry.pattern_types.cache_clear()
    importlib.invalidate_caches()
    try:
        yield
    finally:
        patterns.__path__.remove(str(folder))
        sys.modules.pop(f"{patterns.__name__}.{name}", None)
        vars(patterns).pop(name, None)
        registry.pattern_types.cache_clear()


class FollowingThresholds(Thresholds):
    max_lag_seconds: int = 60
    min_matches: int = 5


class Following(Pattern[FollowingThresholds]):
    """An account opens again and again within a minute after another: enough of a pattern to test what is around it."""

    name = "following"
    scope = "firm"
    thresholds = FollowingThresholds

    def find(self, book: Book) -> Judged:
        trades, found = book.trades, []
        accounts = np.unique(trades.account).tolist()
        for leader in accounts:
            for follower in accounts:
                if book.accounts.owner[leader] == book.accounts.owner[follower]:
                    continue
                pairs = self._pairs(book, leader, follower)
                if len(pairs) >= self.limits_of(book, follower).min_matches:
                    found.append(self._finding(book, leader, follower, pairs))
        return Judged(tuple(found))

    def _pairs(self, book: Book, leader: int, follower: int) -> list[tuple[int, int]]:
        trades, limit = book.trades, self.limits.default.max_lag_seconds * SECOND
        first, second = (np.flatnonzero(trades.account == each).tolist() for each in (leader, follower))
        return [
            (a, b)
            for b in second
            for a in first
            if 0 < trades.opened[b] - trades.opened[a] <= limit
            and trades.symbol[a] == trades.symbol[b]
            and trades.side[a] == trades.side[b]
        ]

    def _finding(self, book: Book, leader: int, follower: int, pairs: list[tuple[int, int]]) -> Finding:
        trades = book.trades
        lag = int(trades.opened[pairs[0][1]] - trades.opened[pairs[0][0]]) // SECOND
        return self.finding(
            book,
            *(str(book.accounts.id[row]) for row in (leader, follower)),
            limits=self.limits_of(book, follower),
            at=int(trades.opened[pairs[-1][1]]),
            score=0.9,
            sentence=f"{len(pairs)} openings follow another trader's, {lag} seconds later.",
            roles=[(leader, "leader"), (follower, "follower")],
            blamed=[follower],
            trades=[row for pair in pairs for row in pair],
            evidence=[CopiedDeals(openings=len(pairs), pairs=tuple(_copied(book, *pair) for pair in pairs))],
            relation="stranger",
            severity="hold",
        )


def _copied(book: Book, first: int, second: int) -> CopiedDeal:
    trades = book.trades
    return CopiedDeal(
        leader_deal=int(trades.id[first]),
        follower_deal=int(trades.id[second]),
        symbol=str(book.symbols.name[trades.symbol[second]]),
        side="buy" if trades.side[second] > 0 else "sell",
        lag_seconds=Decimal(int(trades.opened[second] - trades.opened[first]) // SECOND),
        ratio=Decimal(str(round(trades.lots[second] / trades.lots[first], 3))),
    )


def following() -> dict[str, Pattern[FollowingThresholds]]:
    return {"following": Following(Limits(FollowingThresholds()))}
