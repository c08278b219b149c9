"""Appeals against what the firm did about a surveillance case: one each trader, decided by somebody who had no part in
the case. A granted appeal takes the action back for this trader.

An appeal is a dispute like one of a breach: the same workflow, the same verbs (`uphold` leaves the action, `reinstate`
grants the appeal).
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from contracts.ids import challenge_workflow
from contracts.messages import ChallengeStart
from domain import keys
from domain.approvals import Actor
from domain.errors import BadInput, Conflict, NotFound
from domain.lifecycle import CHALLENGE
from domain.surveillance.casework import CASE
from firm import case_actions, challenges, deductions, dispute_voting, disputes, messages, surveillance_policies
from firm import decide as guard
from firm.dispute_voting import TRIGGERS, Spoken, Tally
from firm.payouts import signals
from store import audit, decisions, rows
from store.clock import market_now
from store.models import Account, Case, CaseAccount, CaseAction, Challenge, Dispute, Transition, User

_REOPENS = frozenset({"active", "funded"})  # states of a challenge that a closing is taken back from


async def open_appeal(session: AsyncSession, *, action_id: str, actor: Actor, statement: str) -> Dispute:
    """A trader appeals against an action that blames an account of theirs; a workflow starts at commit.

    Raises NotFound (also for an action against somebody else), BadInput, Conflict (it was overturned, the time is over,
    or there is an appeal already).
    """
    made = await session.get(CaseAction, action_id)
    account = await _own_account(session, made, actor)
    if made is None or account is None or made.state not in ("approved", "overturned"):
        raise NotFound
    if not statement.strip():
        raise BadInput("Say what you think is wrong.", field="statement", remedy="One sentence is enough.")
    challenge = await challenges.lock(session, account.challenge_id)
    if made.state != "approved":
        raise Conflict("This was taken back already; there is nothing left to appeal against.")
    theirs = select(Dispute.id).where(Dispute.case_id == made.case_id, Dispute.trader_id == account.trader_id)
    if await session.scalar(theirs) is not None:
        raise Conflict("You have appealed against this already.")
    if await market_now(session) >= await until(session, made):
        raise Conflict("The time to appeal against this is over.")
    return await disputes.open_row(session, challenge, account.id, actor, statement, case_id=made.case_id)


async def until(session: AsyncSession, made: CaseAction) -> Any:
    """Returns the market time at which the time to appeal against a decided action ends."""
    days = (await surveillance_policies.in_force(session)).appeal_days
    return (made.closed_at or made.proposed_at) + timedelta(days=days)


async def _own_account(session: AsyncSession, made: CaseAction | None, actor: Actor) -> Account | None:
    """Returns the newest account of the trader that the action's case blames."""
    if made is None or actor.trader_id is None:
        return None
    found: Account | None = await session.scalar(
        select(Account)
        .join(CaseAccount, CaseAccount.account_id == Account.id)
        .where(CaseAccount.case_id == made.case_id, CaseAccount.blamed, Account.trader_id == actor.trader_id)
        .order_by(Account.number.desc())
        .limit(1)
    )
    return found


async def evidence(session: AsyncSession, dispute: Dispute) -> dict[str, Any]:
    """Returns what the person who decides reads of the action; nothing in it is hidden from the trader."""
    made = await _action(session, dispute)
    return {
        "action_id": made.id,
        "action": made.action,
        "rule": made.rule,
        "message": made.message,
        "decided_at": made.closed_at.isoformat() if made.closed_at else "",
        "trades": [
            {"position": row.position_id, "symbol": row.symbol, "profit_minor": row.profit_minor}
            for row in await deductions.of(session, made.id)
            if row.account_id == dispute.account_id
        ],
    }


async def decide(session: AsyncSession, dispute: Dispute, spoken: Spoken) -> Tally | None:
    """Record who decided a locked appeal and why, and take the action back when it is granted. The same key again
    changes nothing.

    Raises NotAllowed, SelfApproval (also for whoever proposed or decided the action), AlreadyDecided, BadInput,
    IllegalTransition.
    """
    case = await rows.locked(session, Case, dispute.case_id or "")
    made = await _action(session, dispute)

    async def shut_out() -> Mapping[str, str]:
        why = "You had a part in this case; somebody else must decide the appeal."
        return dict.fromkeys(await _had_part(session, case, made), why)

    evidence = {"case_id": case.id, "action_id": made.id}
    tally = await dispute_voting.vote(session, dispute, spoken, evidence, shut_out)
    if tally is None or tally.verb is None:
        return tally
    verb, actor = tally.verb, spoken.actor
    key = keys.dispute_decision(spoken.key)
    granted = verb == "reinstate"
    if granted:
        await _take_back(session, dispute, case, made, spoken)
    subject = "Your appeal is granted" if granted else "Your appeal is not granted"
    told = [_TOLD[made.action]] if granted else []
    if spoken.message or not granted:
        told.append(tally.message)
    await dispute_voting.tell(session, dispute, actor, subject, "\n\n".join(told))
    await disputes.move(session, dispute, TRIGGERS[verb], key=key, actor=actor, reason=spoken.reason)
    if granted:
        await disputes.move(session, dispute, "account_reinstated", key="reinstated")
    cause = keys.dispute_event(dispute.id, verb)
    await signals.send_risk_changed(session, cause=cause, trader_ids=[dispute.trader_id])
    return tally


async def _action(session: AsyncSession, dispute: Dispute) -> CaseAction:
    found = await session.scalars(
        select(CaseAction).where(
            CaseAction.case_id == dispute.case_id, CaseAction.state.in_(("approved", "overturned"))
        )
    )
    return found.one()


async def _had_part(session: AsyncSession, case: Case, made: CaseAction) -> set[str]:
    """Returns the persons who proposed or decided what is appealed against."""
    proposer = await session.get_one(User, made.proposed_by)
    return {proposer.person_id, *(row.person_id for row in await decisions.of(session, "case", case.id))}


async def _take_back(session: AsyncSession, dispute: Dispute, case: Case, made: CaseAction, spoken: Spoken) -> None:
    """Takes the action back for this trader. When it was the last one whom the case blames, the case is overturned: it
    counts as a false alert, and as no offence."""
    actor, reason = spoken.actor, spoken.reason
    own = select(Account.id).where(Account.trader_id == dispute.trader_id)
    of_trader = (CaseAccount.case_id == case.id, CaseAccount.account_id.in_(own))
    await session.execute(update(CaseAccount).where(*of_trader).values(blamed=False))
    left = select(CaseAccount.account_id).where(CaseAccount.case_id == case.id, CaseAccount.blamed).limit(1)
    is_last = await session.scalar(left) is None
    if made.action == "deduct":
        await deductions.count(session, made.id, counts=False, of=own)
    now = await market_now(session)
    if is_last:
        await case_actions.overturn(session, made)
        case.outcome = "false_positive"
        detail = {"dispute_id": dispute.id}
        await guard.step(
            session, CASE, case, "appeal_granted", kind="case", key="appeal_granted", at=now, actor=actor,
            reason=reason, detail=detail,
        )  # fmt: skip
    if made.action == "close":
        await _reopen(session, dispute, case)
    await audit.record(
        session,
        action="case.appeal_granted",
        subject_kind="case",
        subject_id=case.id,
        occurred_at=now,
        actor=actor.user_id,
        role=actor.role,
        reason=reason,
        evidence={"dispute_id": dispute.id, "action": made.action, "overturned": is_last},
    )


_TOLD = {
    "warn": "We took the warning back. It no longer counts.",
    "deduct": "We took the deduction back. The profit of these trades counts for payouts again.",
    "deny": "We took the denial back. The money is on your account: you can ask for a payout again.",
    "close": "We took the closing back. You get a new account of the same phase.",
}


async def _reopen(session: AsyncSession, dispute: Dispute, case: Case) -> None:
    """Opens a new account of the phase in each challenge of the trader that this case closed while it was traded."""
    closed = await session.execute(
        select(Transition.subject_id)
        .join(Challenge, Challenge.id == Transition.subject_id)
        .where(
            Transition.subject_kind == "challenge",
            Transition.trigger == "closed_by_firm",
            Transition.from_state.in_(_REOPENS),
            Transition.detail["case_id"].astext == case.id,
            Challenge.trader_id == dispute.trader_id,
            Challenge.state == "closed",
        )
    )
    for challenge_id in closed.scalars().all():
        challenge = await challenges.lock(session, challenge_id)
        account = await challenges.account(session, challenge, locked=True)
        if account is None or not CHALLENGE.allows(challenge.state, "closing_overturned"):
            continue
        detail = {"account_id": account.id, "phase_index": account.phase_index, "dispute_id": dispute.id}
        now, key = await market_now(session), keys.dispute_event(dispute.id, "reopened")
        await challenges.move(session, challenge, "closing_overturned", key=key, at=now, detail=detail)
        challenge.phase_index = account.phase_index - 1
        start = ChallengeStart(challenge_id=challenge.id, state=challenge.state, phase_index=challenge.phase_index)
        await messages.start_again(session, challenge_workflow(challenge.id), start)
