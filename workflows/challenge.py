"""A purchased challenge, from the checkout to its end.

The workflow waits for the payment, opens the account of each phase, then waits for facts: a breach, a pass, a date, a
chargeback, a decision. Activities decide on the record what a fact means in the current state. The workflow runs one
step at a time, keeps facts that arrive in between, and opens the next phase.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Final

from temporalio import workflow
from temporalio.common import VersioningBehavior

with workflow.unsafe.imports_passed_through():
    from contracts import challenges as steps
    from contracts.challenges import ChallengeFact, ChallengeStatus, PhaseStep, RefundStep
    from contracts.messages import (
        BreachDetected,
        BreachOverturned,
        ChallengeStart,
        ChargebackReceived,
        ClosedByFirm,
        FeeRefunded,
        IdentityDecided,
        MarketTimeReached,
        PaymentExpired,
        PaymentSettled,
        PhaseGivenAnew,
        PhasePassed,
        RefundRequest,
    )
    from domain.lifecycle import CHALLENGE, check_refundable
    from workflows.calls import ask, call, update_id

# Wake-ups on the record signal due dates. This timer only covers a lost wake-up.
_CHECK_INTERVAL: Final = timedelta(days=1)
_KEYS_KEPT: Final = 500

_MONEY_BACK: Final = (steps.record_chargeback, steps.record_refund)

Step = Callable[[ChallengeFact], Awaitable[ChallengeStatus]]


@workflow.defn(name="Challenge", versioning_behavior=VersioningBehavior.AUTO_UPGRADE)
class ChallengeWorkflow:
    @workflow.init
    def __init__(self, start: ChallengeStart) -> None:
        self._start = start
        self._id = start.challenge_id
        self._status = ChallengeStatus(state=start.state, phase_index=start.phase_index)
        self._known_keys = dict.fromkeys(start.seen)  # in order of arrival
        self._facts: deque[tuple[Step, ChallengeFact]] = deque()
        self._woken = False
        self._lock = asyncio.Lock()

    @workflow.run
    async def run(self, start: ChallengeStart) -> str:
        if self._status.state == CHALLENGE.initial:
            await self._run_step(steps.open_checkout, self._fact("checkout"))
        while self._facts or not self._is_over:
            if self._status.state == "provisioning":
                await self._provision_unless_money_went_back()
            else:
                await self._wait_and_act()
            if self._may_continue_as_new():
                await workflow.wait_condition(workflow.all_handlers_finished)
                if self._may_continue_as_new():
                    self._continue_as_new()
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self._status.state

    async def _provision_unless_money_went_back(self) -> None:
        """Open the next account, but first run a waiting refund or chargeback: no phase opens on a returned fee."""
        waiting = next((queued for queued in self._facts if queued[0] in _MONEY_BACK), None)
        if waiting is not None and workflow.patched("money-back-before-provisioning"):
            self._facts.remove(waiting)
            await self._run_step(*waiting)
        else:
            await self._provision()

    async def _provision(self) -> None:
        """Open the account of the next phase. The start of the phase is recorded last."""
        async with self._lock:
            step = PhaseStep(challenge_id=self._id, phase_index=self._status.phase_index + 1)
            await call(steps.open_account, step)
            self._status = await call(steps.start_phase, step)
        if self._status.state == "provisioning" and workflow.patched("platform-refusals"):
            await self._wait_to_try_again()

    async def _wait_to_try_again(self) -> None:
        """The platform refused the account, and a person looks at it. A returned fee ends the challenge meanwhile."""
        with suppress(TimeoutError):
            await workflow.wait_condition(
                lambda: self._woken or any(step in _MONEY_BACK for step, _ in self._facts), timeout=_CHECK_INTERVAL
            )
        self._woken = False

    async def _wait_and_act(self) -> None:
        try:
            await workflow.wait_condition(
                lambda: bool(self._facts) or self._woken or self._is_over, timeout=_CHECK_INTERVAL
            )
        except TimeoutError:
            self._woken = True
        if self._facts:
            await self._run_step(*self._facts.popleft())
        elif self._woken:
            self._woken = False
            await self._run_step(steps.check_deadline, self._fact("time"))

    async def _run_step(self, step: Step, fact: ChallengeFact) -> None:
        async with self._lock:
            self._status = await call(step, fact)

    @property
    def _is_over(self) -> bool:
        return self._status.state in CHALLENGE.terminal

    def _may_continue_as_new(self) -> bool:
        """Returns whether to start a new run: at each phase and for a long history, but never with facts waiting."""
        here = (self._status.state, self._status.phase_index)
        next_phase = here[0] == "provisioning" and here[1] > 0 and here != (self._start.state, self._start.phase_index)
        wanted = next_phase or workflow.info().is_continue_as_new_suggested()
        return wanted and not self._facts and not self._woken and not self._is_over

    def _continue_as_new(self) -> None:
        workflow.continue_as_new(
            ChallengeStart(
                challenge_id=self._id,
                state=self._status.state,
                phase_index=self._status.phase_index,
                seen=tuple(self._known_keys)[-_KEYS_KEPT:],
            )
        )

    def _fact(self, key: str, subject_id: str = "") -> ChallengeFact:
        return ChallengeFact(challenge_id=self._id, key=key, subject_id=subject_id)

    def _queue_fact(self, step: Step, key: str, subject_id: str = "") -> None:
        """Queue a fact. A fact with a known key is ignored."""
        if key not in self._known_keys:
            self._known_keys[key] = None
            self._facts.append((step, self._fact(key, subject_id)))

    @workflow.signal
    def payment_settled(self, fact: PaymentSettled) -> None:
        self._queue_fact(steps.check_payment, fact.key, fact.checkout_id)

    @workflow.signal
    def payment_expired(self, fact: PaymentExpired) -> None:
        self._queue_fact(steps.check_payment, fact.key, fact.checkout_id)

    @workflow.signal
    def chargeback_received(self, fact: ChargebackReceived) -> None:
        self._queue_fact(steps.record_chargeback, fact.key, fact.checkout_id)

    @workflow.signal
    def fee_refunded(self, fact: FeeRefunded) -> None:
        self._queue_fact(steps.record_refund, fact.key, fact.checkout_id)

    @workflow.signal
    def breach_detected(self, fact: BreachDetected) -> None:
        self._queue_fact(steps.record_breach, fact.key, fact.breach_id)

    @workflow.signal
    def phase_passed(self, fact: PhasePassed) -> None:
        self._queue_fact(steps.record_pass, fact.key, fact.pass_id)

    @workflow.signal
    def identity_decided(self, fact: IdentityDecided) -> None:
        self._queue_fact(steps.record_identity, fact.key)

    @workflow.signal
    def breach_overturned(self, fact: BreachOverturned) -> None:
        self._queue_fact(steps.reinstate_account, fact.key, fact.dispute_id)

    @workflow.signal
    def closed_by_firm(self, fact: ClosedByFirm) -> None:
        self._queue_fact(steps.close_account, fact.key, fact.case_id)

    @workflow.signal
    def phase_given_anew(self, fact: PhaseGivenAnew) -> None:
        self._queue_fact(steps.give_phase_anew, fact.key, fact.intervention_id)

    @workflow.signal
    def market_time_reached(self, _fact: MarketTimeReached) -> None:
        self._woken = True

    @workflow.update
    async def refund(self, request: RefundRequest) -> ChallengeStatus:
        """Refund the fee before the first trade, or a payment that was not the fee. Runs after the current step."""
        async with self._lock:
            step = RefundStep(challenge_id=self._id, request=request, update_id=update_id())
            self._status = await ask(steps.refund_fee, step)
            return self._status

    @refund.validator
    def _check_refund(self, request: RefundRequest) -> None:
        status = self._status
        if request.amount_minor is not None:  # the activity knows what is left of the payment
            return
        # the first phase may have begun on the record already: the activity decides then
        if (status.state, status.phase_index) != ("provisioning", 0):
            check_refundable(status.state, status.phase_index)

    @workflow.query
    def status(self) -> ChallengeStatus:
        return self._status
