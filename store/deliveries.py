"""Delivery of outbox messages."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql import func

from domain.errors import NotFound
from store.models import Account, Breach, Offence, OutboxMessage


@dataclass(frozen=True)
class OutgoingMessage:
    """A message to deliver now. `attempts` counts this one."""

    id: int
    key: str
    topic: str
    target: str
    name: str
    payload: dict[str, Any]
    attempts: int


# Takes only the oldest waiting message of each target, so that a target gets its messages in order.
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


async def claim(session: AsyncSession, *, limit: int, lease_seconds: float) -> Sequence[OutgoingMessage]:
    """Take due messages, at most one per target, oldest first. Other relays cannot take them until the lease ends."""
    rows = await session.execute(_CLAIM, {"limit": limit, "lease": lease_seconds})
    return sorted((OutgoingMessage(**row._mapping) for row in rows), key=lambda message: message.id)


async def release(session: AsyncSession) -> None:
    """Make every waiting message due now, so that a new relay does not wait for the leases of a killed one."""
    await session.execute(
        update(OutboxMessage)
        .where(OutboxMessage.dispatched_at.is_(None), OutboxMessage.parked_at.is_(None))
        .values(next_at=func.clock_timestamp())
    )


async def mark_dispatched(session: AsyncSession, messages: Sequence[OutgoingMessage]) -> None:
    await session.execute(
        update(OutboxMessage)
        .where(OutboxMessage.id.in_([message.id for message in messages]))
        .values(dispatched_at=func.clock_timestamp(), error=None)
    )


async def postpone(session: AsyncSession, message: OutgoingMessage, *, error: str, seconds: float) -> None:
    await session.execute(
        update(OutboxMessage)
        .where(OutboxMessage.id == message.id)
        .values(error=error, next_at=func.clock_timestamp() + func.make_interval(0, 0, 0, 0, 0, 0, seconds))
    )


async def park(session: AsyncSession, message: OutgoingMessage, *, error: str) -> None:
    """Set aside a message that cannot be delivered, for a person to look at. Later messages to its target are sent."""
    await session.execute(
        update(OutboxMessage)
        .where(OutboxMessage.id == message.id)
        .values(parked_at=func.clock_timestamp(), error=error)
    )


async def platform_of(session: AsyncSession, account_id: str) -> str:
    """Returns the name of the account's platform. Raises NotFound."""
    name: str | None = await session.scalar(select(Account.platform).where(Account.id == account_id))
    if name is None:
        raise NotFound(f"There is no account {account_id} on the record.")
    return name


async def record_venue_lock(session: AsyncSession, account_id: str) -> None:
    """Record that the venue has locked a breached account, unless the monitor has recorded it already."""
    await session.execute(
        update(Breach)
        .where(Breach.account_id == account_id, Breach.status == "confirmed", Breach.locked_at.is_(None))
        .values(locked_at=func.clock_timestamp())
    )


async def is_active(session: AsyncSession, account_id: str) -> bool:
    return await session.scalar(select(Account.status).where(Account.id == account_id)) == "active"


async def initial_of_active(session: AsyncSession, account_id: str) -> int | None:
    """Returns the initial balance in minor units; None when the account has ended."""
    initial: int | None = await session.scalar(
        select(Account.initial_minor).where(Account.id == account_id, Account.status == "active")
    )
    return initial


async def was_paused_again(session: AsyncSession, account_id: str, offence_id: str) -> bool:
    """Returns whether the account was paused again after the offence `offence_id`."""
    first = select(Offence.seq).where(Offence.id == offence_id).scalar_subquery()
    later = select(Offence.id).where(
        Offence.account_id == account_id, Offence.consequence == "pause_until_reset", Offence.seq > first
    )
    return await session.scalar(later.limit(1)) is not None


async def clock_groups(session: AsyncSession) -> Sequence[str]:
    """Returns every clock group that has accounts, by name."""
    return (await session.scalars(select(Account.clock_group).distinct().order_by(Account.clock_group))).all()
