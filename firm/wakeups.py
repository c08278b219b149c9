"""Dates that workflows wait for, in market time."""

from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from contracts.messages import MarketTimeReached
from domain import keys
from firm import messages
from store.clock import watermark
from store.models import Wakeup


async def fire(session: AsyncSession, *, limit: int) -> int:
    """Signal the workflows that wait for a date which market time has reached, at most `limit`. Returns how many."""
    now = await watermark(session)
    if now is None:
        return 0
    due = await session.scalars(
        select(Wakeup)
        .where(Wakeup.due_at <= now, Wakeup.fired_at.is_(None))
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
