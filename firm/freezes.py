"""Freezes: one person stops the trading of one account, and a person lets it trade again.

A freeze suspends the challenge of the account, as an open chargeback does. So nothing that lets accounts trade enables
it, also no later account of the challenge; the time of its phase does not run; and its payouts wait. Open positions
stay, and the rules judge them: a breach while the account is frozen is a breach. The platform is told by an outbox
message, which needs no workflow engine.
"""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from domain.approvals import Actor, check_reason
from domain.errors import Conflict, NotAllowed, NotFound
from domain.freezes import FREEZERS, THAWERS, why_not_freeze, why_not_thaw
from domain.keys import new_id
from firm import challenges, growth, messages, refunds, trading_pauses
from firm.payouts import signals
from store import audit, chains, reasons, rows, suspensions
from store.clock import market_now
from store.models import Account, AccountFreeze, Challenge


async def freeze(
    session: AsyncSession, account_id: str, *, sets_trading: bool, actor: Actor, reason: str
) -> AccountFreeze:
    """Stops the trading of an account. `sets_trading`: what its platform can do.

    Raises NotAllowed, BadInput (no reason), NotFound, Conflict (it has ended, is frozen already, or cannot be frozen).
    """
    if actor.role not in FREEZERS:
        raise NotAllowed(f"Freezing an account needs the role {' or '.join(sorted(FREEZERS))}; yours is {actor.role}.")
    check_reason(reason)
    challenge, account = await _locked(session, account_id)
    frozen = await suspensions.frozen_since(session, challenge.id) is not None
    why = why_not_freeze(
        status=account.status,
        current=challenge.account_id == account.id,
        frozen=frozen,
        sets_trading=sets_trading,
        platform=account.platform,
    )
    if why:
        raise Conflict(why, field="account", remedy="Look at the account again.")
    now = await market_now(session)
    made = AccountFreeze(
        id=new_id("frz"),
        challenge_id=challenge.id,
        account_id=account.id,
        reason=await reasons.seal(session, reason),
        frozen_by=actor.user_id,
        began_at=now,
    )
    session.add(made)
    await session.flush()
    await suspensions.freeze(session, challenge_id=challenge.id, freeze_id=made.id, at=now)
    await messages.freeze_account(session, account, made.id)
    await _follow(session, challenge, account, f"{made.id}/frozen")
    await _audit(session, "account.frozen", account, made, actor, reason, now)
    return made


async def thaw(session: AsyncSession, account_id: str, *, actor: Actor, reason: str) -> AccountFreeze:
    """Lets a frozen account trade again, unless something else keeps it from that: its end enables it then. For an
    account of a challenge that goes on from a frozen one, it ends that freeze.

    Raises NotAllowed, BadInput (no reason), NotFound, Conflict (it is not frozen).
    """
    if actor.role not in THAWERS:
        raise NotAllowed(f"Thawing an account needs the role {' or '.join(sorted(THAWERS))}; yours is {actor.role}.")
    check_reason(reason)
    made = await _lock_freeze(session, account_id)
    _, account = await _locked(session, account_id)
    now = await market_now(session)
    made.thaw_reason, made.thawed_by, made.ended_at = await reasons.seal(session, reason), actor.user_id, now
    await suspensions.thaw(session, freeze_id=made.id, at=now)
    for challenge_id in sorted(await chains.onward_from(session, [made.challenge_id])):
        bound = await challenges.lock(session, challenge_id)
        current = await challenges.account(session, bound)
        if current is not None:
            if await may_resume(session, current):
                await messages.let_trade(session, current, f"{made.id}/thawed/{current.id}")
            await _follow(session, bound, current, f"{made.id}/thawed/{current.id}")
    await _audit(session, "account.thawed", account, made, actor, reason, now)
    return made


async def _lock_freeze(session: AsyncSession, account_id: str) -> AccountFreeze:
    """Returns the freeze that binds an account, locked after every challenge that it binds: people may thaw several
    accounts of a chain at once, and they lock the chain in one order. Raises NotFound, Conflict (it is not frozen)."""
    account = await session.get(Account, account_id)
    if account is None:
        raise NotFound
    found = await in_force(session, account.challenge_id)
    if found is not None:
        for challenge_id in sorted(await chains.onward_from(session, [found.challenge_id])):
            await challenges.lock(session, challenge_id)
        found = await rows.locked(session, AccountFreeze, found.id)
    if found is None or found.ended_at is not None:
        raise Conflict(why_not_thaw(frozen=False), field="account", remedy="Look at the account again.")
    return found


async def _locked(session: AsyncSession, account_id: str) -> tuple[Challenge, Account]:
    """Returns an account with its challenge, both locked in the order in which everybody locks. Raises NotFound."""
    found = await session.get(Account, account_id)
    if found is None:
        raise NotFound
    challenge = await challenges.lock(session, found.challenge_id)
    return challenge, await rows.locked(session, Account, account_id)


async def may_resume(session: AsyncSession, account: Account) -> bool:
    """Whether the end of a freeze may enable the account. Whatever else keeps it from trading lets it trade at its own
    end: another suspension, the refund of its fee, a pause, a stop, a change of platform; or a person does, once it is
    known why the venue locked it."""
    if account.status != "active" or account.login is None:
        return False
    refunded = await refunds.under_way(session, account.challenge_id)
    return not refunded and not await trading_pauses.venue_locked(session, account.id)


async def _follow(session: AsyncSession, challenge: Challenge, account: Account, cause: str) -> None:
    """Stops the clock of the phase, or lets it go on where it was; and has open payouts judged again."""
    if challenge.state in ("active", "funded") and challenge.account_id == account.id:
        product = await challenges.terms(session, challenge)
        due = await growth.next_wake(session, challenge, account, product)
        await challenges.wake(session, challenge, due)
    await signals.send_risk_changed(session, cause=cause, trader_ids=[challenge.trader_id])


async def _audit(
    session: AsyncSession,
    action: str,
    account: Account,
    made: AccountFreeze,
    actor: Actor,
    reason: str,
    now: datetime,
) -> None:
    await audit.record(
        session,
        action=action,
        subject_kind="account",
        subject_id=account.id,
        occurred_at=now,
        actor=actor.user_id,
        role=actor.role,
        reason=reason,
        evidence={"freeze": made.id, "challenge_id": made.challenge_id, "platform": account.platform},
    )


async def in_force(session: AsyncSession, challenge_id: str) -> AccountFreeze | None:
    """Returns the freeze that binds the accounts of this challenge now."""
    found = (await session.execute(suspensions.freeze_query(challenge_id))).first()
    return None if found is None else await session.get_one(AccountFreeze, found.id)
