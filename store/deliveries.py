"""Delivery of outbox messages."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Any, Final, Literal, NamedTuple

from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql import func

from domain import keys, places
from domain.clocks import Clock
from domain.errors import NotFound
from domain.tickets import CHANGED
from store import outbox
from store.clock import market_now
from store.db import Database
from store.models import Account, AccountPlace, Breach, Intent, Offence, OutboxMessage, Payout


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
         WHERE dispatched_at IS NULL AND parked_at IS NULL AND (topic = ANY(:topics)) = :within ORDER BY target, id
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

_WAITS_IN_OUTBOX: Final = (
    "SELECT FROM outbox WHERE dispatched_at IS NULL AND parked_at IS NULL AND next_at <= clock_timestamp()"
)
_WAITS_IN_INBOX: Final = (
    "SELECT FROM inbox WHERE handled_at IS NULL AND parked_at IS NULL AND next_at <= clock_timestamp()"
)
_DUE = text(f"""
    SELECT EXISTS ({_WAITS_IN_OUTBOX} AND topic <> :desk AND topic <> :bulk) AS messages,
           EXISTS ({_WAITS_IN_OUTBOX} AND topic = :desk) AS copies,
           EXISTS ({_WAITS_IN_OUTBOX} AND topic = :bulk) AS bulk,
           EXISTS ({_WAITS_IN_INBOX} AND kind <> :changed) AS events,
           EXISTS ({_WAITS_IN_INBOX} AND kind = :changed) AS tickets
""")
Due = Literal["messages", "copies", "bulk", "events", "tickets"]


async def due(db: Database) -> set[Due]:
    """Returns what is due, in one round trip: messages of the outbox and of those delivered apart the copies of tickets
    and the bulk mail; events of the inbox and apart from them those of tickets of a desk."""
    given = {"desk": outbox.DESK, "bulk": outbox.BULK_MAIL, "changed": CHANGED}
    row = await db.fetch_at_once(_DUE, given)
    return {what for what, is_due in row._mapping.items() if is_due}


async def claim(
    session: AsyncSession, *, limit: int, lease_seconds: float, only: str | None = None
) -> Sequence[OutgoingMessage]:
    """Take due messages, at most one per target, oldest first. Other relays cannot take them until the lease ends.
    `only`: messages of this topic, one of those that are delivered apart; None: everything but those."""
    topics = list(outbox.ASIDE) if only is None else [only]
    given = {"limit": limit, "lease": lease_seconds, "topics": topics, "within": only is not None}
    rows = await session.execute(_CLAIM, given)
    return sorted((OutgoingMessage(**row._mapping) for row in rows), key=lambda message: message.id)


async def release(session: AsyncSession) -> None:
    """Make every waiting message due now, so that a new relay does not wait for the leases of a killed one."""
    await session.execute(
        update(OutboxMessage)
        .where(OutboxMessage.dispatched_at.is_(None), OutboxMessage.parked_at.is_(None))
        .values(next_at=func.clock_timestamp())
    )


async def mark_dispatched(session: AsyncSession, messages: Sequence[OutgoingMessage]) -> None:
    """`parked_at` is emptied: another relay may have parked one meanwhile, and it would count as given up."""
    await session.execute(
        update(OutboxMessage)
        .where(OutboxMessage.id.in_([message.id for message in messages]))
        .values(dispatched_at=func.clock_timestamp(), parked_at=None, error=None)
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


class Whereabouts(NamedTuple):
    """Where an account is now. `place`: the number of its place."""

    platform: str
    login: int
    place: int
    product: str


async def whereabouts(session: AsyncSession, account_id: str) -> Whereabouts:
    """Returns where the account is. It may have changed its platform since a message about it was written. Raises
    NotFound."""
    place = select(func.max(AccountPlace.number)).where(AccountPlace.account_id == Account.id).scalar_subquery()
    found = (
        await session.execute(
            select(Account.platform, Account.login, func.coalesce(place, places.FIRST), Account.product).where(
                Account.id == account_id
            )
        )
    ).one_or_none()
    if found is None or found[1] is None:
        raise NotFound(f"There is no account {account_id} with a login on the record.")
    return Whereabouts(*found)


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


async def money_is_moving(session: AsyncSession, account_id: str) -> bool:
    """Returns whether money of a payout is being taken off this account, or put back. Locks the account until the
    transaction ends: a payout that is to be held waits, and then finds the offence that resets the balance."""
    await session.execute(select(Account.id).where(Account.id == account_id).with_for_update(key_share=True))
    steps = (keys.payout_hold, keys.payout_release, keys.payout_undo)
    moving = await session.scalars(
        select(Payout.id).where(Payout.account_id == account_id, Payout.state.in_(("requested", "releasing")))
    )
    names = [step(payout_id) for payout_id in moving for step in steps]
    begun = select(Intent.key).where(Intent.key.in_(names), Intent.done_at.is_(None)).limit(1)
    return await session.scalar(begun) is not None


async def was_paused_again(session: AsyncSession, account_id: str, offence_id: str) -> bool:
    """Returns whether the account was paused again after the offence `offence_id`."""
    first = select(Offence.seq).where(Offence.id == offence_id).scalar_subquery()
    later = select(Offence.id).where(
        Offence.account_id == account_id, Offence.consequence == "pause_until_reset", Offence.seq > first
    )
    return await session.scalar(later.limit(1)) is not None


async def is_paused(session: AsyncSession, account_id: str, clock: Clock) -> bool:
    """Returns whether an offence of the current trading day pauses the account until the next one."""
    begins = clock.day_start(clock.trading_day((await market_now(session)).astimezone(UTC)))
    found = select(Offence.id).where(
        Offence.account_id == account_id, Offence.consequence == "pause_until_reset", Offence.occurred_at >= begins
    )
    return await session.scalar(found.limit(1)) is not None


async def is_paused_now(session: AsyncSession, account_id: str) -> bool:
    """`is_paused`, on the clock of the account. Raises NoResultFound."""
    group = (await session.get_one(Account, account_id)).clock_group
    zone, _, reset = group.rpartition("@")
    return await is_paused(session, account_id, Clock(zone=zone, reset=reset))


async def clock_groups(session: AsyncSession) -> Sequence[str]:
    """Returns every clock group that has accounts, by name."""
    return (await session.scalars(select(Account.clock_group).distinct().order_by(Account.clock_group))).all()
