"""Surveillance cases: opened for a finding, decided by people, and what a confirmed one leads to."""

import hashlib
import json
from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from contracts.ids import case_workflow, challenge_workflow
from contracts.messages import CaseStart, ClosedByFirm
from domain import keys
from domain.approvals import Actor
from domain.disputes import CASE
from domain.lifecycle import CHALLENGE
from domain.surveillance.findings import CloseChallenges, DisputeBreach, Finding
from firm import decide as guard
from firm import disputes, messages
from firm.payouts import signals
from store import audit, chains, rows, surveillance
from store.models import Account, Alert, Breach, Case, CaseAccount, Challenge

_TRIGGERS = {"clear": "suspicion_cleared", "confirm": "abuse_confirmed"}


async def open_case(session: AsyncSession, finding: Finding) -> str | None:
    """Opens a case for a finding in the caller's transaction: alert, case, its workflow, the hold on open payouts.
    Returns the case's id; None when the finding has its case already."""
    alert_id = await surveillance.record_alert(session, finding)
    if alert_id is None:
        return None
    case_id = keys.case_id(finding.key)
    session.add(Case(id=case_id, alert_id=alert_id, state=CASE.initial, opened_at=finding.at))
    await session.flush()
    named = dict.fromkeys(involved.account_id for involved in finding.accounts)
    session.add_all(CaseAccount(case_id=case_id, account_id=account_id) for account_id in named)
    await session.flush()
    await messages.start(session, case_workflow(case_id), CaseStart(case_id=case_id))
    cause = keys.case_event(case_id, "opened")
    await signals.send_risk_changed(session, cause=cause, trader_ids=await _traders(session, case_id))
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
    alert = await session.get_one(Alert, case.alert_id)
    subject = guard.Subject(
        kind="case",
        id=case.id,
        digest=digest(case, alert),
        evidence={"alert_id": alert.id, "score": str(alert.score)},
        once=True,
    )
    choice, trigger = guard.Choice(decision, actor, reason, key), _TRIGGERS[decision]
    now = await guard.record(session, subject, choice, guard.allowed(CASE, case.state, trigger))
    if now is None:
        return
    if decision == "confirm":
        await _act_on(session, case, surveillance.finding(alert), actor)
    cause = keys.case_event(case.id, decision)
    await signals.send_risk_changed(session, cause=cause, trader_ids=await _traders(session, case.id))
    await guard.step(session, CASE, case, trigger, kind="case", key=trigger, at=now, actor=actor, reason=reason)


def digest(case: Case, alert: Alert) -> str:
    """Returns the digest of what is decided on: the alert and its evidence as they are stored."""
    body = {"v": 1, "case": case.id, "alert": alert.key, "score": str(alert.score), "evidence": alert.evidence}
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


async def _act_on(session: AsyncSession, case: Case, finding: Finding, actor: Actor) -> None:
    """Carries out what the finding says is done when it is confirmed."""
    match finding.if_confirmed:
        case CloseChallenges():
            await _close_challenges(session, case, finding.blamed)
        case DisputeBreach(proof_id=proof_id):
            await _dispute(session, proof_id, finding.sentence, actor)


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


async def _traders(session: AsyncSession, case_id: str) -> list[str]:
    rows = await session.scalars(
        select(Account.trader_id)
        .join(CaseAccount, CaseAccount.account_id == Account.id)
        .where(CaseAccount.case_id == case_id)
        .distinct()
        .order_by(Account.trader_id)
    )
    return list(rows)
