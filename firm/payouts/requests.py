"""Payout requests: what a trader may ask for, and the row that a granted request begins with."""

from collections.abc import Mapping
from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from contracts.ids import payout_workflow
from contracts.messages import PayoutStart
from domain.approvals import Actor
from domain.errors import BadInput, NotFound, PayoutOpen
from domain.keys import new_id
from domain.money import Money
from domain.payouts import payout as policy
from domain.payouts.checks import RiskFacts, risk_checks, room_check
from domain.payouts.payout import PAYOUT
from domain.rules.base import VenueCalendar
from firm import messages
from firm.payouts import account as payout_account
from firm.payouts import paid, row
from firm.payouts.refusals import refusals, refused
from firm.payouts.risk import risk_facts
from firm.payouts.situation import Situation, rooms_left, situation
from store import audit, products, warnings
from store.models import Account, Payout


def checks(current: Situation, risk: RiskFacts, gross: Money) -> dict[str, dict[str, object]]:
    """Returns the whole validation as risk checks for people: name -> {"ok", "words"}."""
    left = {room.spec.rule_id: room for room in rooms_left(current, gross)}
    rooms = {f"room:{rule}": room_check(left[rule], spare, gross) for rule, spare in current.spare.items()}
    return {"eligibility": {"ok": True, "words": "Eligible at the time of the request."}, **risk_checks(risk), **rooms}


async def request_payout(
    session: AsyncSession,
    *,
    account_id: str,
    actor: Actor,
    gross: Money,
    rail: str,
    cycle: str | None = None,
    calendars: Mapping[str, VenueCalendar] | None = None,
) -> Payout:
    """A trader asks for `gross` of an account's profit: state `requested`, its workflow starts at commit. `rail`: the
    provider that sends the money. `cycle`: the payout cycle the trader chooses, where the product has several.

    Raises NotFound (also for another trader's account), BadInput, PayoutOpen, PayoutRefused (see
    `firm.payouts.refusals.kept`).
    """
    account = await _lock_own(session, account_id, actor)
    if gross.currency != account.currency or gross.minor <= 0:
        raise BadInput(
            f"A payout of this account is a positive amount in {account.currency}.",
            field="amount",
            remedy="Ask for more than zero, in the account's currency.",
        )
    terms = (await products.load(session, account.product, account.version)).payout
    await paid.lock_totals(session, terms, account.trader_id)
    current = await situation(session, account_id, cycle=cycle, requested=gross, calendars=calendars)
    if current.facts.open_payout_id is not None:
        raise PayoutOpen(current.facts.open_payout_id)
    reasons = refusals(current, gross)
    if reasons:
        raise refused(current, gross, reasons)
    payout = _draft(current, actor, gross, rail)
    payout.checks = checks(current, await risk_facts(session, payout), gross)
    await warnings.record_no_room_after_payout(
        session, current.account, rooms_left(current, gross), gross, current.facts.now
    )
    session.add(payout)
    await session.flush()
    await messages.start(session, payout_workflow(payout.id), PayoutStart(payout_id=payout.id))
    await audit.record(
        session,
        action="payout.requested",
        subject_kind="payout",
        subject_id=payout.id,
        occurred_at=payout.requested_at,
        actor=actor.user_id,
        role=actor.role,
        evidence={
            "gross_minor": gross.minor,
            "refund_minor": payout.refund_minor,
            "forfeited_minor": payout.forfeited_minor,
            "cycle": cycle,
            "currency": gross.currency,
            "terms_digest": payout.terms_digest,
        },
    )
    return payout


async def _lock_own(session: AsyncSession, account_id: str, actor: Actor) -> Account:
    """Returns the actor's account, locked. Raises NotFound."""
    challenge_id = await session.scalar(
        select(Account.challenge_id).where(Account.id == account_id, Account.trader_id == actor.trader_id)
    )
    if challenge_id is None:
        raise NotFound
    _, account = await payout_account.lock(session, challenge_id, account_id)
    return account


def _draft(current: Situation, actor: Actor, gross: Money, rail: str) -> Payout:
    terms, now = current.product.payout, current.facts.now
    amount = current.amount(gross)
    payout = Payout(
        id=new_id("pay"),
        account_id=current.account.id,
        challenge_id=current.challenge.id,
        trader_id=current.trader.id,
        requested_by=actor.user_id,
        state=PAYOUT.initial,
        gross_minor=gross.minor,
        trader_minor=amount.trader,
        firm_minor=amount.firm,
        refund_minor=amount.refund,
        forfeited_minor=amount.forfeited,
        cycle=current.facts.cycle,
        currency=gross.currency,
        rail=rail,
        beneficiary=current.trader.beneficiary or "",
        requested_at=now,
        decide_by=now + timedelta(days=terms.decision_days),
        was_held=False,
    )
    payout.approvers_needed = policy.approvers_needed(row.sent_of(payout), terms)
    payout.terms_digest = row.digest(payout, current.product)
    return payout
