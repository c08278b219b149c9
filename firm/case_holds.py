"""The hold of a case: which payouts wait for its decision, until when, and what happens when nobody decides.

A hold has a date in market time, counted in business days. Before it, the case is raised to admin. On it the hold ends:
the payouts go on to their ordinary approval, and the case stays open.
"""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from contracts.ids import case_workflow
from domain import keys
from domain.surveillance.casework import CASE, after_business_days
from firm import surveillance_policies
from firm.payouts import signals
from store import audit, outbox
from store.clock import market_now
from store.models import Account, Case, CaseAccount

ROLE_ABOVE: Final = "admin"


async def begin(session: AsyncSession, case: Case) -> None:
    """Give a case that holds payouts from now on its dates."""
    holds, now = (await surveillance_policies.in_force(session)).holds, await market_now(session)
    case.escalate_at = after_business_days(now, holds.escalate_after)
    case.hold_until = after_business_days(now, holds.end_after)
    case.escalated_at = case.hold_ended_at = None
    await outbox.wake_at(session, workflow_id=case_workflow(case.id), due_at=case.escalate_at)


async def check(session: AsyncSession, case: Case) -> None:
    """Raise the hold of a locked case to admin, or end it, if its date has come. What has not come is waited for."""
    now = await market_now(session)
    if case.state != CASE.initial or case.hold_until is None or case.hold_ended_at is not None:
        return
    if case.escalated_at is None and case.escalate_at is not None and now >= case.escalate_at:
        case.escalated_at = now
        await _audit(session, case, "case.escalated", now, "nobody has decided it in time", {"to": ROLE_ABOVE})
    if now >= case.hold_until:
        await _end(session, case, now)
    due = case.hold_until if case.escalated_at else case.escalate_at
    await outbox.wake_at(
        session, workflow_id=case_workflow(case.id), due_at=None if case.hold_ended_at is not None else due
    )


async def _end(session: AsyncSession, case: Case, now: datetime) -> None:
    """A later alert that holds begins a new hold: of the accounts that it names, and of no others."""
    case.hold_ended_at = now
    holding = update(CaseAccount).where(CaseAccount.case_id == case.id, CaseAccount.holds)
    freed = await session.scalars(holding.values(holds=False).returning(CaseAccount.account_id))
    ended = {"accounts": sorted(freed)}
    await _audit(session, case, "case.hold_ended", now, "nobody has decided it; the policy ends the hold", ended)
    found = await session.scalars(
        select(Account.trader_id)
        .join(CaseAccount, CaseAccount.account_id == Account.id)
        .where(CaseAccount.case_id == case.id)
        .distinct()
        .order_by(Account.trader_id)
    )
    cause = keys.case_event(case.id, f"hold_ended/{now.isoformat()}")
    await signals.send_risk_changed(session, cause=cause, trader_ids=list(found))


async def _audit(
    session: AsyncSession, case: Case, action: str, now: datetime, reason: str, evidence: dict[str, Any]
) -> None:
    policy = await surveillance_policies.in_force(session)
    await audit.record(
        session,
        action=action,
        subject_kind="case",
        subject_id=case.id,
        occurred_at=now,
        reason=reason,
        evidence={**evidence, "policy": policy.content_hash, "hold_until": f"{case.hold_until:%Y-%m-%dT%H:%M:%SZ}"},
    )
