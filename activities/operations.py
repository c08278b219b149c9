"""Activity of workflow `DailyClose`: every day is complete."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from activities.deps import Deps
from contracts.ids import daily_close_workflow
from contracts.messages import DailyCloseStart
from contracts.operations import DailyCloseReport
from domain.clocks import Clock
from ports.floors import HoldsFloors
from store import daily_close, outbox, venue_limits
from store.clock import market_now, watermark

_GRACE: Final = timedelta(minutes=1)  # after a reset, for the monitor to store its snapshots
_DAYS_AT_ONCE: Final = 14


class OperationsActivities:
    def __init__(self, deps: Deps) -> None:
        self._db = deps.db
        self._platforms = deps.platforms

    def all(self) -> Sequence[Callable[..., Awaitable[object]]]:
        return [self.check_daily_close]

    @activity.defn(name="operations.check_daily_close")
    async def check_daily_close(self, start: DailyCloseStart) -> DailyCloseReport:
        clock, closed, missing = Clock(zone=start.zone, reset=start.reset), 0, 0
        async with self._db.transaction() as session:
            now, feed_running = await market_now(session), await watermark(session) is not None
            after = await _checked_until(session, clock, start.after) or now
            while (due := clock.next_reset(after)) + _GRACE <= now and closed < _DAYS_AT_ONCE:
                day = clock.trading_day(after)
                missing += await daily_close.close_day(
                    session, clock.group, day, starts_at=clock.day_start(day), ends_at=due, now=now
                )
                after, closed = due, closed + 1
            if closed:
                by_name = self._platforms.by_name.items()
                holding = sorted(name for name, each in by_name if isinstance(each, HoldsFloors))
                await venue_limits.ask_group(session, holding, clock.group)
            await outbox.wake_at(session, workflow_id=daily_close_workflow(clock.group), due_at=due + _GRACE)
        return DailyCloseReport(
            after=after if feed_running else None,
            closed=closed,
            missing=missing,
            caught_up=due + _GRACE > now,
            feed_running=feed_running,
        )


async def _checked_until(session: AsyncSession, clock: Clock, carried: datetime | None) -> datetime | None:
    """Returns the end of the last checked day, or the start of the group's first account; None before the first
    account."""
    day = await daily_close.last_close(session, clock.group)
    if day is not None:
        ended = clock.day_end(day)
        return max(ended, carried) if carried else ended
    first = await daily_close.first_activity(session, clock.group)
    return first or carried
