"""Verified webhook events: stored before they are acknowledged, then routed once."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import TextClause, exists, select, text, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlalchemy.sql import func

from domain.lifecycle import CHALLENGE
from domain.payouts.payout import PAYOUT
from domain.tickets import CHANGED
from store.db import Database
from store.models import Challenge, InboxEvent, Payout, PayoutTransfer


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
    values = _values(provider, event_id, kind, object_id, problem)
    return (await session.execute(_RECEIVE, values)).scalar_one_or_none() is not None


async def receive_at_once(
    db: Database, *, provider: str, event_id: str, kind: str, object_id: str, problem: str | None = None
) -> None:
    """Like `receive`, and committed when this returns. One round trip, because webhooks come by the hundreds."""
    await db.execute_at_once(_RECEIVE, _values(provider, event_id, kind, object_id, problem))


def _values(provider: str, event_id: str, kind: str, object_id: str, problem: str | None) -> dict[str, Any]:
    return {"provider": provider, "event_id": event_id, "kind": kind, "object_id": object_id, "error": problem}


_RECEIVE = text("""
    INSERT INTO inbox (provider, event_id, kind, object_id, attempts, error, parked_at)
    VALUES (:provider, :event_id, :kind, :object_id, 0, CAST(:error AS text),
            CASE WHEN CAST(:error AS text) IS NOT NULL THEN clock_timestamp() END)
    ON CONFLICT (provider, event_id) DO NOTHING RETURNING id
""")


_CLAIM = text("""
    UPDATE inbox SET next_at = clock_timestamp() + make_interval(secs => :lease), attempts = attempts + 1
     WHERE id IN (SELECT id FROM inbox
                   WHERE handled_at IS NULL AND parked_at IS NULL AND next_at <= clock_timestamp() AND kind <> :changed
                   ORDER BY id LIMIT :limit FOR UPDATE SKIP LOCKED)
    RETURNING id, provider, event_id, kind, object_id, attempts
""")
# The newest waiting event of each ticket stands for the older ones: whoever reads the ticket finds all that they told.
_CLAIM_TICKETS = text("""
    WITH newest AS (
        SELECT DISTINCT ON (provider, object_id) id FROM inbox
         WHERE handled_at IS NULL AND parked_at IS NULL AND kind = :changed ORDER BY provider, object_id, id DESC
    ), due AS (
        SELECT i.id, i.provider, i.object_id FROM inbox i JOIN newest n ON n.id = i.id
         WHERE i.handled_at IS NULL AND i.parked_at IS NULL AND i.next_at <= clock_timestamp()
         ORDER BY i.id LIMIT :limit FOR UPDATE OF i SKIP LOCKED
    ), older AS (
        SELECT i.id FROM inbox i JOIN due d ON d.provider = i.provider AND d.object_id = i.object_id AND i.id < d.id
         WHERE i.handled_at IS NULL AND i.parked_at IS NULL AND i.kind = :changed
           FOR UPDATE OF i SKIP LOCKED
    ), passed AS (
        UPDATE inbox SET handled_at = clock_timestamp(), error = NULL FROM older WHERE inbox.id = older.id
    )
    UPDATE inbox SET next_at = clock_timestamp() + make_interval(secs => :lease), attempts = attempts + 1
      FROM due WHERE inbox.id = due.id
    RETURNING inbox.id, inbox.provider, event_id, kind, inbox.object_id, attempts
""")


async def claim(session: AsyncSession, *, limit: int, lease_seconds: float) -> Sequence[ReceivedEvent]:
    """Take waiting events, oldest first, but none of tickets of a desk. Other relays cannot take them until the lease
    ends."""
    return await _claim(session, _CLAIM, limit, lease_seconds)


async def claim_tickets(session: AsyncSession, *, limit: int, lease_seconds: float) -> Sequence[ReceivedEvent]:
    """Take waiting events of tickets of a desk, one per ticket; the older ones of the ticket count as handled."""
    return await _claim(session, _CLAIM_TICKETS, limit, lease_seconds)


async def _claim(
    session: AsyncSession, statement: TextClause, limit: int, lease_seconds: float
) -> Sequence[ReceivedEvent]:
    rows = await session.execute(statement, {"limit": limit, "lease": lease_seconds, "changed": CHANGED})
    return sorted((ReceivedEvent(**row._mapping) for row in rows), key=lambda event: event.id)


async def release(session: AsyncSession) -> None:
    """Make every waiting event due now, so that a new relay does not wait for the leases of a killed one."""
    await session.execute(
        update(InboxEvent)
        .where(InboxEvent.handled_at.is_(None), InboxEvent.parked_at.is_(None))
        .values(next_at=func.clock_timestamp())
    )


async def mark_handled(session: AsyncSession, *events: ReceivedEvent) -> None:
    ids = [event.id for event in events]
    await session.execute(
        update(InboxEvent).where(InboxEvent.id.in_(ids)).values(handled_at=func.clock_timestamp(), error=None)
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


async def challenges_of(session: AsyncSession, events: Sequence[ReceivedEvent]) -> dict[tuple[str, str], str]:
    """Returns the challenges of these events by (provider, checkout id). Leaves out those that have ended: their
    workflows are closed."""
    wanted = {(event.provider, event.object_id) for event in events}
    if not wanted:
        return {}
    rows = await session.execute(
        select(Challenge.provider, Challenge.checkout_id, Challenge.id).where(
            tuple_(Challenge.provider, Challenge.checkout_id).in_(wanted), Challenge.state.not_in(CHALLENGE.terminal)
        )
    )
    return {(provider, checkout_id): challenge_id for provider, checkout_id, challenge_id in rows}


async def payouts_of(session: AsyncSession, events: Sequence[ReceivedEvent]) -> dict[tuple[str, str], str]:
    """Returns the open payouts of these events by (rail, transfer id), and locks their rows. Leaves out payouts
    with several attempts: which one such a payout asks its rail about depends on all of them."""
    wanted = {(event.provider, event.object_id) for event in events}
    if not wanted:
        return {}
    other = aliased(PayoutTransfer)
    rows = await session.execute(
        select(PayoutTransfer.rail, PayoutTransfer.provider_id, Payout.id)
        .join(Payout, Payout.id == PayoutTransfer.payout_id)
        .where(
            tuple_(PayoutTransfer.rail, PayoutTransfer.provider_id).in_(wanted),
            Payout.state.not_in(PAYOUT.terminal),
            ~exists().where(other.payout_id == Payout.id, other.id != PayoutTransfer.id),
        )
        .order_by(Payout.id)  # two relays lock them in the same order
        .with_for_update(of=Payout, key_share=True)
    )
    return {(rail, transfer_id): payout_id for rail, transfer_id, payout_id in rows}


async def route_again(session: AsyncSession, key: str) -> bool:
    """Route a handled event again. Returns False when the key is not that of an event."""
    event = await _by_key(session, key)
    if event is None:
        return False
    event.handled_at, event.next_at = None, datetime.now(UTC)
    return True


async def reopen_transfer(session: AsyncSession, key: str) -> bool:
    """Route a handled event of a transfer again because its payout has ended. Returns False when it is open. `key` is
    `provider/event id`."""
    event = await _by_key(session, key)
    if event is None:
        return False
    state = await session.scalar(
        select(Payout.state)
        .join(PayoutTransfer, PayoutTransfer.payout_id == Payout.id)
        .where(PayoutTransfer.rail == event.provider, PayoutTransfer.provider_id == event.object_id)
    )
    if state not in PAYOUT.terminal:
        return False
    event.handled_at, event.next_at = None, datetime.now(UTC)
    return True


async def _by_key(session: AsyncSession, key: str) -> InboxEvent | None:
    provider, _, event_id = key.partition("/")
    row: InboxEvent | None = await session.scalar(
        select(InboxEvent).where(InboxEvent.provider == provider, InboxEvent.event_id == event_id)
    )
    return row


async def has_ended(session: AsyncSession, challenge_id: str) -> bool:
    found = select(Challenge.id).where(Challenge.id == challenge_id, Challenge.state.in_(CHALLENGE.terminal))
    return await session.scalar(found) is not None


async def is_challenge(session: AsyncSession, provider: str, reference: str) -> bool:
    """Whether `reference` is a challenge that pays its fee through this provider."""
    found = select(Challenge.id).where(Challenge.id == reference, Challenge.provider == provider)
    return await session.scalar(found) is not None
