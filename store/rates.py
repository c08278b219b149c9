"""Exchange rates on the record. Only what is needed now is read: the cost does not grow with history."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain.exchange import Rate
from store.models import ExchangeRate


async def add(session: AsyncSession, rates: Sequence[Rate]) -> list[int]:
    """Adds rates; one that is known stays as it is. Returns the numbers of the new ones."""
    rows = [
        {"sold": rate.sold, "bought": rate.bought, "price": rate.price, "source": rate.source, "quoted_at": rate.at}
        for rate in rates
    ]
    if not rows:
        return []
    new = insert(ExchangeRate).values(rows).on_conflict_do_nothing().returning(ExchangeRate.number)
    return list(await session.scalars(new))


async def quoted(session: AsyncSession, currencies: tuple[str, str], now: datetime, valid: timedelta) -> list[Rate]:
    """Returns the newest rate of every pair with one of these currencies that was quoted within `valid` before
    `now`."""
    found = await session.scalars(
        select(ExchangeRate)
        .distinct(ExchangeRate.sold, ExchangeRate.bought)
        .where(
            ExchangeRate.quoted_at <= now,
            ExchangeRate.quoted_at >= now - valid,
            or_(ExchangeRate.sold.in_(currencies), ExchangeRate.bought.in_(currencies)),
        )
        .order_by(ExchangeRate.sold, ExchangeRate.bought, ExchangeRate.quoted_at.desc(), ExchangeRate.number.desc())
    )
    return [_rate(row) for row in found]


async def newest_at(session: AsyncSession, now: datetime) -> datetime | None:
    """Returns when the newest rate of any pair was quoted, up to `now`; None without rates."""
    found: datetime | None = await session.scalar(
        select(ExchangeRate.quoted_at)
        .where(ExchangeRate.quoted_at <= now)
        .order_by(ExchangeRate.quoted_at.desc())
        .limit(1)
    )
    return None if found is None else found.astimezone(UTC)


def _rate(row: ExchangeRate) -> Rate:
    return Rate(sold=row.sold, bought=row.bought, price=row.price, source=row.source, at=row.quoted_at.astimezone(UTC))
