"""Payout requests: what a trader may ask for, and the row that a granted request begins with."""

from collections.abc import Callable, Mapping

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from contracts.ids import payout_workflow
from contracts.messages import PayoutStart
from domain.approvals import Actor
from domain.errors import BadInput, NotFound, PayoutOpen
from domain.exchange import Conversion
from domain.keys import new_id
from domain.money import Money
from domain.payouts.checks import RiskFacts, eligibility_checks, risk_checks, room_check
from domain.payouts.payout import PAYOUT
from domain.payouts.policy import PayoutPolicy, checkers_needed
from domain.payouts.tainted import total_minor
from domain.rules.base import VenueCalendar
from firm import beneficiaries, messages
from firm.payouts import account as payout_account
from firm.payouts import conversions, deadlines, paid, policies, row
from firm.payouts.refusals import refusals, refused
from firm.payouts.risk import risk_facts
from firm.payouts.situation import Situation, rooms_left, situation
from store import audit, changing, crypto, products, warnings
from store.models import Account, Beneficiary, Payout

# (rail, account, holder, currency): raises BadInput when the rail cannot pay that
Payable = Callable[[str, str, str, str], None]


def checks(current: Situation, risk: RiskFacts, gross: Money) -> dict[str, dict[str, object]]:
    """Returns the whole validation as risk checks for people: name -> {"ok", "words"}."""
    left = {room.spec.rule_id: room for room in rooms_left(current, gross)}
    rooms = {f"room:{rule}": room_check(left[rule], spare, gross) for rule, spare in current.spare.items()}
    eligibility = eligibility_checks(current.facts, current.product.payout, gross)
    return {**eligibility, **risk_checks(risk), **rooms}


async def request_payout(
    session: AsyncSession,
    *,
    account_id: str,
    actor: Actor,
    gross: Money,
    rail: str,
    payable: Payable,
    cycle: str | None = None,
    beneficiary_id: str | None = None,
    calendars: Mapping[str, VenueCalendar] | None = None,
) -> Payout:
    """A trader asks for `gross` of an account's profit: state `requested`, its workflow starts at commit. `rail`: the
    provider that sends the money. `payable`: whether it can pay the beneficiary, asked of nobody outside. `cycle`: the
    payout cycle the trader chooses, where the product has several. `beneficiary_id`: which of the trader's
    beneficiaries is paid; None: the newest.

    Raises NotFound (also for another trader's account), BadInput, NoUsableRate, PayoutOpen, PlatformChanges, Conflict
    (the account is being closed), PayoutRefused (see `firm.payouts.refusals.kept`).
    """
    account = await _lock_own(session, account_id, actor)
    if gross.currency != account.currency or gross.minor <= 0:
        raise BadInput(
            f"A payout of this account is a positive amount in {account.currency}.",
            field="amount",
            remedy="Ask for more than zero, in the account's currency.",
        )
    await changing.check_not(session, account.id)
    await payout_account.check_not_closing(session, account.id)
    terms = (await products.load(session, account.product, account.version)).payout
    await paid.lock_totals(session, terms, account.trader_id)
    current = await situation(session, account_id, cycle=cycle, requested=gross, calendars=calendars)
    if current.facts.open_payout_id is not None:
        raise PayoutOpen(current.facts.open_payout_id)
    reasons = refusals(current, gross)
    if reasons:
        raise refused(current, gross, reasons)
    paid_to = await beneficiaries.chosen(session, current.trader, beneficiary_id, rail=rail)
    currency = paid_to.currency or gross.currency
    payable(paid_to.rail, paid_to.account, current.trader.name, currency)
    exchanged = await conversions.of_amount(session, sent_of(current, gross), currency)
    payout = _draft(current, actor, gross, paid_to, await policies.in_force(session), exchanged)
    payout.checks = checks(current, await risk_facts(session, payout), gross)
    await warnings.record_no_room_after_payout(
        session, current.account, rooms_left(current, gross), gross, current.facts.now
    )
    session.add(payout)
    await session.flush()
    await messages.start(session, payout_workflow(payout.id), PayoutStart(payout_id=payout.id))
    await _record(session, payout, actor)
    return payout


async def _record(session: AsyncSession, payout: Payout, actor: Actor) -> None:
    await audit.record(
        session,
        action="payout.requested",
        subject_kind="payout",
        subject_id=payout.id,
        occurred_at=payout.requested_at,
        actor=actor.user_id,
        role=actor.role,
        evidence={
            "gross_minor": payout.gross_minor,
            "refund_minor": payout.refund_minor,
            "forfeited_minor": payout.forfeited_minor,
            "cycle": payout.cycle,
            "currency": payout.currency,
            "terms_digest": payout.terms_digest,
            "policy": payout.policy_hash,
            "beneficiary": crypto.keys().digest(payout.beneficiary),
            **({} if payout.conversion is None else {"conversion": payout.conversion}),
        },
    )


async def _lock_own(session: AsyncSession, account_id: str, actor: Actor) -> Account:
    """Returns the actor's account, locked. Raises NotFound."""
    challenge_id = await session.scalar(
        select(Account.challenge_id).where(Account.id == account_id, Account.trader_id == actor.trader_id)
    )
    if challenge_id is None:
        raise NotFound
    _, account = await payout_account.lock(session, challenge_id, account_id)
    return account


def sent_of(current: Situation, gross: Money) -> Money:
    """Returns what a payout of `gross` sends, in the account's currency."""
    amount = current.amount(gross)
    return Money(minor=amount.trader + amount.refund, currency=gross.currency)


def _draft(
    current: Situation,
    actor: Actor,
    gross: Money,
    paid_to: Beneficiary,
    firm_policy: PayoutPolicy,
    exchanged: Conversion | None,
) -> Payout:
    now = current.facts.now
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
        base_minor=amount.base,
        tainted_minor=total_minor(current.facts.tainted),
        cycle=current.facts.cycle,
        currency=gross.currency,
        rail=paid_to.rail,
        beneficiary=paid_to.account,
        beneficiary_id=paid_to.id,
        conversion=conversions.stored(exchanged),
        requested_at=now,
        changed_at=now,
        steps=0,
        decide_by=deadlines.decide_by(firm_policy, current.product, now),
        was_held=False,
        round=1,
        policy_hash=firm_policy.content_hash,
    )
    payout.approvers_needed = checkers_needed(firm_policy, row.sent_of(payout))
    payout.terms_digest = row.digest(payout, current.product)
    return payout
