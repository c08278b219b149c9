"""What surrounds the accounts in the console's tests: exposure per symbol of a shard, and a doubtful tick."""

from datetime import timedelta
from decimal import Decimal

from sqlalchemy.ext.asyncio import AsyncSession

from domain.keys import new_id
from store.models import Exposure, Review, Shard
from tests.console_history import NOW


async def surroundings(session: AsyncSession) -> str:
    """Gives the review's id."""
    session.add(Shard(id=0, platform="sandbox"))
    for symbol, long, short, bid, floating in (
        ("EURUSD", "41.50", "63.20", "1.38641", -184_233),
        ("XAUUSD", "18.00", "2.50", "1291.02", 912_050),
    ):
        session.add(
            Exposure(
                shard=0,
                symbol=symbol,
                long_lots=Decimal(long),
                short_lots=Decimal(short),
                accounts=21,
                floating_minor=floating,
                bid=Decimal(bid),
                ask=Decimal(bid) + Decimal("0.00012"),
                at=NOW,
            )
        )
    review = Review(
        id=new_id("rev"),
        key="bad_tick/XAUUSD/77",
        kind="bad_tick",
        status="open",
        occurred_at=NOW - timedelta(hours=1),
        detail={"symbol": "XAUUSD", "bid": "1031.20", "last_bid": "1289.00"},
    )
    session.add(review)
    return review.id
