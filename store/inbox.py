"""Verified webhooks, stored before they are acknowledged, and routed once from then on."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql import func

from store.models import Challenge, InboxEvent, Payout


@dataclass(frozen=True)
class Received:
    """An event that waits to be routed."""

    id: int
    provider: str
    event_id: str
    kind: str
    object_id: str
    attempts: int


async def receive(session: AsyncSession, *, provider: str, event_id: str, kind: str, object_id: str) -> bool:
    """Store an event; False when this event is known. Acknowledge the webhook only after the commit."""
    row = {"provider": provider, "event_id": event_id, "kind": kind, "object_id": object_id}
    statement = insert(InboxEvent).values(row).on_conflict_do_nothing(index_elements=["provider", "event_id"])
    return await session.scalar(statement.returning(InboxEvent.id)) is not None


_CLAIM = text("""
    UPDATE inbox SET next_at = clock_timestamp() + make_interval(secs => :lease), attempts = attempts + 1
     WHERE id IN (SELECT id FROM inbox
                   WHERE handled_at IS NULL AND parked_at IS NULL AND next_at <= clock_timestamp()
                   ORDER BY id LIMIT :limit FOR UPDATE SKIP LOCKED)
    RETURNING id, provider, event_id, kind, object_id, attempts
""")


async def claim(session: AsyncSession, *, limit: int, lease_seconds: float) -> Sequence[Received]:
    """Take waiting events, oldest first; another relay does not get them before the lease is over."""
    rows = await session.execute(_CLAIM, {"limit": limit, "lease": lease_seconds})
    return sorted((Received(**row._mapping) for row in rows), key=lambda event: event.id)


async def release(session: AsyncSession) -> None:
    """Make every waiting event due now: a relay that starts does not sit out the leases of one that was killed."""
    await session.execute(
        update(InboxEvent)
        .where(InboxEvent.handled_at.is_(None), InboxEvent.parked_at.is_(None))
        .values(next_at=func.clock_timestamp())
    )


async def handled(session: AsyncSession, event: Received) -> None:
    await session.execute(
        update(InboxEvent).where(InboxEvent.id == event.id).values(handled_at=func.clock_timestamp(), error=None)
    )


async def postpone(session: AsyncSession, event: Received, *, error: str, seconds: float) -> None:
    await session.execute(
        update(InboxEvent)
        .where(InboxEvent.id == event.id)
        .values(error=error, next_at=func.clock_timestamp() + func.make_interval(0, 0, 0, 0, 0, 0, seconds))
    )


async def park(session: AsyncSession, event: Received, *, error: str) -> None:
    """Nobody waits for this event: a person must look."""
    await session.execute(
        update(InboxEvent).where(InboxEvent.id == event.id).values(parked_at=func.clock_timestamp(), error=error)
    )


async def challenge_of_checkout(session: AsyncSession, checkout_id: str) -> str | None:
    found: str | None = await session.scalar(select(Challenge.id).where(Challenge.checkout_id == checkout_id))
    return found


async def is_challenge(session: AsyncSession, reference: str) -> bool:
    return await session.get(Challenge, reference) is not None


async def is_payout(session: AsyncSession, reference: str) -> bool:
    return await session.scalar(select(Payout.id).where(Payout.id == reference)) is not None
