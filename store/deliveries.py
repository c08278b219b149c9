"""Outbox messages on their way out, and wake-ups that have come due."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql import func

from domain.errors import NotFound
from store import outbox
from store.clock import watermark
from store.models import Account, Breach, Offence, OutboxMessage, Wakeup


@dataclass(frozen=True)
class Outgoing:
    """A message to deliver now. `attempts` counts this one."""

    id: int
    key: str
    topic: str
    target: str
    name: str
    payload: dict[str, Any]
    attempts: int


# Only the oldest waiting message of each target, so that a target gets its messages in order.
_CLAIM = text("""
    WITH heads AS (
        SELECT DISTINCT ON (target) id, next_at FROM outbox
         WHERE dispatched_at IS NULL AND parked_at IS NULL ORDER BY target, id
    ), due AS (
        SELECT o.id FROM outbox o JOIN heads h ON h.id = o.id
         WHERE h.next_at <= clock_timestamp()
           AND o.dispatched_at IS NULL AND o.parked_at IS NULL AND o.next_at <= clock_timestamp()
         ORDER BY o.id LIMIT :limit FOR UPDATE OF o SKIP LOCKED
    )
    UPDATE outbox SET next_at = clock_timestamp() + make_interval(secs => :lease), attempts = attempts + 1
      FROM due WHERE outbox.id = due.id
    RETURNING outbox.id, key, topic, target, name, payload, attempts
""")


async def claim(session: AsyncSession, *, limit: int, lease_seconds: float) -> Sequence[Outgoing]:
    """Take due messages, one per target; another relay does not get them before the lease is over."""
    rows = await session.execute(_CLAIM, {"limit": limit, "lease": lease_seconds})
    return sorted((Outgoing(**row._mapping) for row in rows), key=lambda message: message.id)


async def release(session: AsyncSession) -> None:
    """Make every waiting message due now: a relay that starts does not sit out the leases of one that was killed."""
    await session.execute(
        update(OutboxMessage)
        .where(OutboxMessage.dispatched_at.is_(None), OutboxMessage.parked_at.is_(None))
        .values(next_at=func.clock_timestamp())
    )


async def dispatched(session: AsyncSession, messages: Sequence[Outgoing]) -> None:
    await session.execute(
        update(OutboxMessage)
        .where(OutboxMessage.id.in_([message.id for message in messages]))
        .values(dispatched_at=func.clock_timestamp(), error=None)
    )


async def postpone(session: AsyncSession, message: Outgoing, *, error: str, seconds: float) -> None:
    await session.execute(
        update(OutboxMessage)
        .where(OutboxMessage.id == message.id)
        .values(error=error, next_at=func.clock_timestamp() + func.make_interval(0, 0, 0, 0, 0, 0, seconds))
    )


async def park(session: AsyncSession, message: Outgoing, *, error: str) -> None:
    """It can never be delivered: a person must look. Later messages to the same target go on."""
    await session.execute(
        update(OutboxMessage)
        .where(OutboxMessage.id == message.id)
        .values(parked_at=func.clock_timestamp(), error=error)
    )


async def platform_of(session: AsyncSession, account_id: str) -> str:
    """The name of the platform that an account is on; raises NotFound."""
    name: str | None = await session.scalar(select(Account.platform).where(Account.id == account_id))
    if name is None:
        raise NotFound(f"There is no account {account_id} on the record.")
    return name


async def locked_at_venue(session: AsyncSession, account_id: str) -> None:
    """Note when the venue confirmed the lock of a breached account, unless the monitor was first."""
    await session.execute(
        update(Breach)
        .where(Breach.account_id == account_id, Breach.status == "confirmed", Breach.locked_at.is_(None))
        .values(locked_at=func.clock_timestamp())
    )


async def is_active(session: AsyncSession, account_id: str) -> bool:
    return await session.scalar(select(Account.status).where(Account.id == account_id)) == "active"


async def paused_after(session: AsyncSession, account_id: str, offence_id: str) -> bool:
    """Whether the account was paused once more after the offence that it was paused for."""
    first = select(Offence.seq).where(Offence.id == offence_id).scalar_subquery()
    later = select(Offence.id).where(
        Offence.account_id == account_id, Offence.consequence == "pause_until_reset", Offence.seq > first
    )
    return await session.scalar(later.limit(1)) is not None


async def fire_wakeups(session: AsyncSession, *, limit: int) -> int:
    """Signal every workflow whose date market time has reached; gives how many."""
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
        fired_at = datetime.now(UTC)
        # wall time makes the key new: the same date may be set again after it fired
        key = f"wakeup/{wakeup.workflow_id}/{fired_at.timestamp():.6f}"
        await outbox.signal_workflow(
            session, key=key, workflow_id=wakeup.workflow_id, name="market_time_reached", payload={"key": key}
        )
        wakeup.fired_at = fired_at
    return len(wakeups)


async def clock_groups(session: AsyncSession) -> Sequence[str]:
    """Every clock group that has accounts."""
    return (await session.scalars(select(Account.clock_group).distinct().order_by(Account.clock_group))).all()
