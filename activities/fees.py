"""The fee of a challenge: paid through a checkout, refunded at the acquirer, charged back.

Each function may run again after any of its steps. Webhooks are only hints: the status is fetched from the acquirer.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from activities import chargebacks as following
from activities import provisioning
from activities.deps import Deps
from contracts.challenges import ChallengeFact
from domain import keys
from domain.errors import OutcomeUnknown
from domain.lifecycle import CHALLENGE, Paid, payment_due
from firm import challenges, chargebacks, fees, orders, refunds
from firm.payouts import signals
from ports.acquirer import Acquirer, Checkout, CheckoutOrder, Refund
from store import identity_facts, outbox
from store.clock import market_now
from store.models import Challenge, Chargeback


async def open_checkout(deps: Deps, challenge_id: str) -> Challenge:
    async with deps.db.transaction() as session:
        challenge = await challenges.lock(session, challenge_id)
        if challenge.checkout_id is not None or challenge.state != CHALLENGE.initial:
            return challenge
        key, terms = await challenges.checkout_terms(session, challenge.id)
    acquirer = deps.payments.acquirers.of(challenge.provider)
    try:
        checkout = await acquirer.create_checkout(CheckoutOrder(**terms), key=key)
    except OutcomeUnknown:
        found = await acquirer.find_checkout(key)
        if found is None:
            raise
        checkout = found
    async with deps.db.transaction() as session:
        payable = await challenges.record_checkout(
            session, challenge_id, checkout_id=checkout.checkout_id, url=checkout.url
        )
        challenge = await challenges.lock(session, challenge_id)
    if not payable:
        await acquirer.expire_checkout(checkout.checkout_id, key=keys.checkout_expiry(challenge_id))
    return challenge


async def check_payment(deps: Deps, challenge_id: str) -> Challenge:
    """Books a paid fee, or cancels a challenge that can no longer be paid. After the time to pay is over an open
    checkout is closed first, so that nobody can pay for a cancelled challenge; one that is processing is waited for. A
    payment that was already lost to a chargeback opens no account."""
    payment = await _payment(deps, challenge_id)
    async with deps.db.transaction() as session:
        challenge = await challenges.lock(session, challenge_id)
        late = await market_now(session) >= payment_due(challenge.bought_at)
    checkout = payment.checkout
    if challenge.state == CHALLENGE.initial and late and checkout is not None and checkout.status == "open":
        key = keys.checkout_expiry(challenge_id)
        payment = payment._replace(checkout=await payment.acquirer.expire_checkout(checkout.checkout_id, key=key))
    async with deps.db.transaction() as session:
        challenge = await challenges.lock(session, challenge_id)
        await _settle(session, challenge, payment)
        lost = await chargebacks.lost_of(session, challenge_id)
    if lost is None or challenge.state in CHALLENGE.terminal:
        return challenge
    return await record_chargeback(
        deps, ChallengeFact(challenge_id=challenge_id, key=keys.chargeback_event(lost, "payment"))
    )


class Payment(NamedTuple):
    """The payment of a challenge as the acquirer has it now. `checkout`: None before there is one."""

    acquirer: Acquirer
    checkout: Checkout | None
    refunds: Sequence[Refund]

    @property
    def whole_back(self) -> bool:
        back = sum(refund.amount_minor for refund in self.refunds if refund.status != "failed")
        return self.checkout is not None and bool(self.refunds) and back >= self.checkout.amount_minor


async def _payment(deps: Deps, challenge_id: str, *, ask_refunds: bool = False) -> Payment:
    """Returns the payment of a challenge. Its chargebacks are on the record then. `ask_refunds`: also when nothing
    of it went back: a refund may have failed."""
    async with deps.db.transaction() as session:
        challenge = await challenges.lock(session, challenge_id)
    acquirer = deps.payments.acquirers.of(challenge.provider)
    if challenge.checkout_id is None:
        return Payment(acquirer, None, ())
    checkout = await acquirer.fetch_checkout(challenge.checkout_id)
    if checkout.status != "paid":
        return Payment(acquirer, checkout, ())
    asked = ask_refunds or checkout.refunded_minor > 0
    found = await acquirer.refunds(checkout.checkout_id) if asked else []
    for provider_id in checkout.chargebacks:
        await _follow_unknown(deps, challenge, provider_id)
    return Payment(acquirer, checkout, found)


async def _follow_unknown(deps: Deps, challenge: Challenge, provider_id: str) -> None:
    """Records a chargeback of which no event told yet, and what follows from it: before the payment is settled, so that
    no account of a disputed payment trades."""
    chargeback_id = keys.chargeback_id(challenge.provider, provider_id)
    async with deps.db.transaction() as session:
        locked = await challenges.lock(session, challenge.id)
        known = await session.get(Chargeback, chargeback_id)
        if known is None:
            await chargebacks.note(session, locked, provider_id, event=keys.chargeback_event(chargeback_id, "found"))
    if known is None or not known.looks:
        await following.follow(deps, chargeback_id)


async def _settle(session: AsyncSession, challenge: Challenge, payment: Payment) -> None:
    """Moves the challenge on from `awaiting_payment` if the checkout is paid or closed. Leaves it while the checkout is
    open or processing, however late it is. A payment that differs from the fee opens no account; it opens a review for
    a person."""
    if challenge.state != CHALLENGE.initial:
        return
    now, due, checkout = await market_now(session), payment_due(challenge.bought_at), payment.checkout
    if checkout is None:
        if now >= due:
            await challenges.move(session, challenge, "payment_expired", key="payment", at=now)
    elif checkout.status == "paid":
        await _settle_paid(session, challenge, payment, checkout)
    elif checkout.status == "expired":
        await challenges.move(session, challenge, "payment_expired", key="payment", at=now)
    await challenges.wake(session, challenge, due if challenge.state == CHALLENGE.initial and now < due else None)


async def _settle_paid(session: AsyncSession, challenge: Challenge, payment: Payment, checkout: Checkout) -> None:
    now, paid = await market_now(session), _paid(checkout)
    lost = await chargebacks.lost_of(session, challenge.id)
    # a payment that went back opens nothing: what it was for is not asked
    in_vain = "" if payment.whole_back or lost else await orders.problem(session, challenge)
    reference, provider = checkout.reference, challenge.provider
    difference = await fees.receive(
        session, challenge, paid=paid, reference=reference, provider=provider, in_vain=in_vain
    )
    await identity_facts.note(session, challenge.trader_id, "card", checkout.card, source=f"acquirer/{provider}")
    await chargebacks.book_losses(session, challenge)
    await refunds.observe(session, challenge, paid, payment.refunds)
    if payment.whole_back:  # at the acquirer's desk, before we had booked the payment
        await challenges.move(session, challenge, "payment_expired", key="payment", at=now)
        return
    if difference:
        await fees.ask_about_difference(session, challenge, paid=paid, reference=reference, difference=difference)
    trigger = "payment_differs" if difference else "payment_settled"
    await challenges.move(session, challenge, trigger, key="payment", at=now, reason=difference)
    if not difference and not lost:
        await orders.close_replaced(session, challenge)


def _paid(checkout: Checkout) -> Paid:
    return Paid(minor=checkout.amount_minor, currency=checkout.currency)


async def record_chargeback(deps: Deps, fact: ChallengeFact) -> Challenge:
    """Ends the challenge if a chargeback of its payment is lost. One that is not decided leaves it as it is: its own
    workflow holds payouts and suspends trading."""
    payment = await _payment(deps, fact.challenge_id)
    async with deps.db.transaction() as session:
        challenge = await challenges.lock(session, fact.challenge_id)
        if await chargebacks.lost_of(session, challenge.id) is None:
            return challenge
        await _settle(session, challenge, payment)
        if challenge.state in CHALLENGE.terminal:
            return challenge
    await provisioning.lock_account(deps, fact.challenge_id, "charged-back")
    async with deps.db.transaction() as session:
        challenge = await challenges.lock(session, fact.challenge_id)
        now = await close_account(session, challenge)
        await signals.send_risk_changed(session, cause=fact.key, trader_ids=[challenge.trader_id])
        await challenges.move(session, challenge, "chargeback_received", key="chargeback", at=now)
        return challenge


async def record_refund(deps: Deps, fact: ChallengeFact) -> Challenge:
    """Books the refunds of a payment, and ends the challenge when all of it was refunded. One that has already ended
    keeps its state, because the acquirer also tells of our own refunds. A part that was refunded at the acquirer's own
    desk opens a review for a person."""
    payment = await _payment(deps, fact.challenge_id, ask_refunds=True)
    if payment.checkout is None or payment.checkout.status != "paid":
        async with deps.db.transaction() as session:
            return await challenges.lock(session, fact.challenge_id)
    paid = _paid(payment.checkout)
    async with deps.db.transaction() as session:
        challenge = await challenges.lock(session, fact.challenge_id)
        await _settle(session, challenge, payment)
        seen = await refunds.observe(session, challenge, paid, payment.refunds)
        if not seen.whole:
            await refunds.ask_about_desk(session, challenge, paid, seen.at_desk)
        if not seen.whole or challenge.state in CHALLENGE.terminal:
            return challenge
    await provisioning.lock_account(deps, fact.challenge_id, "refunded")
    async with deps.db.transaction() as session:
        challenge = await challenges.lock(session, fact.challenge_id)
        now = await close_account(session, challenge)
        for asked in await refunds.attempts(session, challenge.id):  # our own attempts that were never completed
            await outbox.fulfil_intent(session, key=asked.key, result={"status": "refunded"})
        await refunds.ended(session, challenge)
        await signals.send_risk_changed(session, cause=fact.key, trader_ids=[challenge.trader_id])
        reason = "The fee was refunded at the payment provider."
        await challenges.move(
            session, challenge, "refunded_at_provider", key="refunded-at-provider", at=now, reason=reason
        )
        return challenge


async def close_account(session: AsyncSession, challenge: Challenge) -> datetime:
    """Closes the current account of a challenge that ends now and cancels its wake-up. Returns the market time."""
    now = await market_now(session)
    await challenges.end_account(session, challenge, "closed", now)
    await challenges.wake(session, challenge, None)
    return now
