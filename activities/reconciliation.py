"""Activities of workflow `Reconciliation`: every cent at a source finds its posting, every posting its cent.

A source is read in batches. Each is committed before the next one is asked for, with a heartbeat; where the reading
was is in the database, so a repeated attempt goes on from there.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from activities.deps import Deps
from activities.platform_reading import PlatformReading
from activities.refusals import refusals_are_final
from contracts.ids import RECONCILIATION_WORKFLOW
from contracts.messages import ReconciliationStart
from contracts.operations import (
    ComparisonReport,
    ComparisonRequest,
    ReconciliationReport,
    RoundEnd,
    SourceNames,
    SourceRead,
    SourceRef,
)
from domain import keys, record_keys
from domain.errors import CursorForgotten
from domain.reconciliation import LEDGER_KINDS
from firm import reviews
from firm.reconciliation import balances, matching
from ports.statements import StatementBalance, StatementEntry, StatementSource
from store import inbox, outbox
from store.clock import market_now, watermark
from store.reconciliation import breaks, venue
from store.reconciliation import entries as rows

_PAGE: Final = 1000
_OVERLAP: Final = 100  # entries that are asked for again: some sources show an older movement late
_LOOKS: Final = 12  # at what was seen once, until it is gone or certain


class ReconciliationActivities:
    """`pause`: seconds between two looks at what a person asked for."""

    def __init__(self, deps: Deps, *, pause: float = 5.0) -> None:
        self._db, self._payments, self._platforms = deps.db, deps.payments, deps.platforms
        self._pause = pause

    def all(self) -> Sequence[Callable[..., Awaitable[object]]]:
        return [self.reconcile, self.sources, self.read_source, self.read_platform, self.compare_platform, self.finish]

    @activity.defn(name="reconciliation.sources")
    async def sources(self, start: ReconciliationStart) -> SourceNames:
        return SourceNames(
            sources=tuple(sorted(self._payments.statements.by_name)), platforms=tuple(sorted(self._platforms.by_name))
        )

    @activity.defn(name="reconciliation.read_source")
    async def read_source(self, ref: SourceRef) -> SourceRead:
        source = self._payments.statements.of(ref.name)
        before = await source.balances()
        new = await self._fetch(source)
        tied = await self._match(source.name)
        if _sums(before) == _sums(await source.balances()):  # nothing moved while the entries were read
            await self._compare(source.name, before)
        return SourceRead(entries=new, tied=tied)

    async def _compare(self, source: str, told: Sequence[StatementBalance]) -> None:
        async with self._db.transaction() as session:
            now = await market_now(session)
            for currency, minor in sorted(_sums(told).items()):
                at = max(balance.at for balance in told if balance.currency == currency)
                await balances.compare_source(session, source, currency, minor, at, now)

    async def _fetch(self, source: StatementSource) -> int:
        """Stores the movements behind a stored one, page by page; all of them when the source no longer knows that one.
        Storing an entry again changes nothing."""
        async with self._db.transaction() as session:
            place = await rows.cursor(session, source.name, back=_OVERLAP)
        new, forgotten = 0, False
        while True:
            try:
                page = await source.entries(place, _PAGE)
            except CursorForgotten:
                if place is None or forgotten:
                    raise
                activity.logger.warning("the source no longer knows entry %s: reading all entries again", place)
                place, forgotten = None, True
                continue
            new += await self._store(source.name, page)
            _heartbeat("read", new)
            readable = [entry.entry_id for entry in page if entry.problem is None]
            if not readable or readable[-1] == place:
                return new
            place = readable[-1]

    async def _store(self, source: str, page: Sequence[StatementEntry]) -> int:
        """Stores the entries that can be read; returns how many were new. One that cannot be read, of a kind that we do
        not know, or with another amount than before, is shown to a person."""
        good = [entry.model_dump(mode="json", exclude={"problem"}) for entry in page if entry.problem is None]
        async with self._db.transaction() as session:
            new = await rows.store(session, source, good, await market_now(session))
            for entry in page:
                if problem := _problem(entry):
                    await inbox.receive(
                        session,
                        provider=source,
                        event_id=keys.odd_entry(entry.entry_id),
                        kind=entry.kind,
                        object_id=entry.object_id,
                        problem=problem,
                    )
            for row in await rows.changed(session, source, good):
                await inbox.receive(
                    session,
                    provider=source,
                    event_id=keys.odd_entry(f"{row.entry_id}/changed"),
                    kind=row.kind,
                    object_id=row.object_id,
                    problem="the source shows this movement with another amount than before",
                )
        return new

    async def _match(self, source: str) -> int:
        """Books and matches every entry that waits, tells workflows of theirs, and opens and closes breaks."""
        tied, after = 0, 0
        while True:
            async with self._db.transaction() as session:
                batch = await matching.advance(session, source, after=after)
            tied += batch.matched
            _heartbeat("matched", tied)
            if batch.last is None:
                break
            after = batch.last
        async with self._db.transaction() as session:
            await matching.finish(session, source, await market_now(session))
        await self._repeat(lambda session, _now: matching.tell(session, source))
        await self._repeat(lambda session, now: matching.open_breaks(session, source, now))
        return tied

    async def _repeat(self, step: Callable[[Any, datetime], Awaitable[int]]) -> None:
        """Does `step` in transactions of its own until nothing is left to do."""
        left = 1
        while left:
            async with self._db.transaction() as session:
                left = await step(session, await market_now(session))
            _heartbeat("left", left)

    @activity.defn(name="reconciliation.read_platform")
    async def read_platform(self, ref: SourceRef) -> SourceRead:
        reading = self._reading(ref.name)
        asked = await reading.round()
        await reading.send_limits()
        return SourceRead(entries=asked, tied=0)

    @activity.defn(name="reconciliation.compare_platform")
    async def compare_platform(self, request: ComparisonRequest) -> ComparisonReport:
        with refusals_are_final():
            reading = self._reading(request.platform)
        await reading.round(request.key)
        for _ in range(_LOOKS):
            async with self._db.transaction() as session:
                found = await venue.open_breaks(session, request.platform)
            if not found.get("suspected"):
                break
            await asyncio.sleep(self._pause)  # what is on its way arrives
            await reading.look_again()
        async with self._db.transaction() as session:
            found = await venue.open_breaks(session, request.platform)
            check = next(each for each in await venue.checks(session) if each.platform == request.platform)
            compared, ended_at = check.compared, check.ended_at
        suspected = found.pop("suspected", 0)
        return ComparisonReport(
            platform=request.platform, compared=compared, ended_at=ended_at, breaks=found, suspected=suspected
        )

    def _reading(self, name: str) -> PlatformReading:
        return PlatformReading(self._db, self._platforms, name, _heartbeat)

    @activity.defn(name="reconciliation.finish")
    async def finish(self, end: RoundEnd) -> ReconciliationReport:
        await self._repeat(matching.open_settlement_breaks)
        async with self._db.transaction() as session:
            now, feed_time = await market_now(session), await watermark(session)
            await outbox.wake_at(session, workflow_id=RECONCILIATION_WORKFLOW, due_at=_next_midnight(feed_time))
            for name, why in sorted(end.failed.items()):
                await _report(session, name, why, now)
            read = sorted({*self._payments.statements.by_name, *self._platforms.by_name} - set(end.failed))
            await reviews.recovered(
                session,
                kind=reviews.SOURCE_UNREAD,
                workflow_ids=[record_keys.unread_source(name) for name in read],
                reason="It was read again.",
            )
            left = await breaks.open_ends(session)
        return ReconciliationReport(after=now, entries=end.entries, tied=end.tied, unreconciled=left)

    @activity.defn(name="operations.reconcile")
    async def reconcile(self, start: ReconciliationStart) -> ReconciliationReport:
        """An error with one source is raised after all were read, so it does not block the others."""
        names = await self.sources(start)
        each = [self.read_source(SourceRef(name=name)) for name in names.sources]
        each += [self.read_platform(SourceRef(name=name)) for name in names.platforms]
        found = await asyncio.gather(*each, return_exceptions=True)
        failed = [outcome for outcome in found if isinstance(outcome, BaseException)]
        read = [outcome for outcome in found[: len(names.sources)] if isinstance(outcome, SourceRead)]
        if failed:
            raise failed[0]
        return await self.finish(
            RoundEnd(entries=sum(each.entries for each in read), tied=sum(each.tied for each in read), failed={})
        )


async def _report(session: AsyncSession, name: str, why: str, now: datetime) -> None:
    """Tells people of a source that could not be read; again on the next day after they closed it."""
    key = record_keys.unread_source(name)
    words = f"Reconciliation could not read {name}: {why}. It tries again every few minutes."
    detail = {"workflow": key, "words": words, "remedy": "docs/runbooks/reconciliation.md"}
    await reviews.report(session, key=key, kind=reviews.SOURCE_UNREAD, detail=detail, again=now.date().isoformat())


def _sums(told: Sequence[StatementBalance]) -> dict[str, int]:
    """Returns what a source holds of each currency, in minor units. It may have several accounts in one currency. Their
    times do not count: a source may tell its balance as of now."""
    sums: dict[str, int] = {}
    for balance in told:
        sums[balance.currency] = sums.get(balance.currency, 0) + balance.amount_minor
    return sums


def _heartbeat(*details: object) -> None:
    if activity.in_activity():
        activity.heartbeat(*details)


def _problem(entry: StatementEntry) -> str | None:
    if entry.problem is None and entry.kind not in LEDGER_KINDS:
        return f"no ledger transaction matches movements of kind {entry.kind!r}"
    return entry.problem


def _next_midnight(feed_time: datetime | None) -> datetime:
    """Returns the next midnight in UTC; before any feed runs, a date in the far past, so that the first watermark wakes
    the workflow even in a replayed year."""
    if feed_time is None:
        return datetime(1970, 1, 1, tzinfo=UTC)
    day = feed_time.astimezone(UTC).date() + timedelta(days=1)
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
