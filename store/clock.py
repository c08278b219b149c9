"""Market time on the record."""

from datetime import UTC, datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from store.models import MarketClock


async def watermark(session: AsyncSession) -> datetime | None:
    """Returns the lowest watermark of all feeds, UTC: no earlier event will come. None before the first feed starts."""
    lowest: datetime | None = await session.scalar(select(func.min(MarketClock.watermark)))
    return lowest.astimezone(UTC) if lowest else None


async def market_now(session: AsyncSession) -> datetime:
    """Returns market time, UTC: the watermark, or wall time before the first feed starts."""
    return await watermark(session) or datetime.now(UTC)
