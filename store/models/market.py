"""Market time."""

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from store.models.base import Base, MarketTime, Recorded


class MarketClock(Base):
    """Market time per feed: no shard will see an earlier event."""

    __tablename__ = "market_clock"

    feed: Mapped[str] = mapped_column(String(40), primary_key=True)
    watermark: Mapped[MarketTime]
    last_tick_at: Mapped[datetime | None]
    recorded_at: Mapped[Recorded]
