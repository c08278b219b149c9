"""The fee of a challenge: paid through a checkout, refunded by us or at the provider, charged back.

Each function may run again after any of its steps. Webhooks are only hints: the status is fetched from the provider.
"""

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from activities import provisioning
from activities.deps import Deps
from contracts.challenges import ChallengeFact, RefundStep
from domain import keys
from domain.errors import Conflict, NotFound, PropOSError, Unavailable
from domain.lifecycle import CHALLENGE, Paid, check_may_refund, check_refundable, payment_due
from firm import challenges, fees, orders, payment_reviews, people
from firm.payouts import signals
from ports.payments import Checkout, PaymentProvider
from store import outbox
from store.clock import market_now
from store.models import Account, Challenge, Intent
from store.transitions import was_applied


async def open_checkout(deps: Deps, challenge_id: str) -> Challenge:
    async with deps.db.transaction() as session:
        challenge = await challenges.lock(session, challenge_id)
        if challenge.checkout_id is not None or challenge.state != CHALLENGE.initial:
            return challenge
        terms = await challenges.checkout_terms(session, challenge.id)
    checkout = await deps.payments.of(challenge.provider).create_checkout(**terms)
    async with deps.db.transaction() as session:
        await challenges.record_checkout(session, challenge_id, checkout_id=checkout.checkout_id, url=checkout.url)
        return await challenges.lock(session, challenge_id)


async def check_payment(deps: Deps, challenge_id: str) -> Challenge:
    """Books a paid fee, or cancels a challenge that can no longer be paid. After the time to pay is over the checkout
    is closed first, so that nobody can pay for a cancelled challenge. A payment that was already charged back opens no
    account."""
    checkout, provider = await _checkout(deps, challenge_id)
    if checkout is not None and checkout.status == "charged_back":
        return await record_chargeback(
            deps, ChallengeFact(challenge_id=challenge_id, key=keys.payment_charged_back(challenge_id))
        )
    async with deps.db.transaction() as session:
        challenge = await challenges.lock(session, challenge_id)
        late = await market_now(session) >= payment_due(challenge.bought_at)
    if challenge.state == CHALLENGE.initial and late and checkout is not None and checkout.status == "open":
        checkout = await provider.expire_checkout(checkout.checkout_id, key=keys.checkout_expiry(challenge_id))
    async with deps.db.transaction() as session:
        challenge = await challenges.lock(session, challenge_id)
        await _settle(session, challenge, checkout)
        return challenge


async def _checkout(deps: Deps, challenge_id: str) -> tuple[Checkout | None, PaymentProvider]:
    """Returns the checkout of a challenge, or None without one, and the provider that takes its fee."""
    async with deps.db.transaction() as session:
        challenge = await challenges.lock(session, challenge_id)
    provider = deps.payments.of(challenge.provider)
    return (await provider.fetch_checkout(challenge.checkout_id) if challenge.checkout_id else None), provider


async def _settle(session: AsyncSession, challenge: Challenge, checkout: Checkout | None) -> None:
    """Moves the challenge on from `awaiting_payment` if the checkout is paid or closed. Leaves it while the checkout is
    open, however late it is. A payment that differs from the fee opens no account; it opens a review for a person."""
    if challenge.state != CHALLENGE.initial:
        return
    now, due, provider = await market_now(session), payment_due(challenge.bought_at), challenge.provider
    status, difference = checkout.status if checkout else None, ""
    if checkout and status in ("paid", "refunded", "charged_back"):
        paid = _paid(checkout)
        # a payment that went back opens nothing: what it was for is not asked
        in_vain = await orders.problem(session, challenge) if status == "paid" else ""
        difference = await fees.receive(
            session, challenge, paid=paid, reference=checkout.reference, provider=provider, in_vain=in_vain
        )
        if status == "refunded":  # by hand at the provider, before we had booked the payment
            await fees.refund(session, challenge, currency=paid.currency, provider=provider)
        elif difference:
            await fees.ask_about_difference(
                session, challenge, paid=paid, reference=checkout.reference, difference=difference
            )
    if status in ("paid", "charged_back"):
        trigger = "payment_differs" if difference else "payment_settled"
        await challenges.move(session, challenge, trigger, key="payment", at=now, reason=difference)
        if status == "paid" and not difference:
            await orders.close_replaced(session, challenge)
    elif status in ("expired", "refunded") or (status is None and now >= due):
        await challenges.move(session, challenge, "payment_expired", key="payment", at=now)
    await challenges.wake(session, challenge, due if challenge.state == CHALLENGE.initial else None)


def _paid(checkout: Checkout) -> Paid:
    return Paid(minor=checkout.amount_minor, currency=checkout.currency)


async def record_chargeback(deps: Deps, fact: ChallengeFact) -> Challenge:
    """Ends the challenge. One that has already ended keeps its state, but the loss is still booked. As soon as the
    provider confirms the chargeback, all payouts of the trader are held."""
    checkout, _ = await _checkout(deps, fact.challenge_id)
    async with deps.db.transaction() as session:
        challenge = await challenges.lock(session, fact.challenge_id)
        if checkout is None or checkout.status != "charged_back":
            return challenge
        paid = _paid(checkout)
        await fees.hold_for_chargeback(session, challenge, paid)
        await _settle(session, challenge, checkout)
        if challenge.state in CHALLENGE.terminal:
            await fees.book_late_chargeback(session, challenge, paid=paid, provider=challenge.provider)
            return challenge
    await provisioning.lock_account(deps, fact.challenge_id, "charged-back")
    async with deps.db.transaction() as session:
        challenge = await challenges.lock(session, fact.challenge_id)
        now = await _close_account(session, challenge)
        await signals.send_risk_changed(session, cause=fact.key, trader_ids=[challenge.trader_id])
        await fees.charge_back(session, challenge, paid=paid, provider=challenge.provider)
        await challenges.move(session, challenge, "chargeback_received", key="chargeback", at=now)
        return challenge


async def record_refund(deps: Deps, fact: ChallengeFact) -> Challenge:
    """Ends a challenge after its fee was refunded at the provider. One that has already ended keeps its state, because
    the provider also reports our own refunds. A refund that may be partial opens a review for a person."""
    checkout, _ = await _checkout(deps, fact.challenge_id)
    async with deps.db.transaction() as session:
        challenge = await challenges.lock(session, fact.challenge_id)
        if checkout is None or checkout.status not in ("paid", "refunded"):
            return challenge
        paid = _paid(checkout)
        await _settle(session, challenge, checkout)
        if checkout.status == "paid":
            await fees.ask_about_refund(session, challenge, paid=paid, provider=challenge.provider, event=fact.key)
            return challenge
        if challenge.state in CHALLENGE.terminal:
            await fees.book_late_refund(session, challenge, paid=paid, provider=challenge.provider)
            return challenge
    await provisioning.lock_account(deps, fact.challenge_id, "refunded")
    async with deps.db.transaction() as session:
        challenge = await challenges.lock(session, fact.challenge_id)
        now = await _close_account(session, challenge)
        for asked in await fees.refund_attempts(session, challenge.id):  # our own attempts that were never completed
            await outbox.fulfil_intent(session, key=asked.key, result={"status": checkout.status})
        await fees.refund_ended(session, challenge)
        await signals.send_risk_changed(session, cause=fact.key, trader_ids=[challenge.trader_id])
        await fees.book_parts(session, challenge, currency=paid.currency, provider=challenge.provider)
        await fees.refund(session, challenge, currency=paid.currency, provider=challenge.provider)
        reason = "The fee was refunded at the payment provider."
        await challenges.move(
            session, challenge, "refunded_at_provider", key="refunded-at-provider", at=now, reason=reason
        )
        return challenge


async def _close_account(session: AsyncSession, challenge: Challenge) -> datetime:
    """Closes the current account of a challenge that ends now and cancels its wake-up. Returns the market time."""
    now = await market_now(session)
    await challenges.end_account(session, challenge, "closed", now)
    await challenges.wake(session, challenge, None)
    return now


# our own refunds


class _GrantedRefund(NamedTuple):
    """A refund that was allowed: its idempotency key and the payload of its intent. `asked_before`: an earlier attempt
    may have called the provider."""

    key: str
    payload: dict[str, Any]
    asked_before: bool


async def refund(deps: Deps, step: RefundStep) -> Challenge:
    """Refunds the fee. The checks run until the intent is stored. From then on the refund is completed whatever has
    changed, because the money may be on its way. If the provider refuses, the account may trade again. Raises Conflict
    with the provider's reason."""
    challenge_id, key = step.challenge_id, keys.refund_step(step.request.key)
    async with deps.db.transaction() as session:
        challenge = await challenges.lock(session, challenge_id)
        if await was_applied(session, "challenge", challenge_id, key):
            return challenge
        attempts = await fees.refund_attempts(session, challenge_id)
    for attempt in attempts:
        why = fees.refusal_of(attempt)
        if why is not None and attempt.payload.get("request") == step.request.key:
            raise await _unfreeze_after_refusal(deps, challenge_id, attempt.key, why)
    if attempts and attempts[-1].done_at is None:
        granted = _GrantedRefund(attempts[-1].key, attempts[-1].payload, asked_before=True)
    else:
        granted = await _grant_refund(deps, step, challenge, key, keys.refund(challenge_id, len(attempts) + 1))
    answer = await _ask_for_refund(deps.payments.of(challenge.provider), granted)
    if isinstance(answer, str):
        await _record_refusal(deps, challenge_id, granted, answer)
        raise await _unfreeze_after_refusal(deps, challenge_id, granted.key, answer)
    async with deps.db.transaction() as session:
        challenge = await challenges.lock(session, challenge_id)
        now = await _close_account(session, challenge)
        await outbox.fulfil_intent(session, key=granted.key, result={"status": answer.status})
        await fees.refund_ended(session, challenge)
        await fees.book_parts(session, challenge, currency=answer.currency, provider=challenge.provider)
        await fees.refund(session, challenge, currency=answer.currency, provider=challenge.provider)
        await _move_refund(session, challenge, "refund_granted", key, now, granted, step.request.reason)
        return challenge


async def _move_refund(
    session: AsyncSession,
    challenge: Challenge,
    trigger: str,
    key: str,
    now: datetime,
    granted: _GrantedRefund,
    reason: str,
) -> None:
    await challenges.move(
        session,
        challenge,
        trigger,
        key=key,
        at=now,
        actor=granted.payload["user_id"],
        role=granted.payload["role"],
        reason=reason,
    )


async def _grant_refund(deps: Deps, step: RefundStep, challenge: Challenge, key: str, intent: str) -> _GrantedRefund:
    """Checks that the refund is allowed and stores its intent: the checkout, and the person who asked for it."""
    async with deps.db.transaction() as session:
        actor = await people.current_actor(session, step.request.actor.user_id)
        account = await challenges.account(session, challenge)
    check_may_refund(actor, challenge.trader_id)
    check_refundable(challenge.state, challenge.phase_index)
    if challenge.checkout_id is None:
        raise Conflict("This challenge has no payment to refund.")
    if challenge.state == "active":
        await _freeze(deps, challenge, account, key)
    payload = {
        "checkout_id": challenge.checkout_id,
        "user_id": actor.user_id,
        "role": actor.role,
        "request": step.request.key,
    }
    async with deps.db.transaction() as session:
        await challenges.lock(session, challenge.id)
        declared = await session.get(Intent, intent)  # by an attempt that timed out but kept running
        if declared is not None:
            return _GrantedRefund(intent, declared.payload, asked_before=True)
        await outbox.declare_intent(session, key=intent, kind="payments.refund", payload=payload)
    return _GrantedRefund(intent, payload, asked_before=False)


async def _freeze(deps: Deps, challenge: Challenge, account: Account | None, key: str) -> None:
    if account is None or account.login is None:
        raise Conflict("This challenge has no account yet.")
    await provisioning.freeze_untraded(deps, challenge.id, account, account.login, key)


async def _ask_for_refund(provider: PaymentProvider, granted: _GrantedRefund) -> Checkout | str:
    """Returns the refunded checkout, refunded by us or at the provider; or the provider's reason for refusing."""
    checkout_id = str(granted.payload["checkout_id"])
    if granted.asked_before:  # the first call may have succeeded although its answer was lost
        checkout = await _fetch(provider, checkout_id)
        if checkout is not None and checkout.status == "refunded":
            return checkout
    try:
        return await provider.refund(checkout_id, key=granted.key)
    except Unavailable:
        raise
    except PropOSError as refusal:
        checkout = await _fetch(provider, checkout_id)
        refunded = checkout is not None and checkout.status == "refunded"
        return checkout if checkout is not None and refunded else refusal.message


async def _fetch(provider: PaymentProvider, checkout_id: str) -> Checkout | None:
    try:
        return await provider.fetch_checkout(checkout_id)
    except NotFound:
        return None


async def _record_refusal(deps: Deps, challenge_id: str, granted: _GrantedRefund, why: str) -> None:
    """Records the refusal and opens a review; the challenge continues. If the money is refunded later after all, the
    provider's event ends the challenge."""
    async with deps.db.transaction() as session:
        challenge = await challenges.lock(session, challenge_id)
        await outbox.fulfil_intent(session, key=granted.key, result={"refused": why})
        await fees.refund_ended(session, challenge)
        detail = {"refund": granted.key, "why": why}
        await payment_reviews.open_review(
            session,
            payment_reviews.REFUND_REFUSED,
            challenge,
            about=granted.key.removeprefix(f"{challenge_id}/"),
            detail=detail,
        )
        if CHALLENGE.allows(challenge.state, "refund_refused"):
            now = await market_now(session)
            await _move_refund(
                session, challenge, "refund_refused", keys.refund_refused(granted.key), now, granted, why
            )


async def _unfreeze_after_refusal(deps: Deps, challenge_id: str, intent: str, why: str) -> Conflict:
    """Unfreezes the account and returns the error to raise. A payment that was charged back in the meantime ends the
    challenge instead."""
    async with deps.db.transaction() as session:
        challenge = await challenges.lock(session, challenge_id)
    checkout = await _fetch(deps.payments.of(challenge.provider), challenge.checkout_id or "")
    if checkout is not None and checkout.status == "charged_back":
        await record_chargeback(deps, ChallengeFact(challenge_id=challenge_id, key=keys.refund_charged_back(intent)))
        return Conflict("The payer has taken the fee back through the bank; there is nothing to refund.")
    async with deps.db.transaction() as session:
        account = await challenges.account(session, await challenges.lock(session, challenge_id))
    if account is None or account.login is None:
        return Conflict(f"The payment provider refused the refund: {why}", remedy="Refund it at the provider.")
    await provisioning.unfreeze(deps, account.id, account.login, intent)
    return Conflict(f"The payment provider refused the refund: {why} The account trades again.")
