"""Surveillance cases: what people decide about them, and what a decision leads to.

How alerts become cases is `firm/case_opening.py`, their holds are `firm/case_holds.py`, the actions that people propose
`firm/case_actions.py`.
"""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from contracts.ids import case_workflow, challenge_workflow
from contracts.messages import ClosedByFirm
from domain import keys
from domain.approvals import Actor, check_may_decide
from domain.errors import BadInput, Conflict
from domain.lifecycle import CHALLENGE
from domain.surveillance.casework import ACTION_OF, CASE, ENDINGS, Verb
from domain.surveillance.findings import DisputeBreach
from firm import case_actions, case_messages, disputes, messages
from firm import decide as guard
from firm.payouts import signals
from store import audit, case_evidence, chains, outbox, rows
from store.case_evidence import Evidence
from store.clock import market_now
from store.models import Account, Breach, Case, CaseAccount, CaseAction, CaseNote, Challenge, Decision, User

_VERDICT_VERBS = frozenset({"clear", "inconclusive", "confirm"})


async def locked(session: AsyncSession, case_id: str) -> Case:
    """Returns the row, locked until the transaction ends; raises NotFound."""
    return await rows.locked(session, Case, case_id)


async def decide(session: AsyncSession, case: Case, *, decision: Verb, actor: Actor, reason: str, key: str) -> None:
    """Records who decided what and why on a locked case, then frees what it held and acts on what it found. The same
    key again changes nothing. `actor`: as the record has them now. An action must have been proposed; what costs a
    trader money, by somebody else.

    Raises BadInput, NotAllowed, AlreadyDecided, EvidenceChanged, Conflict without a proposal, SelfApproval.
    """
    ending, known = ENDINGS[decision], await case_evidence.of(session, case.id)
    proposal = await case_actions.proposed(session, case.id)
    takes = ACTION_OF.get(decision) if known.is_about_trading else None
    named = await case_actions.evidence(session, proposal) if takes and proposal else {}
    subject = guard.Subject(
        kind="case",
        id=case.id,
        digest=known.seen(case.id, proposal if takes else None),
        evidence={**_summary(known), **named},
        once=True,
    )

    async def still_open(made: Sequence[Decision]) -> None:
        await guard.allowed(CASE, case.state, ending.trigger)(made)
        known.check()
        _check_verb(known, decision)
        if takes is not None:
            await case_actions.check_decision(session, proposal, takes, known, actor)

    choice = guard.Choice(decision, actor, reason, key)
    now = await guard.record(session, subject, choice, still_open)
    if now is None:
        return
    if proposal is not None:
        await case_actions.end(session, proposal, approved=takes is not None, at=now)
    case.outcome, case.action = ending.outcome, ending.action if known.is_about_trading else "none"
    case.closed_at = now
    await _carry_out(session, case, known, proposal if takes else None, actor)
    await outbox.wake_at(session, workflow_id=case_workflow(case.id), due_at=None)
    cause = keys.case_event(case.id, decision)
    await signals.send_risk_changed(session, cause=cause, trader_ids=await traders(session, case.id))
    await guard.step(
        session,
        CASE,
        case,
        ending.trigger,
        kind="case",
        key=ending.trigger,
        at=now,
        actor=actor,
        reason=reason,
        detail={"outcome": case.outcome, "action": case.action, **named},
    )


def _summary(known: Evidence) -> dict[str, object]:
    return {
        "alerts": {alert.id: digest for alert, digest in zip(known.alerts, known.digests, strict=True)},
        "scores": {alert.id: str(alert.score) for alert in known.alerts},
    }


def _check_verb(known: Evidence, decision: Verb) -> None:
    if not known.is_about_trading and decision not in _VERDICT_VERBS:
        raise BadInput(
            "This case is about a verdict, not about trades.", field="decision", remedy="Clear or confirm the case."
        )


async def _carry_out(session: AsyncSession, case: Case, known: Evidence, made: CaseAction | None, actor: Actor) -> None:
    """Does what the decision says, and tells the traders. Payouts that are denied, and those of closed accounts, are
    rejected by their own workflows, which read this decision."""
    if made is not None:
        await case_messages.send(session, case, known, made, actor)
        if made.action == "close":
            await _close_challenges(session, case, known.blamed)
    if case.outcome == "confirmed":
        for finding in known.findings:
            if isinstance(finding.if_confirmed, DisputeBreach):
                await _dispute(session, finding.if_confirmed.proof_id, finding.sentence, actor)


async def _close_challenges(session: AsyncSession, case: Case, blamed: Sequence[str]) -> None:
    """Closes the challenges of the blamed accounts, and those that go on from them."""
    traded_in = await session.scalars(select(Account.challenge_id).where(Account.id.in_(blamed)))
    chain = await chains.onward_from(session, set(traded_in))
    found = await session.scalars(
        select(Challenge.id)
        .where(Challenge.id.in_(chain), Challenge.state.not_in(CHALLENGE.terminal))
        .order_by(Challenge.id)
    )
    for challenge_id in found.all():
        closes = ClosedByFirm(key=keys.case_closes(case.id, challenge_id), case_id=case.id)
        await messages.signal(session, challenge_workflow(challenge_id), closes)


async def _dispute(session: AsyncSession, proof_id: str, statement: str, actor: Actor) -> None:
    """Disputes the breach in the trader's name; a person then decides the dispute like any other. A verdict that is no
    breach cannot be disputed: nothing happens."""
    breach = await session.scalar(select(Breach).where(Breach.proof_id == proof_id))
    if breach is not None:
        await disputes.open_for_trader(session, breach=breach, actor=actor, statement=statement)


async def traders(session: AsyncSession, case_id: str) -> list[str]:
    """Returns the ids of the traders whose accounts the case names."""
    found = await session.scalars(
        select(Account.trader_id)
        .join(CaseAccount, CaseAccount.account_id == Account.id)
        .where(CaseAccount.case_id == case_id)
        .distinct()
        .order_by(Account.trader_id)
    )
    return list(found)


async def note(session: AsyncSession, case_id: str, *, body: str, actor: Actor) -> CaseNote:
    """Keep what a person noted about a case, also after it is decided. Raises NotFound, NotAllowed, BadInput."""
    case = await locked(session, case_id)
    check_may_decide("case", actor, requester_person="", decided_by=(), subject_id=case.id)
    if not body.strip():
        raise BadInput("The note is empty.", field="body", remedy="Write what you found.")
    now = await market_now(session)
    made = CaseNote(id=keys.new_id("nte"), case_id=case.id, author_id=actor.user_id, body=body.strip(), occurred_at=now)
    session.add(made)
    await session.flush()
    await _audit(session, case, "case.noted", actor, {"note": made.id})
    return made


async def assign(session: AsyncSession, case_id: str, *, to: str, actor: Actor, reason: str = "") -> Case:
    """Claim an open case, or hand it over to somebody who may decide it; to nobody when `to` is empty.

    Raises NotFound, NotAllowed, BadInput (nobody of that id, or without the right), Conflict (it is decided).
    """
    case = await locked(session, case_id)
    check_may_decide("case", actor, requester_person="", decided_by=(), subject_id=case.id)
    if case.state != CASE.initial:
        raise Conflict(f"This case is {case.state}; nobody works on it any more.")
    if to:
        user = await session.get(User, to)
        if user is None or not user.active:
            raise BadInput("There is no such person.", field="to", remedy="Name somebody who is active.")
        _check_can_take(user, case)
    before, case.assigned_to = case.assigned_to, to or None
    await _audit(session, case, "case.assigned", actor, {"from": before, "to": case.assigned_to}, reason)
    return case


def _check_can_take(user: User, case: Case) -> None:
    taker = Actor.model_validate({"user_id": user.id, "person_id": user.person_id, "role": user.role})
    check_may_decide("case", taker, requester_person="", decided_by=(), subject_id=case.id)


async def _audit(
    session: AsyncSession, case: Case, action: str, actor: Actor, evidence: dict[str, object], reason: str = ""
) -> None:
    await audit.record(
        session,
        action=action,
        subject_kind="case",
        subject_id=case.id,
        occurred_at=await market_now(session),
        actor=actor.user_id,
        role=actor.role,
        reason=reason,
        evidence=evidence,
    )
