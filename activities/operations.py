"""Activities of workflows `DailyClose` and `Reconciliation`: every day is complete, every cent reconciles."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from activities.deps import Deps
from contracts.ids import RECONCILIATION_WORKFLOW, daily_close_workflow
from contracts.messages import DailyCloseStart, ReconciliationStart
from contracts.operations import DailyCloseReport, ReconciliationReport
from domain import keys
from domain.clocks import Clock
from domain.errors import CursorForgotten
from ports.payments import PaymentProvider, ProviderEntry
from store import inbox, operations, outbox
from store.clock import market_now, watermark

_GRACE: Final = timedelta(minutes=1)  # after a reset, for the monitor to store its snapshots
_DAYS_AT_ONCE: Final = 14


class OperationsActivities:
    def __init__(self, deps: Deps) -> None:
        self._db, self._payments = deps.db, deps.payments

    def all(self) -> Sequence[Callable[..., Awaitable[object]]]:
        return [self.check_daily_close, self.reconcile]

    @activity.defn(name="operations.check_daily_close")
    async def check_daily_close(self, start: DailyCloseStart) -> DailyCloseReport:
        clock, closed, missing = Clock(zone=start.zone, reset=start.reset), 0, 0
        async with self._db.transaction() as session:
            now, feed_running = await market_now(session), await watermark(session) is not None
            after = await _checked_until(session, clock, start.after) or now
            while (due := clock.next_reset(after)) + _GRACE <= now and closed < _DAYS_AT_ONCE:
                day = clock.trading_day(after)
                missing += await operations.close_day(
                    session, clock.group, day, starts_at=clock.day_start(day), ends_at=due, now=now
                )
                after, closed = due, closed + 1
            await outbox.wake_at(session, workflow_id=daily_close_workflow(clock.group), due_at=due + _GRACE)
        return DailyCloseReport(
            after=after if feed_running else None,
            closed=closed,
            missing=missing,
            caught_up=due + _GRACE > now,
            feed_running=feed_running,
        )

    @activity.defn(name="operations.reconcile")
    async def reconcile(self, start: ReconciliationStart) -> ReconciliationReport:
        """Reconciles every provider. An error with one provider is raised after all were asked, so it does not block
        the others."""
        each = [self._reconciled(provider) for provider in self._payments.by_name.values()]
        counts, failed = list[tuple[int, int]](), list[BaseException]()
        for outcome in await asyncio.gather(*each, return_exceptions=True):
            if isinstance(outcome, BaseException):
                failed.append(outcome)
            else:
                counts.append(outcome)
        if failed:
            raise failed[0]
        async with self._db.transaction() as session:
            now, feed_time = await market_now(session), await watermark(session)
            await outbox.wake_at(session, workflow_id=RECONCILIATION_WORKFLOW, due_at=_next_midnight(feed_time))
            open_ends = await operations.unreconciled(session)
        new, tied = sum(count[0] for count in counts), sum(count[1] for count in counts)
        return ReconciliationReport(after=now, entries=new, tied=tied, unreconciled=open_ends)

    async def _reconciled(self, provider: PaymentProvider) -> tuple[int, int]:
        """Reconciles one provider. Returns how many of its entries are new, and how many were matched."""
        entries = await self._entries(provider)
        async with self._db.transaction() as session:
            new = await _store(session, provider.name, entries)
            tied = await operations.match_entries(session, provider.name)
            await operations.report_money_back(session, provider.name)
        return new, tied

    async def _entries(self, provider: PaymentProvider) -> list[ProviderEntry]:
        """Returns the entries after the last stored one; all entries when the provider no longer knows that one.
        Storing an entry again changes nothing."""
        async with self._db.transaction() as session:
            last = await operations.last_entry(session, provider.name)
        if last is not None:
            try:
                return await provider.entries(last)
            except CursorForgotten:
                activity.logger.warning("the provider no longer knows entry %s: reading all entries again", last)
        return await provider.entries(None)


async def _store(session: AsyncSession, provider: str, entries: Sequence[ProviderEntry]) -> int:
    """Stores the entries that can be read; returns how many were new. One that cannot be read, or of a kind that we do
    not know, is shown to a person."""
    for entry in entries:
        problem = entry.problem
        if problem is None and entry.kind not in operations.LEDGER_KINDS:
            problem = f"no ledger transaction matches movements of kind {entry.kind!r}"
        if problem is not None:
            await inbox.receive(
                session,
                provider=provider,
                event_id=keys.odd_entry(entry.entry_id),
                kind=entry.kind,
                object_id=entry.object_id,
                problem=problem,
            )
    rows = [entry.model_dump(exclude={"problem"}) for entry in entries if entry.problem is None]
    return await operations.store_entries(session, provider, rows)


async def _checked_until(session: AsyncSession, clock: Clock, carried: datetime | None) -> datetime | None:
    """Returns the end of the last checked day, or the start of the group's first account; None before the first
    account."""
    day = await operations.last_close(session, clock.group)
    if day is not None:
        ended = clock.day_end(day)
        return max(ended, carried) if carried else ended
    first = await operations.first_activity(session, clock.group)
    return first or carried


def _next_midnight(feed_time: datetime | None) -> datetime:
    """Returns the next midnight in UTC; before any feed runs, a date in the far past, so that the first watermark wakes
    the workflow even in a replayed year."""
    if feed_time is None:
        return datetime(1970, 1, 1, tzinfo=UTC)
    day = feed_time.astimezone(UTC).date() + timedelta(days=1)
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
