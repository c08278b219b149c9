"""Judges windows: each pattern over the last weeks of the whole firm, in parts that any worker may take."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, Final

import structlog
from temporalio import activity

from activities.deps import Deps
from activities.patterns_in_force import patterns_in_force
from activities.surveillance import signs_of_life
from activities.trading_memory import TradingMemory
from contracts.messages import SurveillanceWindowsStart
from contracts.surveillance import WindowPart, WindowPlan, WindowReport
from firm import case_opening, surveillance_policies
from store import clusters
from store.read import trading
from surveillance.book import Book
from surveillance.clusters import clusters_of
from surveillance.pattern import Pattern
from surveillance.registry import pattern_types
from surveillance.stream.watch import look

_BETWEEN: Final = timedelta(hours=6)  # of market time
_ACCOUNTS_IN_A_PART: Final = 5_000
_ACCOUNTS_AT_ONCE: Final = 500  # between two places at which a part can go on
_BOOK_SECONDS: Final = 300.0  # how old the book may be that the parts of one window share in a process

_LINKS: Final = "shared_identity"  # the pattern that reads how owners hang together
_log: Final = structlog.get_logger("surveillance")


class PatternFailed(RuntimeError):
    """A pattern raised an error; the part is tried again."""


class SurveillanceWindowActivities:
    """`patterns`: None: all that there are."""

    def __init__(
        self,
        deps: Deps,
        *,
        patterns: Mapping[str, Pattern[Any]] | None = None,
        in_a_part: int = _ACCOUNTS_IN_A_PART,
        at_once: int = _ACCOUNTS_AT_ONCE,
    ) -> None:
        self._db, self._trading = deps.db, TradingMemory.of(deps.db)
        self._given, self._in_a_part, self._at_once = patterns, in_a_part, at_once

    def all(self) -> Sequence[Callable[..., Awaitable[object]]]:
        return [self.plan_window, self.judge_window]

    @activity.defn(name="surveillance.plan_window")
    async def plan_window(self, start: SurveillanceWindowsStart) -> WindowPlan:
        async with self._db.transaction() as session:
            _, at = await trading.newest(session)
            if at is None or (start.after is not None and at < start.after + _BETWEEN):
                return WindowPlan(at=at)
            accounts = await trading.highest_account(session)
        count = max(1, -(-accounts // self._in_a_part))
        scopes = {name: pattern.scope for name, pattern in (self._given or pattern_types()).items()}
        parts = [
            WindowPart(pattern=name, part=part, parts=count if scope == "account" else 1)
            for name, scope in scopes.items()
            for part in range(count if scope == "account" else 1)
        ]
        return WindowPlan(at=at, parts=tuple(parts))

    @activity.defn(name="surveillance.judge_window")
    async def judge_window(self, part: WindowPart) -> WindowReport:
        """An account belongs to a part by its number on the record, so that all workers cut alike."""
        pattern = (await self._patterns())[part.pattern]
        done, *_ = activity.info().heartbeat_details or [0]
        progress = {"done": int(done)}
        async with signs_of_life(lambda: progress["done"]):
            book, numbers = await self._trading.firm_book(_BOOK_SECONDS)
            found = new = sampled = 0
            below = await self._samples()
            why = ""
            for n, chosen in enumerate(self._chunks(book, numbers, part, pattern)):
                if n < progress["done"]:
                    continue
                looked = await asyncio.to_thread(partial(look, [pattern], chosen, below=below))
                if looked.failed:
                    raise PatternFailed(f"{pattern.name} failed") from looked.failed[pattern.name]
                async with self._db.transaction() as session:
                    findings = case_opening.in_order(looked.findings)
                    opened = [await case_opening.open_case(session, finding) for finding in findings]
                    below_line = case_opening.in_order(looked.below)
                    samples = [await case_opening.open_sample(session, finding) for finding in below_line]
                sampled += sum(1 for each in samples if each is not None)
                found, new = found + len(opened), new + sum(1 for each in opened if each is not None)
                why = looked.cannot_judge.get(pattern.name, why)
                progress["done"] = n + 1
            if pattern.name == _LINKS:
                await self._keep_clusters(book)
        _log.info(
            "window judged",
            pattern=part.pattern,
            part=part.part,
            findings=found,
            new=new,
            sampled=sampled,
            cannot_judge=why,
        )
        return WindowReport(findings=found, new=new, sampled=sampled, cannot_judge=why)

    async def _keep_clusters(self, book: Book) -> None:
        """Keeps which traders hang together, for the exposure of each cluster."""
        found = await asyncio.to_thread(clusters_of, book)
        async with self._db.transaction() as session:
            await clusters.replace(session, found)

    async def _samples(self) -> bool:
        """Returns whether the policy takes samples below the line: they double the work of a window."""
        async with self._db.transaction() as session:
            return (await surveillance_policies.in_force(session)).samples.below_line > 0

    async def _patterns(self) -> Mapping[str, Pattern[Any]]:
        if self._given is not None:
            return self._given
        async with self._db.transaction() as session:
            return await patterns_in_force(session)

    def _chunks(self, book: Book, numbers: Sequence[int], part: WindowPart, pattern: Pattern[Any]) -> Iterator[Book]:
        if pattern.scope == "firm":
            yield book
            return
        mine = sorted((number, row) for row, number in enumerate(numbers) if number % part.parts == part.part)
        for start in range(0, len(mine), self._at_once):
            yield book.of_accounts([row for _, row in mine[start : start + self._at_once]])
