"""Market time on the record."""

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import delete, exists, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from store.models import Account, MarketClock


async def watermark(session: AsyncSession) -> datetime | None:
    """Returns the lowest watermark of all feeds, UTC: no earlier event will come. None before the first feed starts."""
    lowest: datetime | None = await session.scalar(select(func.min(MarketClock.watermark)))
    return lowest.astimezone(UTC) if lowest else None


async def market_now(session: AsyncSession) -> datetime:
    """Returns market time, UTC: the watermark, or wall time before the first feed starts."""
    return await watermark(session) or datetime.now(UTC)


async def retire_feeds(session: AsyncSession, platforms: Sequence[str]) -> None:
    """Forget the market time of every feed that is none of `platforms`, unless an account on it lives: nobody reads it
    any more, and the slowest feed holds back all dates of the firm."""
    live = exists().where(Account.platform == MarketClock.feed, Account.status.in_(("opening", "active")))
    await session.execute(delete(MarketClock).where(MarketClock.feed.not_in(platforms), ~live))
