"""What surrounds every page: market time and the work that waits."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from console.addresses import queue_href
from console.views.frame import Count, FeedRow, Live
from domain.wording import rough
from front.subjects.subject import Subjects, kinds
from store import clock
from store.clock import market_now
from store.read import queue

SILENT: Final = timedelta(seconds=15)
QUOTELESS: Final = timedelta(minutes=5)


async def feeds(session: AsyncSession) -> list[FeedRow]:
    """Every feed: stale when it has been silent in wall time, or brings market time without quotes."""
    return [_feed(row, datetime.now(UTC)) for row in await clock.feeds(session)]


def _feed(row: clock.Feed, now: datetime) -> FeedRow:
    silent = now - row.recorded_at
    age = row.watermark - row.last_tick_at if row.last_tick_at else None
    if silent > SILENT:
        words = f"silent for {rough(silent)}"
    elif age is not None and age > QUOTELESS:
        words = f"the last quote is {rough(age)} old"
    else:
        words = "quotes are current" if age is not None else "no quote yet"
    stale = silent > SILENT or (age is not None and age > QUOTELESS)
    return FeedRow(row.name, row.watermark, row.last_tick_at, stale, words)


async def live(session: AsyncSession) -> Live:
    rows = await feeds(session)
    if not rows:
        return Live(await market_now(session), True, "No feed has started.")
    stale = [f"{row.name}: {row.words}" for row in rows if row.stale]
    return Live(min(row.watermark for row in rows), bool(stale), "; ".join(stale) or "All feeds are current.")


async def waiting(session: AsyncSession, subjects: Subjects, *, at_most: int | None = None) -> list[Count]:
    """How much of each kind of work waits, with the list that shows exactly these items. `place` is the page of the
    left rail that they belong to. `at_most`: no more are counted of a kind."""
    return counted(await queue.counts(session, kinds(subjects), at_most=at_most), subjects, at_most=at_most)


def counted(counts: Mapping[str, int], subjects: Subjects, *, at_most: int | None = None) -> list[Count]:
    """As `waiting`, of a page that has counted the work itself."""
    return [
        Count(
            subject.waits_as,
            counts[subject.name] if at_most is None else min(counts[subject.name], at_most),
            subject.list_page or queue_href(subject.name),
            "bad" if subject.urgent else "warn",
            subject.under,
            subject.name,
        )
        for subject in subjects
    ]
