"""Sealed periods of the books: a period close, and the closes on record."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import BadInput, Conflict
from store import audit
from store.clock import market_now
from store.db import allow_long_job
from store.models import LedgerPeriod


async def close(session: AsyncSession, *, until: datetime, by: str) -> LedgerPeriod:
    """Seals the books from the end of the last period to `until` (market time, not included). From then on the database
    refuses an entry dated before `until`; what comes late is posted into the open period.

    Waits for entries that are being posted. Raises BadInput when `until` has not come yet, Conflict when the books are
    sealed until then already.
    """
    await allow_long_job(session)
    now = await market_now(session)
    if until > now:
        remedy = f"Close a period that has ended. The market time is {now.isoformat()}."
        raise BadInput(f"{until.isoformat()} has not come yet.", field="until", remedy=remedy)
    last = await latest(session)
    if last is not None and until <= last.ends_at:
        raise Conflict(f"The books are already sealed until {last.ends_at.isoformat()}.")
    number = await session.scalar(text("SELECT seal_ledger_period(:until, :by)"), {"until": until, "by": by})
    sealed = await session.get_one(LedgerPeriod, number)
    await audit.record(
        session,
        action="ledger.sealed",
        subject_kind="ledger",
        subject_id=str(number),
        occurred_at=now,
        evidence={"until": until.isoformat(), "by": by, "entries": sealed.entries, "hash": sealed.hash},
    )
    return sealed


async def latest(session: AsyncSession) -> LedgerPeriod | None:
    """Returns the last sealed period, or None."""
    last: LedgerPeriod | None = await session.scalar(select(LedgerPeriod).order_by(LedgerPeriod.number.desc()).limit(1))
    return last


async def periods(session: AsyncSession) -> Sequence[LedgerPeriod]:
    """Returns the sealed periods, oldest first."""
    return (await session.scalars(select(LedgerPeriod).order_by(LedgerPeriod.number))).all()
