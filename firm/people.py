"""Traders on the record: their identity and bank account; and users with their role of this moment."""

from typing import Final, cast

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from contracts.ids import challenge_workflow
from contracts.messages import IdentityDecided
from domain import keys
from domain.approvals import Actor, Role, check_reason
from domain.errors import NotAllowed
from firm import messages, screening
from firm.payouts import signals
from store import audit, rows
from store.clock import market_now
from store.models import Challenge, Trader, User

IDENTITY_DECIDERS: Final = frozenset({"risk", "admin"})


async def current_actor(session: AsyncSession, user_id: str) -> Actor:
    """Returns the user with their current role, which may differ from the role in the request. Raises NotAllowed."""
    user = await session.get(User, user_id, populate_existing=True)
    if user is None or not user.active:
        raise NotAllowed("This user is no longer active.")
    return Actor(user_id=user.id, person_id=user.person_id, role=cast("Role", user.role), trader_id=user.trader_id)


async def person_of(session: AsyncSession, trader_id: str) -> str:
    """Returns the person id of a trader; the trader's own id when they have no user."""
    person = await session.scalar(select(User.person_id).where(User.trader_id == trader_id).limit(1))
    return person or trader_id


async def lock_trader(session: AsyncSession, trader_id: str) -> Trader:
    """Returns the row, locked until the transaction ends. Raises NotFound."""
    return await rows.locked(session, Trader, trader_id)


async def identity_of(session: AsyncSession, trader_id: str) -> str:
    """Returns unverified, verified or refused, locked until the transaction ends."""
    statement = select(Trader.identity).where(Trader.id == trader_id).with_for_update(read=True)
    return (await session.execute(statement)).scalar_one()


async def decide_identity(
    session: AsyncSession, *, trader_id: str, verified: bool, actor: Actor, reason: str, key: str
) -> Trader:
    """Record that a person looked at the documents, and tell the challenges that wait for it.

    `key` is the request's idempotency key. Raises NotFound, NotAllowed, BadInput.
    """
    if actor.role not in IDENTITY_DECIDERS:
        raise NotAllowed(f"Deciding an identity needs the role admin or risk; yours is {actor.role}.")
    check_reason(reason)
    trader = await lock_trader(session, trader_id)
    if await person_of(session, trader_id) == actor.person_id:
        raise NotAllowed("Nobody verifies their own identity.")
    await settle_identity(
        session, trader, verified=verified, actor=actor.user_id, role=actor.role, reason=reason, key=key
    )
    return trader


async def settle_identity(
    session: AsyncSession, trader: Trader, *, verified: bool, actor: str, role: str, reason: str, key: str
) -> None:
    """Verify or refuse a locked trader: screens the name, and tells challenges and payouts that wait."""
    trader_id = trader.id
    trader.identity = "verified" if verified else "refused"
    await screening.screen_trader(session, trader)
    waiting = await session.scalars(
        select(Challenge.id).where(Challenge.trader_id == trader_id, Challenge.state == "identity_check")
    )
    for challenge_id in waiting:
        decided = IdentityDecided(key=keys.identity_message(challenge_id, key), verified=verified)
        await messages.signal(session, challenge_workflow(challenge_id), decided)
    await signals.send_risk_changed(session, cause=keys.identity_decision(trader_id, key), trader_ids=[trader_id])
    await audit.record(
        session,
        action=f"trader.identity_{trader.identity}",
        subject_kind="trader",
        subject_id=trader_id,
        occurred_at=await market_now(session),
        actor=actor,
        role=role,
        reason=reason,
    )
