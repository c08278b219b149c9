"""The detector's reading loop: deals in, cases out, the cursor moved in the same transaction."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from activities.deps import Deps
from contracts.messages import SurveillanceStart
from domain.surveillance.copy_trading import CopyTradingDetector, CopyTradingThresholds
from firm import cases, corrections

_POLL_SECONDS: Final = 0.2
_ONE_FOLLOWING_SECONDS: Final = 3600
_DEALS_AT_ONCE: Final = 2000


class CursorMoved(RuntimeError):
    """Somebody else follows the same deals: this reader's memory is no longer whole."""


class SurveillanceActivities:
    def __init__(
        self, deps: Deps, thresholds: CopyTradingThresholds | None = None, *, at_once: int = _DEALS_AT_ONCE
    ) -> None:
        self._db, self._at_once = deps.db, at_once
        self._thresholds = thresholds or CopyTradingThresholds()

    def all(self) -> Sequence[Callable[..., Awaitable[object]]]:
        return [self.follow_deals]

    @activity.defn(name="surveillance.follow_deals")
    async def follow_deals(self, start: SurveillanceStart) -> None:
        """Ends after an hour or when the worker stops, and is then started again: the workflow's history stays short."""
        detector, position = await self._remember(start.detector)
        ends = time.monotonic() + _ONE_FOLLOWING_SECONDS
        while time.monotonic() < ends and not activity.is_worker_shutdown():
            moved = await self._read_on(start.detector, detector, position)
            activity.heartbeat(moved)
            if moved == position:
                await asyncio.sleep(_POLL_SECONDS)
            position = moved

    async def _remember(self, name: str) -> tuple[CopyTradingDetector, int]:
        """A detector that knows what can be known at the cursor. What it finds again has its case already; what only a
        late deal made conspicuous gets one now."""
        detector = CopyTradingDetector(self._thresholds)
        async with self._db.transaction() as session:
            position = await cases.cursor(session, name)
            window = timedelta(hours=self._thresholds.window_hours)
            read = await cases.window_start(session, position, window)
        while read < position and not activity.is_worker_shutdown():
            activity.heartbeat(read)
            until = min(position, read + self._at_once)
            async with self._db.transaction() as session:
                await self._observe(session, detector, after=read, until=until)
            read = until
        return detector, position

    async def _read_on(self, name: str, detector: CopyTradingDetector, position: int) -> int:
        async with self._db.transaction() as session:
            await corrections.open_cases(session)
            newest = await cases.newest_deal(session)
        if newest <= position:
            return position
        until = min(newest, position + self._at_once)
        async with self._db.transaction() as session:
            row = await cases.lock_cursor(session, name)
            if row.last_deal != position:
                raise CursorMoved(f"the cursor stands at {row.last_deal}, not at {position}")
            row.last_deal = until
            await self._observe(session, detector, after=position, until=until)
        return until

    async def _observe(self, session: AsyncSession, detector: CopyTradingDetector, *, after: int, until: int) -> None:
        for opening in await cases.openings(session, after=after, until=until):
            for finding in detector.observe(opening):
                await cases.open_case(session, finding)
