"""Verified webhook events: stored before they are acknowledged, then routed once."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql import func

from domain.lifecycle import CHALLENGE
from store.models import Challenge, InboxEvent, Payout

_PAYOUT_ENDS: Final = {"transfer.paid": "paid", "transfer.returned": "returned"}


@dataclass(frozen=True)
class ReceivedEvent:
    """A stored event to route. `attempts` counts this one."""

    id: int
    provider: str
    event_id: str
    kind: str
    object_id: str
    attempts: int


async def receive(
    session: AsyncSession, *, provider: str, event_id: str, kind: str, object_id: str, problem: str | None = None
) -> bool:
    """Store an event. Returns False when it is stored already. An event with a `problem` is set aside for a person.

    Acknowledge the webhook only after the commit.
    """
    row: dict[str, Any] = {"provider": provider, "event_id": event_id, "kind": kind, "object_id": object_id}
    if problem is not None:
        row |= {"error": problem, "parked_at": func.clock_timestamp()}
    statement = insert(InboxEvent).values(row).on_conflict_do_nothing(index_elements=["provider", "event_id"])
    return await session.scalar(statement.returning(InboxEvent.id)) is not None


_CLAIM = text("""
    UPDATE inbox SET next_at = clock_timestamp() + make_interval(secs => :lease), attempts = attempts + 1
     WHERE id IN (SELECT id FROM inbox
                   WHERE handled_at IS NULL AND parked_at IS NULL AND next_at <= clock_timestamp()
                   ORDER BY id LIMIT :limit FOR UPDATE SKIP LOCKED)
    RETURNING id, provider, event_id, kind, object_id, attempts
""")


async def claim(session: AsyncSession, *, limit: int, lease_seconds: float) -> Sequence[ReceivedEvent]:
    """Take waiting events, oldest first. Other relays cannot take them until the lease ends."""
    rows = await session.execute(_CLAIM, {"limit": limit, "lease": lease_seconds})
    return sorted((ReceivedEvent(**row._mapping) for row in rows), key=lambda event: event.id)


async def release(session: AsyncSession) -> None:
    """Make every waiting event due now, so that a new relay does not wait for the leases of a killed one."""
    await session.execute(
        update(InboxEvent)
        .where(InboxEvent.handled_at.is_(None), InboxEvent.parked_at.is_(None))
        .values(next_at=func.clock_timestamp())
    )


async def mark_handled(session: AsyncSession, event: ReceivedEvent) -> None:
    await session.execute(
        update(InboxEvent).where(InboxEvent.id == event.id).values(handled_at=func.clock_timestamp(), error=None)
    )


async def postpone(session: AsyncSession, event: ReceivedEvent, *, error: str, seconds: float) -> None:
    await session.execute(
        update(InboxEvent)
        .where(InboxEvent.id == event.id)
        .values(error=error, next_at=func.clock_timestamp() + func.make_interval(0, 0, 0, 0, 0, 0, seconds))
    )


async def park(session: AsyncSession, event: ReceivedEvent, *, error: str) -> None:
    """Set aside an event that cannot be routed, for a person to look at."""
    await session.execute(
        update(InboxEvent).where(InboxEvent.id == event.id).values(parked_at=func.clock_timestamp(), error=error)
    )


async def challenge_of_checkout(session: AsyncSession, provider: str, checkout_id: str) -> str | None:
    """The challenge of a checkout: two providers may use the same id."""
    found: str | None = await session.scalar(
        select(Challenge.id).where(Challenge.provider == provider, Challenge.checkout_id == checkout_id)
    )
    return found


async def ended_challenge_of_checkout(session: AsyncSession, provider: str, checkout_id: str) -> str | None:
    """Returns the challenge of this checkout if it has ended, else None. Its workflow is closed then."""
    found: str | None = await session.scalar(
        select(Challenge.id).where(
            Challenge.provider == provider,
            Challenge.checkout_id == checkout_id,
            Challenge.state.in_(CHALLENGE.terminal),
        )
    )
    return found


async def reopen(session: AsyncSession, key: str) -> bool:
    """Route a handled event again because its challenge has ended. Returns False when the challenge is open.

    `key` is `provider/event id`, as in signals.
    """
    event = await _by_key(session, key)
    if event is None or await ended_challenge_of_checkout(session, event.provider, event.object_id) is None:
        return False
    event.handled_at, event.next_at = None, datetime.now(UTC)
    return True


async def payout_ended_as_reported(session: AsyncSession, key: str) -> bool:
    """Returns whether the payout has ended as this transfer event reports. `key` is `provider/event id`."""
    event = await _by_key(session, key)
    if event is None or event.kind not in _PAYOUT_ENDS:
        return False
    state = await session.scalar(
        select(Payout.state).where(Payout.rail == event.provider, Payout.transfer_id == event.object_id)
    )
    return state == _PAYOUT_ENDS[event.kind]


async def _by_key(session: AsyncSession, key: str) -> InboxEvent | None:
    provider, _, event_id = key.partition("/")
    row: InboxEvent | None = await session.scalar(
        select(InboxEvent).where(InboxEvent.provider == provider, InboxEvent.event_id == event_id)
    )
    return row


async def is_challenge(session: AsyncSession, provider: str, reference: str) -> bool:
    """Whether `reference` is a challenge that pays its fee through this provider."""
    found = select(Challenge.id).where(Challenge.id == reference, Challenge.provider == provider)
    return await session.scalar(found) is not None


async def is_payout(session: AsyncSession, provider: str, reference: str) -> bool:
    """Whether `reference` is a payout that this provider sends."""
    found = select(Payout.id).where(Payout.id == reference, Payout.rail == provider)
    return await session.scalar(found) is not None
