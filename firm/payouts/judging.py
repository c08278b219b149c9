"""Judges a payout by its risk and its approvals: whenever something changed, at an approval, and before each send."""

from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import Conflict
from domain.payouts import trader_messages
from domain.payouts.checks import RiskFacts, has_left, risk_checks, risk_decision
from firm.payouts import attempts, deadlines, policies, row
from firm.payouts.risk import risk_facts
from store.clock import market_now
from store.models import Payout


async def judge(session: AsyncSession, payout: Payout, risk: RiskFacts) -> None:
    """Move a reserved payout to where risk, approvals and the deadline put it."""
    decision = risk_decision(risk)
    payout.checks = {**payout.checks, **risk_checks(risk)}
    counted, needed = await row.approvals(session, payout)
    payout.approvers_needed, payout.policy_hash = needed, (await policies.in_force(session)).content_hash
    if decision.outcome == "clear":
        if payout.state != "awaiting_approval":
            await row.advance(session, payout, "risk_clear")
            payout.reason = payout.told = None
        if counted >= needed:
            await row.advance(session, payout, "approvals_complete")
            return
    else:
        payout.was_held = payout.was_held or decision.held_by_case
        if payout.state != "in_review":
            await row.advance(
                session, payout, "risk_found", reason=decision.reason, trader_message=decision.trader_message
            )
        elif decision.outcome == "hold":  # what holds it may have changed since it came to review
            payout.reason = decision.reason
            payout.told = payout.told if payout.halted else decision.trader_message
        if decision.outcome != "hold":
            trigger = "payout_cancelled" if decision.outcome == "cancel" else "payout_rejected"
            words = trader_messages.by_risk(decision.outcome, decision.trader_message, row.gross_of(payout))
            await row.advance(session, payout, trigger, reason=decision.reason, trader_message=words)
            return
    await deadlines.escalate(session, payout)
    if payout.decide_by is not None and not risk.transfer_may_be_out and await market_now(session) >= payout.decide_by:
        words = trader_messages.timed_out(row.gross_of(payout))
        await row.advance(session, payout, "decision_timed_out", reason="nobody decided in time", trader_message=words)


async def may_be_sent(session: AsyncSession, payout: Payout, risk: RiskFacts) -> bool:
    """Returns whether risk is clear and enough approvals still count. If not, returns the payout to people: to review,
    or to those who may approve it when only approvals are missing."""
    decision = risk_decision(risk)
    counted, needed = await row.approvals(session, payout)
    if decision.outcome == "clear" and counted >= needed:
        return True
    reason = decision.reason or f"only {counted} of {needed} approvals still count"
    payout.checks = {**payout.checks, **risk_checks(risk)}
    payout.was_held = payout.was_held or decision.held_by_case
    await row.advance(session, payout, "risk_found", reason=reason, trader_message=trader_messages.UNDER_REVIEW)
    if decision.outcome == "clear":
        await row.advance(session, payout, "risk_clear")
        payout.told, payout.approvers_needed = None, needed
        payout.policy_hash = (await policies.in_force(session)).content_hash
    await row.set_wakeup(session, payout)
    return False


async def check_clear(session: AsyncSession, payout: Payout) -> None:
    """Refuse to approve a payout that is held, or that the record would hold now. Raises Conflict with the reasons."""
    risk = await risk_facts(session, payout)
    if payout.state == "in_review" or risk_decision(risk).outcome != "clear":
        checks = {**payout.checks, **risk_checks(risk)}
        wrong = [str(check["words"]) for check in checks.values() if not check["ok"]]
        raise Conflict(" ".join([f"Payout {payout.id} is held.", *wrong]))


async def check_none_is_out(session: AsyncSession, payout: Payout) -> None:
    """Refuse to send or give back money of a payout while an earlier transfer of it has left. Raises Conflict."""
    if transfers := [each.id for each in await attempts.out(session, payout.id)]:
        raise Conflict(has_left(transfers), remedy="Have the rail send it back first.")


async def check_not_begun(session: AsyncSession, payout: Payout) -> None:
    """Refuse to end a payout that may be on its way. Raises Conflict."""
    if (await risk_facts(session, payout)).transfer_begun:
        raise Conflict(
            "A transfer of this payout was begun, and it is not known yet whether it was made.",
            remedy="Try again in a minute, or when the payment rail answers.",
        )
