"""The firm's own refunds of a fee: all of it, which ends the challenge, or a part.

Each step is stored before it is taken, so each may run again: the account is frozen, the refund is asked for under a
key of its own, the answer is booked. A refund is looked up by its key before it is asked for again.
"""

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from activities import fees, provisioning
from activities.deps import Deps
from contracts.challenges import ChallengeFact, RefundStep
from domain import keys, record_keys
from domain.errors import Conflict, NotFound, PropOSError, Unavailable
from domain.lifecycle import (
    CHALLENGE,
    Paid,
    check_may_refund,
    check_may_refund_part,
    check_part,
    check_refundable,
)
from firm import challenges, chargebacks, people, refunds
from ports.acquirer import Acquirer, Refund
from store import outbox
from store.clock import market_now
from store.models import Account, Challenge, Intent
from store.transitions import was_applied


class _Granted(NamedTuple):
    """A refund that was allowed: its key at the acquirer and the payload of its intent. `asked_before`: an earlier
    attempt may have called the acquirer."""

    key: str
    payload: dict[str, Any]
    asked_before: bool

    @property
    def amount_minor(self) -> int | None:
        """None: all that is left."""
        return self.payload.get("amount_minor")

    @property
    def request(self) -> str:
        """The key of the request; empty for intents that do not name it."""
        return str(self.payload.get("request", ""))


async def refund(deps: Deps, step: RefundStep) -> Challenge:
    """Refunds the fee, or a part of it. The checks run until the intent is stored. From then on the refund is completed
    whatever has changed, because the money may be on its way. If the acquirer refuses, the account may trade again.
    Raises Conflict with the acquirer's reason."""
    while True:
        challenge, granted = await _grant(deps, step)
        if granted is None:
            return challenge
        challenge = await _carry_out(deps, step, challenge, granted)
        if challenge.state in CHALLENGE.terminal or granted.request in ("", step.request.key):
            return challenge
        # a part that somebody else had begun is finished: now this one


async def _grant(deps: Deps, step: RefundStep) -> tuple[Challenge, _Granted | None]:
    """Returns the challenge and its refund that is under way, or this one once it is allowed; None if it is done.
    Raises what it is refused with."""
    challenge_id, request = step.challenge_id, step.request
    async with deps.db.transaction() as session:
        challenge = await challenges.lock(session, challenge_id)
        if await was_applied(session, "challenge", challenge_id, record_keys.refund_step(request.key)):
            return challenge, None
        attempts = await refunds.attempts(session, challenge_id)
    for attempt in attempts:
        why = refunds.refusal_of(attempt)
        if why is not None and attempt.payload.get("request") == request.key:
            raise await _unfreeze_after_refusal(deps, challenge_id, attempt.key, why)
    if attempts and attempts[-1].done_at is None:
        return challenge, _Granted(attempts[-1].key, attempts[-1].payload, asked_before=True)
    return challenge, await _allow(deps, step, challenge, keys.refund(challenge_id, len(attempts) + 1))


async def _allow(deps: Deps, step: RefundStep, challenge: Challenge, intent: str) -> _Granted:
    """Checks that the refund is allowed, freezes an account that trades, and stores the intent: the checkout, the
    amount, and the person who asked for it."""
    request = step.request
    async with deps.db.transaction() as session:
        actor = await people.current_actor(session, request.actor.user_id)
        account = await challenges.account(session, challenge)
        left = await refunds.left_minor(session, challenge)
    if request.amount_minor is None:
        check_may_refund(actor, challenge.trader_id)
        check_refundable(challenge.state, challenge.phase_index)
    else:
        check_may_refund_part(actor)
        check_part(challenge.state, request.amount_minor, left, challenge.currency)
    if challenge.checkout_id is None:
        raise Conflict("This challenge has no payment to refund.")
    if request.amount_minor is None and challenge.state == "active":
        await _freeze(deps, challenge, account, intent)
    payload: dict[str, Any] = {
        "checkout_id": challenge.checkout_id,
        "user_id": actor.user_id,
        "role": actor.role,
        "request": request.key,
    }
    if request.amount_minor is not None:
        payload["amount_minor"] = request.amount_minor
    async with deps.db.transaction() as session:
        await challenges.lock(session, challenge.id)
        declared = await session.get(Intent, intent)  # by an attempt that timed out but kept running
        if declared is not None:
            return _Granted(intent, declared.payload, asked_before=True)
        await outbox.declare_intent(session, key=intent, kind="payments.refund", payload=payload)
        await outbox.fulfil_intent(session, key=record_keys.refund_freeze(intent), result={"frozen": True})
    return _Granted(intent, payload, asked_before=False)


async def _freeze(deps: Deps, challenge: Challenge, account: Account | None, intent: str) -> None:
    """Freezes the account. That it may be frozen is on the record first: if the workflow ends in between, people are
    told. Raises Conflict for an account that has traded, which is not frozen then."""
    if account is None or account.login is None:
        raise Conflict("This challenge has no account yet.")
    freeze = record_keys.refund_freeze(intent)
    async with deps.db.transaction() as session:
        payload = {"account_id": account.id}
        await outbox.declare_intent(session, key=freeze, kind="payments.refund_freeze", payload=payload)
    try:
        await provisioning.freeze_untraded(deps, challenge.id, account, account.login, freeze)
    except Conflict:
        async with deps.db.transaction() as session:
            locked = await challenges.lock(session, challenge.id)
            await outbox.fulfil_intent(session, key=freeze, result={"frozen": False})
            await refunds.ended(session, locked)
        raise


async def _carry_out(deps: Deps, step: RefundStep, challenge: Challenge, granted: _Granted) -> Challenge:
    challenge_id, acquirer = step.challenge_id, deps.payments.acquirers.of(challenge.provider)
    refused = await _ask(acquirer, granted)
    if refused is not None:
        await _record_refusal(deps, challenge_id, granted, refused)
        raise await _unfreeze_after_refusal(deps, challenge_id, granted.key, refused)
    checkout = await acquirer.fetch_checkout(str(granted.payload["checkout_id"]))
    found = await acquirer.refunds(checkout.checkout_id)
    paid = Paid(minor=checkout.amount_minor, currency=checkout.currency)
    async with deps.db.transaction() as session:
        challenge = await challenges.lock(session, challenge_id)
        seen = await refunds.observe(session, challenge, paid, found)
        await outbox.fulfil_intent(session, key=granted.key, result={"status": "refunded"})
        await refunds.ended(session, challenge)
        now = await market_now(session)
        key = granted.request or step.request.key
        if granted.amount_minor is not None and not seen.whole:
            reason = f"{granted.amount_minor} {checkout.currency} (minor units): {step.request.reason}"
            if CHALLENGE.allows(challenge.state, "part_refunded"):
                await _move(session, challenge, "part_refunded", record_keys.refund_step(key), now, granted, reason)
            return challenge
        if challenge.state not in CHALLENGE.terminal:
            await fees.close_account(session, challenge)
            trigger = (
                "refund_granted" if CHALLENGE.allows(challenge.state, "refund_granted") else "refunded_at_provider"
            )
            own = record_keys.refund_step(step.request.key)
            await _move(session, challenge, trigger, own, now, granted, step.request.reason)
        return challenge


async def _move(
    session: AsyncSession,
    challenge: Challenge,
    trigger: str,
    key: str,
    now: datetime,
    granted: _Granted,
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


async def _ask(acquirer: Acquirer, granted: _Granted) -> str | None:
    """Has the acquirer refund. Returns its reason for refusing; None when the money goes back, by us or at its desk."""
    checkout_id = str(granted.payload["checkout_id"])
    if granted.asked_before:  # the first call may have succeeded although its answer was lost
        made = await _find(acquirer, checkout_id, granted.key)
        if made is not None:
            return _failure(made)
    try:
        return _failure(await acquirer.refund(checkout_id, key=granted.key, amount_minor=granted.amount_minor))
    except Unavailable:
        raise
    except PropOSError as refusal:
        made = await _find(acquirer, checkout_id, granted.key)
        if made is not None:
            return _failure(made)
        back = await _all_back(acquirer, checkout_id) if granted.amount_minor is None else False
        return None if back else refusal.message


def _failure(made: Refund) -> str | None:
    return (made.failure or "The buyer's bank did not take it.") if made.status == "failed" else None


async def _find(acquirer: Acquirer, checkout_id: str, key: str) -> Refund | None:
    try:
        return await acquirer.find_refund(checkout_id, key)
    except NotFound:
        return None


async def _all_back(acquirer: Acquirer, checkout_id: str) -> bool:
    """Returns whether the whole payment was refunded, by whomever."""
    try:
        checkout = await acquirer.fetch_checkout(checkout_id)
    except NotFound:
        return False
    return checkout.status == "paid" and checkout.refunded_minor >= checkout.amount_minor


async def _record_refusal(deps: Deps, challenge_id: str, granted: _Granted, why: str) -> None:
    """Records the refusal and opens a review; the challenge continues. If the money is refunded later after all, the
    acquirer's event ends the challenge."""
    async with deps.db.transaction() as session:
        challenge = await challenges.lock(session, challenge_id)
        await outbox.fulfil_intent(session, key=granted.key, result={"refused": why})
        await refunds.ended(session, challenge)
        await refunds.ask_about_refusal(session, challenge, granted.key, why)
        if CHALLENGE.allows(challenge.state, "refund_refused"):
            now = await market_now(session)
            await _move(
                session, challenge, "refund_refused", record_keys.refund_refused(granted.key), now, granted, why
            )


async def _unfreeze_after_refusal(deps: Deps, challenge_id: str, intent: str, why: str) -> Conflict:
    """Unfreezes the account and returns the error to raise. A payment that was lost to a chargeback in the meantime
    ends the challenge instead."""
    fact = ChallengeFact(challenge_id=challenge_id, key=keys.chargeback_event(intent, "refund"))
    await fees.record_chargeback(deps, fact)
    async with deps.db.transaction() as session:
        challenge = await challenges.lock(session, challenge_id)
        if await chargebacks.against(session, challenge_id):
            return Conflict("The payer has taken the fee back through the bank; there is nothing to refund.")
        account = await challenges.account(session, challenge)
    if account is None or account.login is None:
        return Conflict(f"The payment provider refused the refund: {why}", remedy="Refund it at the provider.")
    await provisioning.unfreeze(deps, account.id, account.login, intent)
    return Conflict(f"The payment provider refused the refund: {why} The account trades again.")
