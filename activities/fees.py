"""The fee of a challenge: paid through a checkout, given back by a refund, taken back by a chargeback.

Each may run again after any of its steps. What the provider says is fetched; webhooks are hints.
"""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from activities import provisioning
from activities.deps import Deps
from contracts.challenges import ChallengeFact, RefundStep
from domain.errors import Conflict
from domain.ledger import fee_charged_back, fee_paid, fee_refunded
from domain.lifecycle import CHALLENGE, check_may_refund, check_refundable, payment_due
from domain.money import Money
from firm import challenges, people
from firm.payouts import requests as payouts
from ports.payments import Checkout
from store import ledger, outbox
from store.clock import market_now
from store.models import Challenge, Intent
from store.transitions import applied


async def open_checkout(deps: Deps, challenge_id: str) -> Challenge:
    async with deps.db.transaction() as session:
        challenge = await challenges.lock(session, challenge_id)
        if challenge.checkout_id is not None or challenge.state != CHALLENGE.initial:
            return challenge
        terms = await challenges.checkout_terms(session, challenge.id)
    checkout = await deps.payments.create_checkout(**terms)
    async with deps.db.transaction() as session:
        await challenges.record_checkout(session, challenge_id, checkout_id=checkout.checkout_id, url=checkout.url)
        return await challenges.lock(session, challenge_id)


async def check_payment(deps: Deps, challenge_id: str) -> Challenge:
    """Book a paid fee, or cancel what will not be paid. Once the time to pay is over the checkout is closed first:
    nothing can be paid into a cancelled challenge."""
    checkout = await _checkout(deps, challenge_id)
    async with deps.db.transaction() as session:
        challenge = await challenges.lock(session, challenge_id)
        late = await market_now(session) >= payment_due(challenge.bought_at)
    if challenge.state == CHALLENGE.initial and late and checkout is not None and checkout.status == "open":
        checkout = await deps.payments.expire_checkout(checkout.checkout_id, key=f"{challenge_id}/expire")
    async with deps.db.transaction() as session:
        challenge = await challenges.lock(session, challenge_id)
        await _settle(session, challenge, checkout, deps.payments.name)
        return challenge


async def _checkout(deps: Deps, challenge_id: str) -> Checkout | None:
    async with deps.db.transaction() as session:
        checkout_id = (await challenges.lock(session, challenge_id)).checkout_id
    return await deps.payments.fetch_checkout(checkout_id) if checkout_id else None


async def _settle(session: AsyncSession, challenge: Challenge, checkout: Checkout | None, provider: str) -> None:
    """Move on from `awaiting_payment` if the checkout is paid or over. An open one is left, however late it is."""
    if challenge.state != CHALLENGE.initial:
        return
    now, due = await market_now(session), payment_due(challenge.bought_at)
    status = checkout.status if checkout else None
    if checkout and status in ("paid", "refunded", "charged_back"):
        await ledger.post(session, fee_paid(challenge.id, _fee(checkout), provider), occurred_at=now)
        if status == "refunded":  # by hand at the provider, before we heard of the payment
            await ledger.post(session, fee_refunded(challenge.id, _fee(checkout), provider), occurred_at=now)
    if status in ("paid", "charged_back"):
        await challenges.move(session, challenge, "payment_settled", key="payment", at=now)
    elif status in ("expired", "refunded") or (status is None and now >= due):
        await challenges.move(session, challenge, "payment_expired", key="payment", at=now)
    await challenges.wake(session, challenge, due if challenge.state == CHALLENGE.initial else None)


def _fee(checkout: Checkout) -> Money:
    return Money(minor=checkout.amount_minor, currency=checkout.currency)


async def record_chargeback(deps: Deps, fact: ChallengeFact) -> Challenge:
    """End the challenge; one that has ended already keeps its state, and the loss is booked all the same."""
    checkout, provider = await _checkout(deps, fact.challenge_id), deps.payments.name
    async with deps.db.transaction() as session:
        challenge = await challenges.lock(session, fact.challenge_id)
        if checkout is None or checkout.status != "charged_back":
            return challenge
        await _settle(session, challenge, checkout, provider)
        if challenge.state in CHALLENGE.terminal:
            await challenges.book_chargeback(session, challenge, fee=_fee(checkout), provider=provider)
            return challenge
    await provisioning.lock_account(deps, fact.challenge_id, "charged-back")
    async with deps.db.transaction() as session:
        challenge = await challenges.lock(session, fact.challenge_id)
        now = await market_now(session)
        await challenges.end_account(session, challenge, "closed", now)
        await challenges.wake(session, challenge, None)
        await payouts.risk_changed(session, cause=fact.key, trader_ids=[challenge.trader_id])
        await ledger.post(session, fee_charged_back(challenge.id, _fee(checkout), provider), occurred_at=now)
        await challenges.move(session, challenge, "chargeback_received", key="chargeback", at=now)
        return challenge


async def refund(deps: Deps, step: RefundStep) -> Challenge:
    """Give the fee back. Whether it may be is judged until the intent is on the record; from then on it is only
    finished, whoever asks again and whatever has changed: the money may be on its way."""
    challenge_id, key, intent = step.challenge_id, f"refund/{step.request.key}", f"{step.challenge_id}/refund"
    async with deps.db.transaction() as session:
        challenge = await challenges.lock(session, challenge_id)
        if await applied(session, "challenge", challenge_id, key):
            return challenge
        declared = await session.get(Intent, intent)
    under_way = declared is not None and declared.done_at is None
    granted = declared.payload if declared and under_way else await _grant_refund(deps, step, challenge, key, intent)
    checkout = await deps.payments.refund(granted["checkout_id"], key=intent)
    async with deps.db.transaction() as session:
        challenge = await challenges.lock(session, challenge_id)
        now = await market_now(session)
        await challenges.end_account(session, challenge, "closed", now)
        await challenges.wake(session, challenge, None)
        await outbox.fulfil_intent(session, key=intent, result={"status": checkout.status})
        entry = fee_refunded(challenge_id, _fee(checkout), deps.payments.name)
        await ledger.post(session, entry, occurred_at=now)
        await challenges.move(
            session,
            challenge,
            "refund_granted",
            key=key,
            at=now,
            actor=granted["user_id"],
            role=granted["role"],
            reason=step.request.reason,
        )
        return challenge


async def _grant_refund(deps: Deps, step: RefundStep, challenge: Challenge, key: str, intent: str) -> dict[str, Any]:
    """The payload of the declared intent: what is given back, and who was allowed to ask for it."""
    async with deps.db.transaction() as session:
        actor = await people.current_actor(session, step.request.actor.user_id)
        account = await challenges.account(session, challenge)
    check_may_refund(actor, challenge.trader_id)
    check_refundable(challenge.state, challenge.phase_index)
    if account is None or account.login is None or challenge.checkout_id is None:
        raise Conflict("This challenge has no account or no payment to refund.")
    await provisioning.freeze_untraded(deps, challenge.id, account, account.login, key)
    granted = {"checkout_id": challenge.checkout_id, "user_id": actor.user_id, "role": actor.role}
    async with deps.db.transaction() as session:
        await challenges.lock(session, challenge.id)
        declared = await session.get(Intent, intent)  # by an attempt that was given up but ran on
        if declared is not None:
            return declared.payload
        await outbox.declare_intent(session, key=intent, kind="payments.refund", payload=granted)
    return granted
