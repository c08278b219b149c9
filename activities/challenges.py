"""Challenge activities: payment, phases, breaches, dates, refunds. Each may run again after any of its steps.

The order is always: look, tell the platform or the provider with a key made of our ids, then record under the row
lock what was decided, looking again. No call to the outside happens inside a transaction.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from activities import provisioning
from activities.deps import Deps
from activities.refusals import refusals_are_final
from contracts.challenges import ChallengeFact, ChallengeStatus, PhaseStep, RefundStep
from domain.disputes import breach_is_final
from domain.errors import Conflict, NotAllowed
from domain.ledger import fee_charged_back, fee_paid, fee_refunded
from domain.lifecycle import (
    CHALLENGE,
    check_refundable,
    payment_due,
    trigger_of_pass,
    trigger_of_reinstatement,
    trigger_of_start,
)
from domain.money import Money
from ports.payments import Checkout
from store import challenges, disputes, ledger, outbox, payouts, people
from store.clock import market_now
from store.models import Breach, Challenge, PhasePass
from store.transitions import applied

_REFUNDERS: Final = frozenset({"support", "finance", "admin"})


def _status(challenge: Challenge) -> ChallengeStatus:
    return ChallengeStatus(state=challenge.state, phase_index=challenge.phase_index)


class ChallengeActivities:
    def __init__(self, deps: Deps) -> None:
        self._deps = deps
        self._db = deps.db
        self._payments = deps.payments
        self._platform = deps.platform

    def all(self) -> Sequence[Callable[..., Awaitable[object]]]:
        return [
            self.open_checkout,
            self.check_payment,
            self.open_account,
            self.start_phase,
            self.record_breach,
            self.record_pass,
            self.record_identity,
            self.check_deadline,
            self.reinstate_account,
            self.record_chargeback,
            self.close_account,
            self.refund_fee,
        ]

    # payment

    @activity.defn(name="challenges.open_checkout")
    async def open_checkout(self, fact: ChallengeFact) -> ChallengeStatus:
        async with self._db.transaction() as session:
            challenge = await challenges.lock(session, fact.challenge_id)
            if challenge.checkout_id is not None or challenge.state != CHALLENGE.initial:
                return _status(challenge)
            terms = await challenges.checkout_terms(session, challenge.id)
        checkout = await self._payments.create_checkout(**terms)
        async with self._db.transaction() as session:
            await challenges.record_checkout(
                session, fact.challenge_id, checkout_id=checkout.checkout_id, url=checkout.url
            )
            return _status(await challenges.lock(session, fact.challenge_id))

    @activity.defn(name="challenges.check_payment")
    async def check_payment(self, fact: ChallengeFact) -> ChallengeStatus:
        checkout = await self._checkout(fact.challenge_id)
        async with self._db.transaction() as session:
            challenge = await challenges.lock(session, fact.challenge_id)
            await self._settle(session, challenge, checkout)
            return _status(challenge)

    async def _checkout(self, challenge_id: str) -> Checkout | None:
        """What the provider says now: webhooks are hints."""
        async with self._db.transaction() as session:
            checkout_id = (await challenges.lock(session, challenge_id)).checkout_id
        return await self._payments.fetch_checkout(checkout_id) if checkout_id else None

    async def _settle(self, session: AsyncSession, challenge: Challenge, checkout: Checkout | None) -> None:
        """Move on from `awaiting_payment` if the checkout or the time for it is over."""
        if challenge.state != CHALLENGE.initial:
            return
        now, due = await market_now(session), payment_due(challenge.bought_at)
        status = checkout.status if checkout else "open"
        if checkout and status in ("paid", "refunded", "charged_back"):
            fee = Money(minor=checkout.amount_minor, currency=checkout.currency)
            await ledger.post(session, fee_paid(challenge.id, fee, self._payments.name), occurred_at=now)
            if status == "refunded":  # by hand at the provider, before we heard of the payment
                await ledger.post(session, fee_refunded(challenge.id, fee, self._payments.name), occurred_at=now)
        if status in ("paid", "charged_back"):
            await challenges.move(session, challenge, "payment_settled", key="payment", at=now)
        elif status != "open" or now >= due:
            await challenges.move(session, challenge, "payment_expired", key="payment", at=now)
        await challenges.wake(session, challenge, due if challenge.state == CHALLENGE.initial else None)

    # phases

    @activity.defn(name="challenges.open_account")
    async def open_account(self, step: PhaseStep) -> ChallengeStatus:
        await provisioning.open_account(self._deps, step)
        async with self._db.transaction() as session:
            return _status(await challenges.lock(session, step.challenge_id))

    @activity.defn(name="challenges.start_phase")
    async def start_phase(self, step: PhaseStep) -> ChallengeStatus:
        async with self._db.transaction() as session:
            challenge = await challenges.lock(session, step.challenge_id)
            account = await challenges.account(session, challenge)
            if challenge.state != "provisioning" or account is None or account.opened_at is None:
                return _status(challenge)
            product = await challenges.terms(session, challenge)
            due = await challenges.deadline(session, challenge, account, product)
            await challenges.wake(session, challenge, due)
            await challenges.move(
                session,
                challenge,
                trigger_of_start(step.phase_index, product.funded_index),
                key=f"start/{account.id}",
                at=account.opened_at,
                detail={"account_id": account.id, "phase_index": step.phase_index},
            )
            return _status(challenge)

    @activity.defn(name="challenges.record_pass")
    async def record_pass(self, fact: ChallengeFact) -> ChallengeStatus:
        async with self._db.transaction() as session:
            challenge = await challenges.lock(session, fact.challenge_id)
            account = await challenges.account(session, challenge)
            passed = await session.get_one(PhasePass, fact.subject_id)
        if challenge.state != "active" or account is None or passed.account_id != account.id or account.login is None:
            return _status(challenge)
        await self._platform.lock(account.login, key=f"{account.id}/passed")
        async with self._db.transaction() as session:
            challenge = await challenges.lock(session, fact.challenge_id)
            if challenge.state != "active" or challenge.account_id != passed.account_id:
                return _status(challenge)
            product = await challenges.terms(session, challenge)
            await challenges.end_account(session, challenge, "closed", passed.occurred_at)
            await challenges.wake(session, challenge, None)
            identity = await people.identity_of(session, challenge.trader_id)
            await challenges.move(
                session,
                challenge,
                trigger_of_pass(challenge.phase_index, product.funded_index),
                key=f"pass/{passed.id}",
                at=passed.occurred_at,
                detail={"pass_id": passed.id, "account_id": account.id, "proof_id": passed.proof_id},
            )
            await self._go_by_identity(session, challenge, identity)
            return _status(challenge)

    @activity.defn(name="challenges.record_identity")
    async def record_identity(self, fact: ChallengeFact) -> ChallengeStatus:
        async with self._db.transaction() as session:
            challenge = await challenges.lock(session, fact.challenge_id)
            identity = await people.identity_of(session, challenge.trader_id)
            await self._go_by_identity(session, challenge, identity)
            return _status(challenge)

    async def _go_by_identity(self, session: AsyncSession, challenge: Challenge, identity: str) -> None:
        if challenge.state != "identity_check" or identity == "unverified":
            return
        trigger = "identity_verified" if identity == "verified" else "identity_refused"
        key = f"identity/{challenge.phase_index}"
        await challenges.move(session, challenge, trigger, key=key, at=await market_now(session))

    # breaches

    @activity.defn(name="challenges.record_breach")
    async def record_breach(self, fact: ChallengeFact) -> ChallengeStatus:
        async with self._db.transaction() as session:
            challenge = await challenges.lock(session, fact.challenge_id)
            breach = await session.get_one(Breach, fact.subject_id)
            applies = breach.account_id == challenge.account_id and breach.status == "confirmed"
            if not applies or not CHALLENGE.allows(challenge.state, "breach_detected"):
                return _status(challenge)
            await challenges.end_account(session, challenge, "locked", breach.occurred_at)
            until = await challenges.dispute_until(session, challenge, breach)
            await challenges.wake(session, challenge, until)
            await payouts.risk_changed(session, cause=f"breach/{breach.id}", trader_ids=[challenge.trader_id])
            await challenges.move(
                session,
                challenge,
                "breach_detected",
                key=f"breach/{breach.id}",
                at=breach.occurred_at,
                detail={"breach_id": breach.id, "account_id": breach.account_id, "proof_id": breach.proof_id},
            )
            return _status(challenge)

    @activity.defn(name="challenges.reinstate_account")
    async def reinstate_account(self, fact: ChallengeFact) -> ChallengeStatus:
        account = await provisioning.reinstate_account(self._deps, fact)
        async with self._db.transaction() as session:
            challenge = await challenges.lock(session, fact.challenge_id)
            if account is not None and challenge.state == "breached":
                product, now = await challenges.terms(session, challenge), await market_now(session)
                await payouts.risk_changed(session, cause=fact.key, trader_ids=[challenge.trader_id])
                await challenges.move(
                    session,
                    challenge,
                    trigger_of_reinstatement(account.phase_index, product.funded_index),
                    key=f"reinstate/{fact.subject_id}",
                    at=now,
                    detail={"account_id": account.id, "dispute_id": fact.subject_id},
                )
                due = await challenges.deadline(session, challenge, account, product)
                await challenges.wake(session, challenge, due)
            key = f"reinstated/{fact.subject_id}"
            await outbox.signal_workflow(
                session,
                key=key,
                workflow_id=disputes.workflow(fact.subject_id),
                name="account_reinstated",
                payload={"key": key},
            )
            return _status(challenge)

    # dates

    @activity.defn(name="challenges.check_deadline")
    async def check_deadline(self, fact: ChallengeFact) -> ChallengeStatus:
        async with self._db.transaction() as session:
            challenge = await challenges.lock(session, fact.challenge_id)
        if challenge.state == CHALLENGE.initial:
            return await self.check_payment(fact)
        if challenge.state == "active":
            return await self._expire(fact)
        if challenge.state == "breached":
            return await self._close_window(fact)
        return _status(challenge)

    async def _expire(self, fact: ChallengeFact) -> ChallengeStatus:
        async with self._db.transaction() as session:
            challenge = await challenges.lock(session, fact.challenge_id)
            account = await challenges.account(session, challenge)
            if account is None or account.login is None:
                return _status(challenge)
            due = await challenges.deadline(session, challenge, account, await challenges.terms(session, challenge))
            if due is None or await market_now(session) < due:
                await challenges.wake(session, challenge, due)
                return _status(challenge)
            if await challenges.verdict_waits(session, account.id):
                return _status(challenge)  # judged in time; the news is on its way
        await self._platform.lock(account.login, key=f"{account.id}/expired")
        async with self._db.transaction() as session:
            challenge = await challenges.lock(session, fact.challenge_id)
            if challenge.state == "active" and challenge.account_id == account.id:
                await challenges.end_account(session, challenge, "closed", due)
                await challenges.wake(session, challenge, None)
                detail = {"account_id": account.id}
                await challenges.move(
                    session, challenge, "time_limit_reached", key=f"expired/{account.id}", at=due, detail=detail
                )
            return _status(challenge)

    async def _close_window(self, fact: ChallengeFact) -> ChallengeStatus:
        async with self._db.transaction() as session:
            challenge = await challenges.lock(session, fact.challenge_id)
            breach = await challenges.standing_breach(session, challenge.account_id or "")
            if challenge.state != "breached" or breach is None:
                return _status(challenge)
            dispute = await disputes.of_standing_breach(session, breach.account_id)
            until, now = await challenges.dispute_until(session, challenge, breach), await market_now(session)
            if breach_is_final(now, until, dispute.state if dispute else None):
                await challenges.wake(session, challenge, None)
                detail = {"breach_id": breach.id}
                await challenges.move(
                    session, challenge, "dispute_window_over", key=f"window/{breach.id}", at=now, detail=detail
                )
            elif dispute is None:
                await challenges.wake(session, challenge, until)
            return _status(challenge)

    # other ends

    @activity.defn(name="challenges.record_chargeback")
    async def record_chargeback(self, fact: ChallengeFact) -> ChallengeStatus:
        checkout = await self._checkout(fact.challenge_id)
        async with self._db.transaction() as session:
            challenge = await challenges.lock(session, fact.challenge_id)
            if checkout is None or checkout.status != "charged_back" or challenge.state in CHALLENGE.terminal:
                return _status(challenge)
            await self._settle(session, challenge, checkout)
        await self._lock_account(fact.challenge_id, "charged-back")
        async with self._db.transaction() as session:
            challenge = await challenges.lock(session, fact.challenge_id)
            now, fee = await market_now(session), Money(minor=checkout.amount_minor, currency=checkout.currency)
            await challenges.end_account(session, challenge, "closed", now)
            await challenges.wake(session, challenge, None)
            await payouts.risk_changed(session, cause=fact.key, trader_ids=[challenge.trader_id])
            await ledger.post(session, fee_charged_back(challenge.id, fee, self._payments.name), occurred_at=now)
            await challenges.move(session, challenge, "chargeback_received", key="chargeback", at=now)
            return _status(challenge)

    @activity.defn(name="challenges.close_account")
    async def close_account(self, fact: ChallengeFact) -> ChallengeStatus:
        async with self._db.transaction() as session:
            challenge = await challenges.lock(session, fact.challenge_id)
        if not CHALLENGE.allows(challenge.state, "closed_by_firm"):
            return _status(challenge)
        await self._lock_account(fact.challenge_id, "closed")
        async with self._db.transaction() as session:
            challenge = await challenges.lock(session, fact.challenge_id)
            now = await market_now(session)
            await challenges.end_account(session, challenge, "closed", now)
            await challenges.wake(session, challenge, None)
            await payouts.risk_changed(session, cause=fact.key, trader_ids=[challenge.trader_id])
            detail = {"case_id": fact.subject_id}
            await challenges.move(session, challenge, "closed_by_firm", key="closed", at=now, detail=detail)
            return _status(challenge)

    async def _lock_account(self, challenge_id: str, why: str) -> None:
        async with self._db.transaction() as session:
            account = await challenges.account(session, await challenges.lock(session, challenge_id))
        if account is not None and account.login is not None:
            await self._platform.lock(account.login, key=f"{account.id}/{why}")

    # refund

    @activity.defn(name="challenges.refund_fee")
    async def refund_fee(self, step: RefundStep) -> ChallengeStatus:
        with refusals_are_final():
            return await self._refund(step)

    async def _refund(self, step: RefundStep) -> ChallengeStatus:
        request, challenge_id, key = step.request, step.challenge_id, f"refund/{step.request.key}"
        async with self._db.transaction() as session:
            challenge = await challenges.lock(session, challenge_id)
            if await applied(session, "challenge", challenge_id, key):
                return _status(challenge)
            actor = await people.current_actor(session, request.actor.user_id)
            account = await challenges.account(session, challenge)
        if actor.trader_id != challenge.trader_id and actor.role not in _REFUNDERS:
            raise NotAllowed("Only the trader, support, finance or admin can ask for this refund.")
        check_refundable(challenge.state, challenge.phase_index)
        checkout_id = challenge.checkout_id
        if account is None or account.login is None or checkout_id is None:
            raise Conflict("This challenge has no account or no payment to refund.")
        await provisioning.freeze_untraded(self._deps, challenge_id, account, account.login, key)
        intent = f"{challenge_id}/refund"
        async with self._db.transaction() as session:
            payload = {"checkout_id": checkout_id}
            await outbox.declare_intent(session, key=intent, kind="payments.refund", payload=payload)
        checkout = await self._payments.refund(checkout_id, key=intent)
        async with self._db.transaction() as session:
            challenge = await challenges.lock(session, challenge_id)
            now, fee = await market_now(session), Money(minor=checkout.amount_minor, currency=checkout.currency)
            await challenges.end_account(session, challenge, "closed", now)
            await challenges.wake(session, challenge, None)
            await outbox.fulfil_intent(session, key=intent, result={"status": checkout.status})
            await ledger.post(session, fee_refunded(challenge_id, fee, self._payments.name), occurred_at=now)
            await challenges.move(
                session,
                challenge,
                "refund_granted",
                key=key,
                at=now,
                actor=actor.user_id,
                role=actor.role,
                reason=request.reason,
            )
            return _status(challenge)
