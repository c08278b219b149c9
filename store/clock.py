"""Market time on the record."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import delete, exists, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from store.models import Account, MarketClock
from store.reading import read_once

_NOW: Final = "market_now"
WATERMARK: Final = select(func.min(MarketClock.watermark))
_FEEDS: Final = select(
    MarketClock.feed, MarketClock.watermark, MarketClock.last_tick_at, MarketClock.recorded_at
).order_by(MarketClock.feed)


class Feed(NamedTuple):
    """Market time of one feed, and when it was written down."""

    name: str
    watermark: datetime
    last_tick_at: datetime | None
    recorded_at: datetime


@read_once
async def feeds(session: AsyncSession) -> list[Feed]:
    """Returns every feed, by name."""
    return [Feed(*row) for row in await session.execute(_FEEDS)]


async def watermark(session: AsyncSession) -> datetime | None:
    """Returns the lowest watermark of all feeds, UTC: no earlier event will come. None before the first feed starts."""
    lowest = min((feed.watermark for feed in await feeds(session)), default=None)
    return lowest.astimezone(UTC) if lowest else None


async def market_now(session: AsyncSession, read: datetime | None = None) -> datetime:
    """Returns market time, UTC: the watermark, or wall time before the first feed starts. It stays the same within a
    transaction, so that all that one transaction decides is as of one moment. `read`: the watermark, where the caller
    has read it with other things (`WATERMARK`)."""
    known: datetime | None = session.info.get(_NOW)
    if known is None:
        lowest = read.astimezone(UTC) if read else await watermark(session)
        known = session.info[_NOW] = lowest or datetime.now(UTC)
    return known


def of_json(found: Sequence[Mapping[str, Any]]) -> datetime | None:
    """Returns the watermark from the rows of `WATERMARK` as JSON."""
    (row,) = found
    (text,) = row.values()
    return None if text is None else datetime.fromisoformat(text)


async def retire_feeds(session: AsyncSession, platforms: Sequence[str]) -> None:
    """Forget the market time of every feed that is none of `platforms`, unless an account on it lives: nobody reads it
    any more, and the slowest feed holds back all dates of the firm."""
    live = exists().where(Account.platform == MarketClock.feed, Account.status.in_(("opening", "active")))
    await session.execute(delete(MarketClock).where(MarketClock.feed.not_in(platforms), ~live))
