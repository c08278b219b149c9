"""Surveillance cases: opened for a finding, decided by people, and what a confirmed one leads to."""

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.approvals import Actor, check_may_decide
from domain.disputes import CASE
from domain.errors import AlreadyDecided, BadInput
from domain.keys import derived_id
from domain.lifecycle import CHALLENGE
from domain.surveillance.findings import CloseChallenges, DisputeBreach, Finding
from firm import challenges, disputes
from firm.payouts import requests as payouts
from store import audit, decisions, outbox, rows, surveillance, transitions
from store.clock import market_now
from store.models import Account, Alert, Breach, Case, CaseAccount, Challenge

_TRIGGERS = {"clear": "suspicion_cleared", "confirm": "abuse_confirmed"}


def workflow(case_id: str) -> str:
    return f"case/{case_id}"


async def open_case(session: AsyncSession, finding: Finding) -> str | None:
    """Opens a case for a finding in the caller's transaction: alert, case, its workflow, the hold on open payouts.
    Returns the case's id; None when the finding has its case already."""
    alert_id = await surveillance.record_alert(session, finding)
    if alert_id is None:
        return None
    case_id = derived_id("cas", finding.key)
    session.add(Case(id=case_id, alert_id=alert_id, state=CASE.initial, opened_at=finding.at))
    await session.flush()
    named = dict.fromkeys(involved.account_id for involved in finding.accounts)
    session.add_all(CaseAccount(case_id=case_id, account_id=account_id) for account_id in named)
    await session.flush()
    await outbox.start_workflow(session, workflow_id=workflow(case_id), name="Case", payload={"case_id": case_id})
    await payouts.risk_changed(session, cause=f"{case_id}/opened", trader_ids=await _traders(session, case_id))
    await audit.record(
        session,
        action="case.opened",
        subject_kind="case",
        subject_id=case_id,
        occurred_at=finding.at,
        evidence={"alert_id": alert_id, "detector": finding.detector, "score": str(finding.score)},
    )
    return case_id


async def locked(session: AsyncSession, case_id: str) -> Case:
    """Returns the row, locked until the transaction ends; raises NotFound."""
    return await rows.locked(session, Case, case_id)


async def decide(session: AsyncSession, case: Case, *, decision: str, actor: Actor, reason: str, key: str) -> None:
    """Records who decided what and why on a locked case, then frees what it held or acts on what it found. The same
    key again changes nothing. `actor`: as the record has them now. Raises BadInput, NotAllowed, AlreadyDecided."""
    made = await decisions.of(session, "case", case.id)
    if decisions.repeated(made, key) is not None:
        return
    if not reason.strip():
        raise BadInput("Say why.", field="reason", remedy="One sentence is enough.")
    check_may_decide("case", actor, requester_person="", decided_by=[], subject_id=case.id)
    if made:
        raise AlreadyDecided(f"case {case.id}", made[-1].decision, made[-1].user_id)
    CASE.next(case.state, _TRIGGERS[decision])  # refuse before anything is written
    alert = await session.get_one(Alert, case.alert_id)
    now = await market_now(session)
    await decisions.record(
        session,
        "case",
        case.id,
        decision=decision,
        actor=actor,
        reason=reason,
        key=key,
        digest=digest(case, alert),
        occurred_at=now,
        evidence={"alert_id": alert.id, "score": str(alert.score)},
    )
    if decision == "confirm":
        await _act_on(session, case, surveillance.finding(alert), actor)
    traders = await _traders(session, case.id)
    await payouts.risk_changed(session, cause=f"{case.id}/{decision}", trader_ids=traders)
    await _move(session, case, decision, actor, reason, now)


def digest(case: Case, alert: Alert) -> str:
    """Returns the digest of what is decided on: the alert and its evidence as they are stored."""
    body = {"v": 1, "case": case.id, "alert": alert.key, "score": str(alert.score), "evidence": alert.evidence}
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


async def _move(session: AsyncSession, case: Case, decision: str, actor: Actor, reason: str, now: datetime) -> None:
    case.state = await transitions.apply(
        session,
        CASE,
        subject_kind="case",
        subject_id=case.id,
        state_now=case.state,
        trigger=_TRIGGERS[decision],
        key=_TRIGGERS[decision],
        occurred_at=now,
        actor=actor.user_id,
        role=actor.role,
        reason=reason,
    )
    case.closed_at = now


async def _act_on(session: AsyncSession, case: Case, finding: Finding, actor: Actor) -> None:
    """Carries out what the finding says is done when it is confirmed."""
    match finding.if_confirmed:
        case CloseChallenges():
            await _close_challenges(session, case, finding.blamed)
        case DisputeBreach(proof_id=proof_id):
            await _dispute(session, proof_id, finding.sentence, actor)


async def _close_challenges(session: AsyncSession, case: Case, blamed: Sequence[str]) -> None:
    found = await session.scalars(
        select(Challenge.id)
        .join(Account, Account.challenge_id == Challenge.id)
        .where(Account.id.in_(blamed), Challenge.state.not_in(CHALLENGE.terminal))
        .distinct()
        .order_by(Challenge.id)
    )
    for challenge_id in found.all():
        key = f"{case.id}/closes/{challenge_id}"
        await outbox.signal_workflow(
            session,
            key=key,
            workflow_id=challenges.workflow(challenge_id),
            name="closed_by_firm",
            payload={"key": key, "case_id": case.id},
        )


async def _dispute(session: AsyncSession, proof_id: str, statement: str, actor: Actor) -> None:
    """Disputes the breach in the trader's name; a person then decides the dispute like any other. A verdict that is no
    breach cannot be disputed: nothing happens."""
    breach = await session.scalar(select(Breach).where(Breach.proof_id == proof_id))
    if breach is not None:
        await disputes.open_for_trader(session, breach=breach, actor=actor, statement=statement)


async def _traders(session: AsyncSession, case_id: str) -> list[str]:
    rows = await session.scalars(
        select(Account.trader_id)
        .join(CaseAccount, CaseAccount.account_id == Account.id)
        .where(CaseAccount.case_id == case_id)
        .distinct()
        .order_by(Account.trader_id)
    )
    return list(rows)
