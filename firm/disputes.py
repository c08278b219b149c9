"""Disputes on the record: opened by a trader, appealed once, moved along the table. `dispute_voting` decides them."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from contracts.ids import dispute_workflow
from contracts.messages import DisputeStart
from domain import keys
from domain.approvals import Actor
from domain.disputes import APPEAL, DISPUTE, FIRST, evidence_digest
from domain.errors import BadInput, Conflict, NotFound
from domain.keys import new_id
from domain.lifecycle import CHALLENGE
from firm import challenges, messages
from firm import decide as guard
from firm.payouts import signals
from firm.service import policy as service
from store import audit, outbox, rows
from store.clock import market_now
from store.models import Breach, Challenge, Dispute
from store.read import disputes as read


async def open_dispute(session: AsyncSession, *, breach_id: str, actor: Actor, statement: str) -> Dispute:
    """A trader disputes a breach of their own: state `opened`, its workflow starts at commit.

    Raises NotFound (also for another trader's breach), BadInput, Conflict.
    """
    breach = await session.get(Breach, breach_id)
    if breach is None:
        raise NotFound
    challenge = await challenges.lock(session, breach.challenge_id)
    if actor.trader_id is None or challenge.trader_id != actor.trader_id:
        raise NotFound
    if not statement.strip():
        raise BadInput("Say what you think is wrong.", field="statement", remedy="One sentence is enough.")
    now = await market_now(session)
    await _check_open(session, challenge, breach)
    if now >= await challenges.dispute_until(session, challenge, breach):
        raise Conflict("The time to dispute this breach is over.")
    return await open_row(session, challenge, breach.account_id, actor, statement, breach=breach)


async def open_for_trader(session: AsyncSession, *, breach: Breach, actor: Actor, statement: str) -> Dispute | None:
    """Opens a dispute by the firm about a breach found on wrong data, also after the trader's time to dispute. A person
    decides it like any other dispute. Returns None when the breach is already disputed. Raises Conflict when it was
    overturned or its challenge has ended."""
    challenge = await challenges.lock(session, breach.challenge_id)
    if await of_confirmed_breach(session, breach.account_id) is not None:
        return None
    await _check_open(session, challenge, breach)
    return await open_row(session, challenge, breach.account_id, actor, statement, breach=breach)


async def open_second(session: AsyncSession, *, dispute_id: str, actor: Actor, statement: str) -> Dispute:
    """A trader appeals, once, against an upheld dispute of theirs: a second instance, which other people decide.

    Raises NotFound (also for another trader's dispute, and for an appeal against an action of a case), BadInput,
    Conflict (it was not upheld, it is an appeal itself, there is one already, or the time is over).
    """
    first = await session.get(Dispute, dispute_id)
    if first is None or actor.trader_id is None or first.trader_id != actor.trader_id or first.breach_id is None:
        raise NotFound
    challenge = await challenges.lock(session, first.challenge_id)
    first = await lock(session, dispute_id)
    if not statement.strip():
        raise BadInput("Say what you think is wrong.", field="statement", remedy="One sentence is enough.")
    if first.instance >= APPEAL:
        raise Conflict("This was decided a second time already; there is no further appeal.")
    if first.state != "upheld":
        raise Conflict("Only a dispute that was decided against you can be appealed.")
    breach = await session.get_one(Breach, first.breach_id)
    _check_standing(challenge, breach)
    last = await of_confirmed_breach(session, first.account_id)
    if last is not None and last.id != first.id:
        raise Conflict("You have appealed against this already.")
    until = await read.appeal_until(session, first)
    if until is None or await market_now(session) >= until:
        raise Conflict("The time to appeal against this is over.")
    return await open_row(session, challenge, first.account_id, actor, statement, breach=breach, instance=APPEAL)


async def open_row(
    session: AsyncSession,
    challenge: Challenge,
    account_id: str,
    actor: Actor,
    statement: str,
    *,
    breach: Breach | None = None,
    case_id: str | None = None,
    instance: int = FIRST,
) -> Dispute:
    """Opens a dispute of a breach, or an appeal against what was decided about a case, with its workflow and its
    deadline."""
    now = await market_now(session)
    dispute = Dispute(
        id=new_id("dsp"),
        breach_id=breach.id if breach else None,
        case_id=case_id,
        challenge_id=challenge.id,
        account_id=account_id,
        trader_id=challenge.trader_id,
        state=DISPUTE.initial,
        statement=statement,
        evidence={},
        instance=instance,
        decide_by=(await service.in_force(session)).policy.deadline("dispute", now),
        opened_at=now,
    )
    session.add(dispute)
    await session.flush()
    await outbox.wake_at(session, workflow_id=dispute_workflow(dispute.id), due_at=dispute.decide_by)
    await messages.start(session, dispute_workflow(dispute.id), DisputeStart(dispute_id=dispute.id))
    cause = keys.dispute_event(dispute.id, "opened")
    await signals.send_risk_changed(session, cause=cause, trader_ids=[challenge.trader_id])
    await audit.record(
        session,
        action="dispute.opened",
        subject_kind="dispute",
        subject_id=dispute.id,
        occurred_at=now,
        actor=actor.user_id,
        role=actor.role,
        evidence=({"breach_id": breach.id, "proof_id": breach.proof_id} if breach else {"case_id": case_id})
        | {"instance": instance},
    )
    return dispute


async def _check_open(session: AsyncSession, challenge: Challenge, breach: Breach) -> None:
    _check_standing(challenge, breach)
    if await of_confirmed_breach(session, breach.account_id) is not None:
        raise Conflict("This breach is disputed already.")


def _check_standing(challenge: Challenge, breach: Breach) -> None:
    if breach.status != "confirmed":
        raise Conflict("This breach was overturned; there is nothing left to dispute.")
    if challenge.account_id != breach.account_id or challenge.state in CHALLENGE.terminal:
        raise Conflict(f"This challenge is {challenge.state.replace('_', ' ')}; its breach can no longer be disputed.")


async def of_confirmed_breach(session: AsyncSession, account_id: str) -> Dispute | None:
    """Returns the last dispute about the breach that ended this account, or None."""
    row: Dispute | None = await session.scalar(
        select(Dispute)
        .join(Breach, Breach.id == Dispute.breach_id)
        .where(Dispute.account_id == account_id, Breach.status == "confirmed")
        .order_by(Dispute.instance.desc(), Dispute.recorded_at.desc())
        .limit(1)
    )
    return row


async def lock(session: AsyncSession, dispute_id: str) -> Dispute:
    """Returns the row, locked until the transaction ends. Raises NotFound."""
    return await rows.locked(session, Dispute, dispute_id)


async def move(
    session: AsyncSession,
    dispute: Dispute,
    trigger: str,
    *,
    key: str,
    detail: dict[str, Any] | None = None,
    actor: Actor | None = None,
    reason: str = "",
) -> None:
    """Take a step of the table on a locked row; the same key again changes nothing. Raises IllegalTransition."""
    await guard.step(
        session,
        DISPUTE,
        dispute,
        trigger,
        kind="dispute",
        key=key,
        at=await market_now(session),
        actor=actor,
        reason=reason,
        detail=detail,
    )


def digest(dispute: Dispute) -> str:
    """Returns a digest of what exactly is decided on: the breach or case, and the evidence that was shown."""
    return evidence_digest(dispute.id, dispute.breach_id, dispute.case_id, dispute.evidence)


async def raise_late(session: AsyncSession, dispute: Dispute) -> None:
    """Raises a locked dispute to admin when its deadline has passed undecided; it is done once."""
    now = await market_now(session)
    if dispute.state != "awaiting_decision" or dispute.escalated_at is not None or dispute.decide_by is None:
        return
    if now < dispute.decide_by:
        await outbox.wake_at(session, workflow_id=dispute_workflow(dispute.id), due_at=dispute.decide_by)
        return
    dispute.escalated_at = now
    await audit.record(
        session,
        action="dispute.escalated",
        subject_kind="dispute",
        subject_id=dispute.id,
        occurred_at=now,
        evidence={"decide_by": dispute.decide_by.isoformat()},
    )
