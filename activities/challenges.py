"""Activities of workflow `Challenge`: payment, phases, breaches, deadlines, endings. Each may run again after any step.

Each first reads the record, then calls the platform or the provider with a key built from our ids, then locks the row,
reads again and records the result. No transaction is open during a call to the outside.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from activities import anew, fees, growth, provisioning, refunds
from activities.decisions import DeliveredDecision, carry_out_in_steps
from activities.deps import Deps
from activities.effects import on_account
from activities.refusals import refusals_are_final
from contracts.challenges import ChallengeFact, ChallengeStatus, PhaseStep, RefundStep
from contracts.ids import dispute_workflow
from contracts.messages import AccountReinstated
from domain import keys, record_keys
from domain.disputes import breach_is_final
from domain.errors import WaitsForPerson
from domain.lifecycle import (
    CHALLENGE,
    activation_due,
    may_retake,
    payment_due,
    trigger_of_pass,
    trigger_of_reinstatement,
    trigger_of_start,
)
from firm import challenges, chargebacks, disputes, intervention_ends, messages, orders, people
from firm.growth import broken_before, go_back, next_wake
from firm.payouts import closing, signals
from store.clock import market_now
from store.deadlines import deadline
from store.models import Account, Breach, Challenge, Dispute, PhasePass
from store.read import disputes as dispute_reads


def _status(challenge: Challenge) -> ChallengeStatus:
    return ChallengeStatus(state=challenge.state, phase_index=challenge.phase_index)


class ChallengeActivities:
    def __init__(self, deps: Deps) -> None:
        self._deps = deps
        self._db = deps.db

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
            self.record_refund,
            self.close_account,
            self.give_phase_anew,
            self.refund_fee,
        ]

    # the fee

    @activity.defn(name="challenges.open_checkout")
    async def open_checkout(self, fact: ChallengeFact) -> ChallengeStatus:
        return _status(await fees.open_checkout(self._deps, fact.challenge_id))

    @activity.defn(name="challenges.check_payment")
    async def check_payment(self, fact: ChallengeFact) -> ChallengeStatus:
        return _status(await fees.check_payment(self._deps, fact.challenge_id))

    @activity.defn(name="challenges.record_chargeback")
    async def record_chargeback(self, fact: ChallengeFact) -> ChallengeStatus:
        return _status(await fees.record_chargeback(self._deps, fact))

    @activity.defn(name="challenges.record_refund")
    async def record_refund(self, fact: ChallengeFact) -> ChallengeStatus:
        return _status(await fees.record_refund(self._deps, fact))

    @activity.defn(name="challenges.refund_fee")
    async def refund_fee(self, step: RefundStep) -> ChallengeStatus:
        delivered = DeliveredDecision("challenge", step.challenge_id, "refund", step.request, step.update_id)

        async def work() -> ChallengeStatus:
            return _status(await refunds.refund(self._deps, step))

        with refusals_are_final():
            return await carry_out_in_steps(self._db, delivered, ChallengeStatus, work)

    # phases

    @activity.defn(name="challenges.open_account")
    async def open_account(self, step: PhaseStep) -> ChallengeStatus:
        with suppress(WaitsForPerson):  # the workflow goes on hearing what comes, such as a refund
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
            due = await next_wake(session, challenge, account, product)
            await challenges.wake(session, challenge, due)
            await challenges.move(
                session,
                challenge,
                trigger_of_start(account.phase_index, product.funded_index),
                key=record_keys.phase_start(account.id),
                at=account.opened_at,
                detail={"account_id": account.id, "phase_index": account.phase_index},
            )
            return _status(challenge)

    @activity.defn(name="challenges.record_pass")
    async def record_pass(self, fact: ChallengeFact) -> ChallengeStatus:
        async with self._db.transaction() as session:
            challenge = await challenges.lock(session, fact.challenge_id)
            account = await challenges.account(session, challenge)
            passed = await session.get(PhasePass, fact.subject_id)
        if challenge.state != "active" or account is None or account.login is None:
            return _status(challenge)
        if passed is None or passed.account_id != account.id:
            return _status(challenge)
        at_platform = on_account(self._db, self._deps.platforms, account, account.login)
        await at_platform.lock(keys.account_lock(account.id, "passed"))
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
                key=keys.pass_message(passed.id),
                at=passed.occurred_at,
                detail={"pass_id": passed.id, "account_id": account.id, "proof_id": passed.proof_id},
            )
            await self._apply_identity(session, challenge, identity)
            return _status(challenge)

    @activity.defn(name="challenges.record_identity")
    async def record_identity(self, fact: ChallengeFact) -> ChallengeStatus:
        async with self._db.transaction() as session:
            challenge = await challenges.lock(session, fact.challenge_id)
            identity = await people.identity_of(session, challenge.trader_id)
            await self._apply_identity(session, challenge, identity)
            return _status(challenge)

    async def _apply_identity(self, session: AsyncSession, challenge: Challenge, identity: str) -> None:
        if challenge.state != "identity_check" or identity == "unverified":
            return
        trigger = "identity_verified" if identity == "verified" else "identity_refused"
        if identity == "verified" and (await challenges.terms(session, challenge)).order_minor("activation"):
            trigger = "activation_due"  # the trader orders the funded account, which begins in a challenge of its own
        key, now = record_keys.phase_identity(challenge.phase_index), await market_now(session)
        await challenges.move(session, challenge, trigger, key=key, at=now)
        if trigger == "activation_due":
            await challenges.wake(session, challenge, activation_due(now))

    # breaches

    @activity.defn(name="challenges.record_breach")
    async def record_breach(self, fact: ChallengeFact) -> ChallengeStatus:
        async with self._db.transaction() as session:
            challenge = await challenges.lock(session, fact.challenge_id)
            outgrown = await broken_before(session, challenge, fact.subject_id)
        if outgrown:
            await provisioning.lock_account(self._deps, challenge.id, "outgrown")
        async with self._db.transaction() as session:
            challenge = await challenges.lock(session, fact.challenge_id)
            breach = await session.get(Breach, fact.subject_id)
            if breach is None or breach.status != "confirmed":
                return _status(challenge)
            if breach.account_id != challenge.account_id and not outgrown:
                return _status(challenge)
            if not CHALLENGE.allows(challenge.state, "breach_detected"):
                return _status(challenge)
            if breach.account_id != challenge.account_id:
                await go_back(session, challenge, breach)
            await challenges.end_account(session, challenge, "locked", breach.occurred_at)
            until = await challenges.dispute_until(session, challenge, breach)
            await challenges.wake(session, challenge, until)
            await signals.send_risk_changed(
                session, cause=keys.breach_message(breach.id), trader_ids=[challenge.trader_id]
            )
            await challenges.move(
                session,
                challenge,
                "breach_detected",
                key=keys.breach_message(breach.id),
                at=breach.occurred_at,
                detail={"breach_id": breach.id, "account_id": breach.account_id, "proof_id": breach.proof_id},
            )
            return _status(challenge)

    @activity.defn(name="challenges.reinstate_account")
    async def reinstate_account(self, fact: ChallengeFact) -> ChallengeStatus:
        async with self._db.transaction() as session:
            dispute = await session.get(Dispute, fact.subject_id)
            if dispute is None or dispute.challenge_id != fact.challenge_id:
                return _status(await challenges.lock(session, fact.challenge_id))
            case_id = await challenges.case_against(session, fact.challenge_id)
        account = None
        if case_id is None:
            account = await provisioning.reinstate_account(self._deps, fact)
        else:  # the breach is overturned, but a confirmed case closes the challenge
            await self._close(fact, because={"case_id": case_id})
        async with self._db.transaction() as session:
            challenge = await challenges.lock(session, fact.challenge_id)
            if account is not None and challenge.state == "breached":
                product, now = await challenges.terms(session, challenge), await market_now(session)
                await signals.send_risk_changed(session, cause=fact.key, trader_ids=[challenge.trader_id])
                await challenges.move(
                    session,
                    challenge,
                    trigger_of_reinstatement(account.phase_index, product.funded_index),
                    key=record_keys.reinstatement(fact.subject_id),
                    at=now,
                    detail={"account_id": account.id, "dispute_id": fact.subject_id},
                )
                due = await next_wake(session, challenge, account, product)
                await challenges.wake(session, challenge, due)
            reinstated = AccountReinstated(key=keys.reinstated_message(fact.subject_id))
            await messages.signal(session, dispute_workflow(fact.subject_id), reinstated)
            return _status(challenge)

    # deadlines

    @activity.defn(name="challenges.check_deadline")
    async def check_deadline(self, fact: ChallengeFact) -> ChallengeStatus:
        async with self._db.transaction() as session:
            challenge = await challenges.lock(session, fact.challenge_id)
        if challenge.state == CHALLENGE.initial:
            return await self.check_payment(fact)
        if challenge.state == "active":
            return await self._expire(fact)
        if challenge.state == "funded":
            return _status(await growth.grow(self._deps, fact))
        if challenge.state == "awaiting_activation":
            return await self._end_activation(fact)
        if challenge.state == "breached":
            return await self._close_window(fact)
        return _status(challenge)

    async def _end_activation(self, fact: ChallengeFact) -> ChallengeStatus:
        """Closes a challenge whose funded account was not ordered in time. An order that can still be paid is waited
        for."""
        async with self._db.transaction() as session:
            challenge = await challenges.lock(session, fact.challenge_id)
            due, now = activation_due(challenge.changed_at), await market_now(session)
            if challenge.state != "awaiting_activation":
                return _status(challenge)
            if now < due or await orders.is_ordered(session, challenge.id):
                await challenges.wake(session, challenge, due if now < due else payment_due(now))
                return _status(challenge)
            await challenges.wake(session, challenge, None)
            await challenges.move(session, challenge, "activation_expired", key="activation_expired", at=due)
            return _status(challenge)

    async def _expire(self, fact: ChallengeFact) -> ChallengeStatus:
        async with self._db.transaction() as session:
            challenge = await challenges.lock(session, fact.challenge_id)
            account = await challenges.account(session, challenge)
            if account is None or account.login is None:
                return _status(challenge)
            due = await deadline(session, challenge, account, await challenges.terms(session, challenge))
            if due is None or await market_now(session) < due:
                await challenges.wake(session, challenge, due)
                return _status(challenge)
            if await challenges.verdict_waits(session, account.id):
                return _status(challenge)  # judged in time; the signal is still to come
        at_platform = on_account(self._db, self._deps.platforms, account, account.login)
        await at_platform.lock(keys.account_lock(account.id, "expired"))
        balance = (
            await at_platform.platform.snapshot(account.login)
        ).balance_minor  # the lock has closed all positions
        async with self._db.transaction() as session:
            challenge = await challenges.lock(session, fact.challenge_id)
            if challenge.state == "active" and challenge.account_id == account.id:
                await self._end_by_time(session, challenge, account, due, balance)
            return _status(challenge)

    async def _end_by_time(
        self, session: AsyncSession, challenge: Challenge, account: Account, due: datetime, balance_minor: int
    ) -> None:
        """Ends the challenge, or orders its phase on a new account without a fee when the product allows a retake."""
        phase = (await challenges.terms(session, challenge)).phase(account.phase_index)
        breached = await challenges.confirmed_breach(session, account.id) is not None
        again = may_retake(phase, balance_minor, account.initial_minor, breached=breached)
        await challenges.end_account(session, challenge, "closed", due)
        await challenges.wake(session, challenge, None)
        detail = {"account_id": account.id, "phase_index": account.phase_index, "balance_minor": balance_minor}
        await challenges.move(
            session,
            challenge,
            "retake_granted" if again else "time_limit_reached",
            key=record_keys.phase_expired(account.id),
            at=due,
            detail=detail,
        )
        if again:  # the next account opens phase_index + 1
            challenge.phase_index = account.phase_index - 1

    async def _close_window(self, fact: ChallengeFact) -> ChallengeStatus:
        async with self._db.transaction() as session:
            challenge = await challenges.lock(session, fact.challenge_id)
            breach = await challenges.confirmed_breach(session, challenge.account_id or "")
            if challenge.state != "breached" or breach is None:
                return _status(challenge)
            dispute = await disputes.of_confirmed_breach(session, breach.account_id)
            until, now = await challenges.dispute_until(session, challenge, breach), await market_now(session)
            appeal_until = await dispute_reads.appeal_until(session, dispute) if dispute else None
            if breach_is_final(now, until, dispute.state if dispute else None, appeal_until):
                await challenges.wake(session, challenge, None)
                detail = {"breach_id": breach.id}
                await challenges.move(
                    session,
                    challenge,
                    "dispute_window_over",
                    key=record_keys.window_over(breach.id),
                    at=now,
                    detail=detail,
                )
            elif dispute is None or appeal_until is not None:
                await challenges.wake(session, challenge, appeal_until or until)
            return _status(challenge)

    # closed by the firm

    @activity.defn(name="challenges.close_account")
    async def close_account(self, fact: ChallengeFact) -> ChallengeStatus:
        """Closes the challenge only if the record says why, whatever the signal names: a case against it is confirmed,
        a payout that closes its account is paid, its phase was bought again, a closing of it is approved, or a
        chargeback is lost of a payment of the challenge that it goes on from."""
        async with self._db.transaction() as session:
            challenge = await challenges.lock(session, fact.challenge_id)
            case_id = await challenges.case_against(session, fact.challenge_id)
            payout_id = await closing.closed_by(session, challenge)
            chargeback_id = await chargebacks.lost_in_chain(session, challenge.id)
            replaced_by = await orders.replaced_by(session, challenge.id)
            agreed = await intervention_ends.approved(session, challenge.id, "close")
            reasons = {"case_id": case_id, "payout_id": payout_id, "replaced_by": replaced_by}
            reasons |= {"chargeback_id": chargeback_id, "intervention_id": agreed.id if agreed else None}
            because = await challenges.closes(session, challenge.id, reasons)
        return _status(challenge if because is None else await self._close(fact, because=because))

    async def _close(self, fact: ChallengeFact, *, because: dict[str, str]) -> Challenge:
        async with self._db.transaction() as session:
            challenge = await challenges.lock(session, fact.challenge_id)
            if not CHALLENGE.allows(challenge.state, "closed_by_firm"):
                await intervention_ends.lapse_closing(session, challenge)
                return challenge
        await provisioning.lock_account(self._deps, fact.challenge_id, "closed")
        async with self._db.transaction() as session:
            challenge = await challenges.lock(session, fact.challenge_id)
            if not CHALLENGE.allows(challenge.state, "closed_by_firm"):
                await intervention_ends.lapse_closing(session, challenge)
                return challenge
            now, key = await market_now(session), record_keys.challenge_closed(*because.values())
            await challenges.end_account(session, challenge, "closed", now)
            await challenges.wake(session, challenge, None)
            await signals.send_risk_changed(session, cause=fact.key, trader_ids=[challenge.trader_id])
            await challenges.move(session, challenge, "closed_by_firm", key=key, at=now, detail=because)
            await intervention_ends.settle_closing(session, challenge.id)
            return challenge

    # given anew by the firm

    @activity.defn(name="challenges.give_phase_anew")
    async def give_phase_anew(self, fact: ChallengeFact) -> ChallengeStatus:
        return _status(await anew.give(self._deps, fact))
