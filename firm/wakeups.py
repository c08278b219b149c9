"""Dates that workflows wait for, in market time."""

from datetime import UTC, datetime
from typing import Final

from sqlalchemy import exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from contracts.messages import MarketTimeReached
from domain import keys
from firm import messages
from store.clock import WATERMARK, watermark
from store.db import Database
from store.models import Wakeup

_WAIT: Final = Wakeup.fired_at.is_(None)
_ARE_DUE: Final = select(exists().where(Wakeup.due_at <= WATERMARK.scalar_subquery(), _WAIT).label("due"))


async def are_due(db: Database) -> bool:
    """Returns in one round trip whether there is one to fire: market time moves often, and mostly reaches none."""
    return bool((await db.fetch_at_once(_ARE_DUE, {})).due)


async def fire(session: AsyncSession, *, limit: int) -> int:
    """Signal the workflows that wait for a date which market time has reached, at most `limit`. Returns how many."""
    now = await watermark(session)
    if now is None:
        return 0
    due = await session.scalars(
        select(Wakeup)
        .where(Wakeup.due_at <= now, _WAIT)
        .order_by(Wakeup.due_at, Wakeup.workflow_id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    wakeups = due.all()
    for wakeup in wakeups:
        wakeup.fired_at = datetime.now(UTC)
        key = keys.wakeup_message(wakeup.workflow_id, wakeup.fired_at)
        await messages.signal(session, wakeup.workflow_id, MarketTimeReached(key=key))
    return len(wakeups)
