"""Daily closes on the record: every account that was active on a day has its snapshot of that day."""

from datetime import date, datetime

from sqlalchemy import exists, func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain import keys, record_keys
from domain.day_ends import DayEnd
from store.models import Account, Breach, DailyClose, DailySnapshot, PhasePass, Review


async def first_activity(session: AsyncSession, clock_group: str) -> datetime | None:
    """Returns the market time at which the group's first account became active, or None."""
    statement = select(func.min(Account.opened_at)).where(Account.clock_group == clock_group)
    first: datetime | None = await session.scalar(statement)
    return first


async def last_close(session: AsyncSession, clock_group: str) -> date | None:
    """Returns the group's newest checked day, or None."""
    newest: date | None = await session.scalar(
        select(func.max(DailyClose.day)).where(DailyClose.clock_group == clock_group)
    )
    return newest


async def close_day(
    session: AsyncSession, clock_group: str, day: date, *, starts_at: datetime, ends_at: datetime, now: datetime
) -> int:
    """Check that every account that was active for the whole `day` has a snapshot. Returns the number missing.

    Each missing snapshot opens a review. Checking a day again changes nothing.
    """
    ended = or_(
        exists().where(Breach.account_id == Account.id, Breach.status == "confirmed", Breach.occurred_at <= ends_at),
        exists().where(PhasePass.account_id == Account.id, PhasePass.occurred_at <= ends_at),
    )
    active = (
        Account.clock_group == clock_group,
        Account.opened_at < starts_at,
        or_(Account.ended_at.is_(None), Account.ended_at > ends_at),
        ~ended,
    )
    has_snapshot = exists().where(DailySnapshot.account_id == Account.id, DailySnapshot.day == day)
    accounts = await session.scalar(select(func.count()).select_from(Account).where(*active)) or 0
    missing = (await session.scalars(select(Account.id).where(*active, ~has_snapshot).order_by(Account.id))).all()
    await session.execute(
        insert(DailyClose)
        .values(clock_group=clock_group, day=day, accounts=accounts, missing=len(missing), checked_at=now)
        .on_conflict_do_nothing()
    )
    for account_id in missing:
        key = record_keys.missed_reset_review(account_id, day)
        await session.execute(
            insert(Review)
            .values(
                id=keys.review_id(key),
                key=key,
                kind="missed_reset",
                account_id=account_id,
                detail={"day": day.isoformat(), "clock_group": clock_group},
                status="open",
                occurred_at=ends_at,
            )
            .on_conflict_do_nothing(index_elements=["key"])
        )
    return len(missing)


async def day_ends(session: AsyncSession, platform: str, day: date) -> dict[int, DayEnd]:
    """Returns what our accounts at a platform were worth at the reset that ended this trading day, by login."""
    rows = await session.execute(
        select(Account.login, Account.currency, DailySnapshot.balance_minor, DailySnapshot.equity_minor)
        .join(DailySnapshot, DailySnapshot.account_id == Account.id)
        .where(Account.platform == platform, DailySnapshot.day == day, Account.login.is_not(None))
    )
    return {int(login): DayEnd(currency, balance, equity) for login, currency, balance, equity in rows if login}
