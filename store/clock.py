"""Market time as the record knows it."""

from datetime import UTC, datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from store.models import MarketClock


async def watermark(session: AsyncSession) -> datetime | None:
    """The lowest watermark of all feeds: nothing earlier will follow. None before any feed started."""
    lowest: datetime | None = await session.scalar(select(func.min(MarketClock.watermark)))
    return lowest.astimezone(UTC) if lowest else None


async def market_now(session: AsyncSession) -> datetime:
    """Market time, UTC: the watermark, or wall time before any feed started."""
    return await watermark(session) or datetime.now(UTC)
