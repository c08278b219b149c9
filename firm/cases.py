"""Surveillance on the record: how far a detector has read, what it found, and what people decide on it."""

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from contracts.ids import case_workflow, challenge_workflow
from contracts.messages import CaseStart, ClosedByFirm
from domain import keys
from domain.approvals import Actor
from domain.disputes import CASE
from domain.lifecycle import CHALLENGE
from domain.surveillance.copy_trading import DETECTOR, Finding, Opening
from firm import decide as guard
from firm import disputes, messages
from firm.payouts import news
from store import audit, rows
from store.models import Account, Alert, Breach, Case, CaseAccount, Challenge, DealRow, SurveillanceCursor

_TRIGGERS = {"clear": "suspicion_cleared", "confirm": "abuse_confirmed"}
# A deal can become visible after one with a higher number: what was read last is read again, and known deals ignored.
_OVERLAP = 200


async def cursor(session: AsyncSession, detector: str) -> int:
    """How far the detector has read; the row is made at the first call."""
    await session.execute(insert(SurveillanceCursor).values(detector=detector).on_conflict_do_nothing())
    return (await session.get_one(SurveillanceCursor, detector, populate_existing=True)).last_deal


async def lock_cursor(session: AsyncSession, detector: str) -> SurveillanceCursor:
    """The row, locked until the transaction ends: one reader at a time."""
    return (
        await session.execute(
            select(SurveillanceCursor)
            .where(SurveillanceCursor.detector == detector)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
    ).scalar_one()


async def newest_deal(session: AsyncSession) -> int:
    return int(await session.scalar(select(func.coalesce(func.max(DealRow.id), 0))) or 0)


async def openings(session: AsyncSession, *, after: int, until: int) -> list[Opening]:
    """Deals numbered `after` (less an overlap) to `until` that opened a position, in order of storing."""
    return await _openings(session, DealRow.id > after - _OVERLAP, DealRow.id <= until)


async def window_start(session: AsyncSession, until: int, window: timedelta) -> int:
    """The number after which the deals begin that a detector had in its window when it had read up to `until`."""
    newest = await session.scalar(select(func.max(DealRow.at)).where(DealRow.id <= until))
    if newest is None:
        return until
    first = select(func.min(DealRow.id)).where(DealRow.id <= until, DealRow.at >= newest - window)
    return int((await session.execute(first)).scalar_one()) - 1


async def _openings(session: AsyncSession, *where: Any) -> list[Opening]:
    rows = await session.execute(
        select(
            DealRow.id,
            DealRow.account_id,
            Account.trader_id,
            DealRow.symbol,
            DealRow.side,
            DealRow.lots,
            DealRow.at,
        )
        .join(Account, Account.id == DealRow.account_id)
        .where(DealRow.entry == "in", *where)
        .order_by(DealRow.id)
    )
    return [Opening(*row) for row in rows]


async def open_case(session: AsyncSession, finding: Finding) -> str | None:
    """Alert, case, its workflow and the hold on open payouts, in the caller's transaction; None when it exists."""
    return await open_about(
        session,
        key=finding.key,
        detector=DETECTOR,
        score=finding.score,
        sentence=finding.sentence,
        evidence=finding.model_dump(mode="json", include={"leader", "follower", "openings", "pairs"}),
        at=finding.at,
        account_ids=[finding.leader, finding.follower],
    )


async def open_about(
    session: AsyncSession,
    *,
    key: str,
    detector: str,
    score: Decimal,
    sentence: str,
    evidence: dict[str, Any],
    at: datetime,
    account_ids: Sequence[str],
) -> str | None:
    """`open_case` for any finding; `key` makes finding it twice harmless."""
    alert_id = keys.alert_id(key)
    row = {
        "id": alert_id,
        "key": key,
        "detector": detector,
        "score": score,
        "sentence": sentence,
        "evidence": evidence,
        "occurred_at": at,
    }
    made = await session.scalar(
        insert(Alert).values(row).on_conflict_do_nothing(index_elements=["key"]).returning(Alert.id)
    )
    if made is None:
        return None
    case_id = keys.case_id(key)
    session.add(Case(id=case_id, alert_id=alert_id, state=CASE.initial, opened_at=at))
    await session.flush()
    session.add_all(CaseAccount(case_id=case_id, account_id=name) for name in account_ids)
    await session.flush()
    await messages.start(session, case_workflow(case_id), CaseStart(case_id=case_id))
    cause = keys.case_event(case_id, "opened")
    await news.risk_changed(session, cause=cause, trader_ids=await _traders(session, case_id))
    await audit.record(
        session,
        action="case.opened",
        subject_kind="case",
        subject_id=case_id,
        occurred_at=at,
        evidence={"alert_id": alert_id, "detector": detector, "score": str(score)},
    )
    return case_id


async def locked(session: AsyncSession, case_id: str) -> Case:
    """The row, locked until the transaction ends; raises NotFound."""
    return await rows.locked(session, Case, case_id)


async def decide(session: AsyncSession, case: Case, *, decision: str, actor: Actor, reason: str, key: str) -> None:
    """Record who decided what and why on a locked case, and release or end what it held. The same key again changes
    nothing. `actor` is as the record has them now. Raises BadInput, NotAllowed, AlreadyDecided."""
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
    if decision == "confirm" and alert.detector == DETECTOR:
        await _close_follower(session, case, alert)
    elif decision == "confirm":
        await _dispute(session, alert, actor)
    cause = keys.case_event(case.id, decision)
    await news.risk_changed(session, cause=cause, trader_ids=await _traders(session, case.id))
    await guard.step(session, CASE, case, trigger, kind="case", key=trigger, at=now, actor=actor, reason=reason)


def digest(case: Case, alert: Alert) -> str:
    """Returns a digest of what exactly is decided on: the alert and its evidence."""
    body = {"v": 1, "case": case.id, "alert": alert.key, "score": str(alert.score), "evidence": alert.evidence}
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


async def _close_follower(session: AsyncSession, case: Case, alert: Alert) -> None:
    challenge = await session.scalar(
        select(Challenge)
        .join(Account, Account.challenge_id == Challenge.id)
        .where(Account.id == alert.evidence["follower"])
    )
    if challenge is None or challenge.state in CHALLENGE.terminal:
        return
    closes = ClosedByFirm(key=keys.case_closes(case.id, challenge.id), case_id=case.id)
    await messages.signal(session, challenge_workflow(challenge.id), closes)


async def _dispute(session: AsyncSession, alert: Alert, actor: Actor) -> None:
    """Dispute the breach for the trader: its data were corrected. It is decided like any other dispute."""
    breach = await session.scalar(select(Breach).where(Breach.proof_id == alert.evidence["proof_id"]))
    if breach is not None:
        await disputes.open_for_trader(session, breach=breach, actor=actor, statement=alert.sentence)


async def _traders(session: AsyncSession, case_id: str) -> list[str]:
    rows = await session.scalars(
        select(Account.trader_id)
        .join(CaseAccount, CaseAccount.account_id == Account.id)
        .where(CaseAccount.case_id == case_id)
        .distinct()
        .order_by(Account.trader_id)
    )
    return list(rows)
