"""The reading loop of surveillance: deals in, cases out.

One reading feeds every detector that has come equally far. A detector's cursor moves in the transaction that opens the
cases of what it found. A detector that restarts is first fed its window again; one that fails is set aside, and the
others go on.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
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

_POLL_SECONDS: Final = 0.2
_ONE_FOLLOWING_SECONDS: Final = 3600
_RETRY_SECONDS: Final = 60
_DEALS_AT_ONCE: Final = 2000

_log = structlog.get_logger("surveillance")


class CursorMoved(RuntimeError):
    """Somebody else moved a detector's cursor: what this reader remembers has a gap."""


class DetectorFailed(RuntimeError):
    """A detector raised; what it remembers cannot be trusted any more."""


class SurveillanceActivities:
    def __init__(self, deps: Deps, *, at_once: int = _DEALS_AT_ONCE) -> None:
        self._db, self._at_once = deps.db, at_once

    def all(self) -> Sequence[Callable[..., Awaitable[object]]]:
        return [self.follow_deals]

    @activity.defn(name="surveillance.follow_deals")
    async def follow_deals(self, start: SurveillanceStart) -> None:
        """Ends after an hour or when the worker stops, and is then started again: workflow histories stay short."""
        reading = Reading(self._db, self._at_once)
        ends = time.monotonic() + _ONE_FOLLOWING_SECONDS
        for name in detector_types():
            await reading.add(name)
        while time.monotonic() < ends and not activity.is_worker_shutdown():
            activity.heartbeat(reading.read_by_all)
            if not await reading.step():
                await asyncio.sleep(_POLL_SECONDS)


class Watch:
    """A detector and how far it has read. Up to `cursor` it only remembers: those deals were judged before."""

    def __init__(self, detector: Detector, *, read: int, cursor: int) -> None:
        self.detector, self.read, self.cursor = detector, read, cursor
        self._seen: set[int] = set()

    @property
    def remembers(self) -> bool:
        return self.read < self.cursor

    def observe(self, fills: Iterable[Fill], until: int) -> list[Finding]:
        """Feed the fills up to `until` that were not fed yet; returns what they make conspicuous. Raises
        DetectorFailed."""
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


def side_by_side(watches: Iterable[Watch]) -> list[list[Watch]]:
    """Returns the watches in groups that can share one reading, those that are furthest behind first."""

    def place(watch: Watch) -> tuple[int, bool]:
        return watch.read, watch.remembers

    return [list(group) for _, group in groupby(sorted(watches, key=place), key=place)]


class Reading:
    """One run of the reading loop: what its detectors remember lives as long as it."""

    def __init__(self, db: Database, at_once: int) -> None:
        self._db, self._at_once = db, at_once
        self._watches: dict[str, Watch] = {}
        self._retry_at: dict[str, float] = {}  # detectors that failed

    @property
    def read_by_all(self) -> int:
        return min((watch.read for watch in self._watches.values()), default=0)

    async def add(self, name: str) -> None:
        """Begin with a detector that knows nothing yet, at the start of its window."""
        detector = detector_types()[name]()
        async with self._db.transaction() as session:
            cursor = await surveillance.cursor(session, name)
            read = await surveillance.window_start(session, cursor, detector.window)
        self._watches[name] = Watch(detector, read=read, cursor=cursor)

    async def step(self) -> bool:
        """Read on with every detector; returns whether there was anything to read."""
        now = time.monotonic()
        for name in [name for name, at in self._retry_at.items() if at <= now]:
            del self._retry_at[name]
            await self.add(name)
        async with self._db.transaction() as session:
            await corrections.open_cases(session)
            newest = await surveillance.newest_deal(session)
        moved = False
        for group in side_by_side(self._watches.values()):
            moved |= await self._read_on(group, newest)
        return moved

    async def _read_on(self, group: list[Watch], newest: int) -> bool:
        read, remembered = group[0].read, (watch.cursor for watch in group if watch.remembers)
        until = min(newest, read + self._at_once, *remembered)
        if until <= read:
            return False
        async with self._db.transaction() as session:
            fills = await surveillance.fills(session, after=read, until=until)
            for watch in sorted(group, key=lambda watch: watch.detector.name):  # every reader locks in this order
                await self._observe(session, watch, fills, until)
        return True

    async def _observe(self, session: AsyncSession, watch: Watch, fills: list[Fill], until: int) -> None:
        name, read, remembers = watch.detector.name, watch.read, watch.remembers
        row = None if remembers else await surveillance.lock_cursor(session, name)
        if row is not None and row.last_deal != read:
            raise CursorMoved(f"the cursor of {name} is at {row.last_deal}, not at {read}")
        try:
            found = watch.observe(fills, until)
        except DetectorFailed as failure:
            _log.exception("detector set aside", detector=name, failure=str(failure))
            del self._watches[name]
            self._retry_at[name] = time.monotonic() + _RETRY_SECONDS
            return
        if row is not None:
            row.last_deal = watch.cursor = until
        for finding in found:
            await cases.open_case(session, finding)
