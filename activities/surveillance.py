"""The surveillance loop: reads deals, feeds the detectors, opens cases.

One database read feeds all detectors at the same cursor. A detector's cursor moves in the transaction that opens the
cases for its findings. A restarted detector first reads its window again. A detector that fails is paused for a minute;
the others continue.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from itertools import groupby
from typing import Final

import structlog
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from activities.deps import Deps
from contracts.messages import SurveillanceStart
from domain.surveillance.base import Detector, Fill
from domain.surveillance.findings import Finding
from domain.surveillance.registry import detector_types
from firm import cases, corrections
from store import surveillance
from store.db import Database
from store.notifications import DEALS, told

_POLL_SECONDS: Final = 1.0  # when nobody says that there are new deals
_RUN_SECONDS: Final = 3600
_RETRY_SECONDS: Final = 60
_DEALS_AT_ONCE: Final = 2000

_log = structlog.get_logger("surveillance")


class CursorMoved(RuntimeError):
    """Another reader moved a detector's cursor, so the memory of this one has a gap."""


class DetectorFailed(RuntimeError):
    """A detector raised an error; its memory can no longer be trusted."""


class SurveillanceActivities:
    def __init__(self, deps: Deps, *, at_once: int = _DEALS_AT_ONCE) -> None:
        self._db, self._at_once = deps.db, at_once

    def all(self) -> Sequence[Callable[..., Awaitable[object]]]:
        return [self.follow_deals]

    @activity.defn(name="surveillance.follow_deals")
    async def follow_deals(self, start: SurveillanceStart) -> None:
        """Returns after an hour or when the worker stops. The workflow then starts it again, so its history stays
        short."""
        loop = SurveillanceLoop(self._db, self._at_once)
        ends = time.monotonic() + _RUN_SECONDS
        for name in detector_types():
            await loop.add(name)
        async with told(self._db.url, DEALS) as new_deals:
            while time.monotonic() < ends and not activity.is_worker_shutdown():
                activity.heartbeat(loop.read_by_all)
                new_deals.clear()
                if not await loop.step():
                    with suppress(TimeoutError):
                        await asyncio.wait_for(new_deals.wait(), _POLL_SECONDS)


class DetectorProgress:
    """A detector and the last deal it has read. Deals up to `cursor` were judged before: they only refill its
    memory."""

    def __init__(self, detector: Detector, *, read: int, cursor: int) -> None:
        self.detector, self.read, self.cursor = detector, read, cursor
        self._seen: set[int] = set()

    @property
    def is_refilling(self) -> bool:
        return self.read < self.cursor

    def observe(self, fills: Iterable[Fill], until: int) -> list[Finding]:
        """Feeds the fills up to `until` that were not fed yet; returns the findings. Raises DetectorFailed."""
        found, seen = list[Finding](), set[int]()
        for fill in fills:
            if fill.deal not in self._seen:
                found += self._observe(fill)
            if fill.deal > until - surveillance.OVERLAP:
                seen.add(fill.deal)
        self._seen, self.read = seen, until
        return found

    def _observe(self, fill: Fill) -> list[Finding]:
        try:
            return self.detector.observe(fill)
        except Exception as error:
            raise DetectorFailed(f"{self.detector.name} failed on deal {fill.deal}") from error


def group_by_progress(detectors: Iterable[DetectorProgress]) -> list[list[DetectorProgress]]:
    """Returns groups of detectors that can share one read, the groups furthest behind first."""

    def place(progress: DetectorProgress) -> tuple[int, bool]:
        return progress.read, progress.is_refilling

    return [list(group) for _, group in groupby(sorted(detectors, key=place), key=place)]


class SurveillanceLoop:
    """One run of the surveillance loop. It owns the memory of its detectors."""

    def __init__(self, db: Database, at_once: int) -> None:
        self._db, self._at_once = db, at_once
        self._detectors: dict[str, DetectorProgress] = {}
        self._retry_at: dict[str, float] = {}  # detectors that failed

    @property
    def read_by_all(self) -> int:
        return min((progress.read for progress in self._detectors.values()), default=0)

    async def add(self, name: str) -> None:
        """Adds a detector with an empty memory, at the start of its window."""
        detector = detector_types()[name]()
        async with self._db.transaction() as session:
            cursor = await surveillance.cursor(session, name)
            read = await surveillance.window_start(session, cursor, detector.window)
        self._detectors[name] = DetectorProgress(detector, read=read, cursor=cursor)

    async def step(self) -> bool:
        """Feeds the next deals to every detector; returns whether there were any."""
        now = time.monotonic()
        for name in [name for name, at in self._retry_at.items() if at <= now]:
            del self._retry_at[name]
            await self.add(name)
        async with self._db.transaction() as session:
            await corrections.open_cases(session)
            newest = await surveillance.newest_deal(session)
        moved = False
        for group in group_by_progress(self._detectors.values()):
            moved |= await self._feed_next(group, newest)
        return moved

    async def _feed_next(self, group: list[DetectorProgress], newest: int) -> bool:
        read, refill_ends = group[0].read, (progress.cursor for progress in group if progress.is_refilling)
        until = min(newest, read + self._at_once, *refill_ends)
        if until <= read:
            return False
        async with self._db.transaction() as session:
            fills = await surveillance.fills(session, after=read, until=until)
            for progress in sorted(group, key=lambda each: each.detector.name):  # every reader locks in this order
                await self._observe(session, progress, fills, until)
        return True

    async def _observe(self, session: AsyncSession, progress: DetectorProgress, fills: list[Fill], until: int) -> None:
        name, read, is_refilling = progress.detector.name, progress.read, progress.is_refilling
        row = None if is_refilling else await surveillance.lock_cursor(session, name)
        if row is not None and row.last_deal != read:
            raise CursorMoved(f"the cursor of {name} is at {row.last_deal}, not at {read}")
        try:
            found = progress.observe(fills, until)
        except DetectorFailed as failure:
            _log.exception("detector paused after an error", detector=name, failure=str(failure))
            del self._detectors[name]
            self._retry_at[name] = time.monotonic() + _RETRY_SECONDS
            return
        if row is not None:
            row.last_deal = progress.cursor = until
        for finding in found:
            await cases.open_case(session, finding)
