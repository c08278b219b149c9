"""A purchased challenge, from the checkout to its end.

It waits for the payment, opens the account of each phase, and then for what happens to it: a breach, a pass, a date,
a chargeback, a decision. What each of these means where the challenge stands, an activity decides on the record;
this workflow sees to it that one thing happens at a time, that nothing is forgotten, and what comes next.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final

from temporalio import workflow

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
        PhasePassed,
        RefundRequest,
    )
    from domain.lifecycle import CHALLENGE, check_refundable
    from workflows.calls import ask, call, update_id

# Dates are wake-ups on the record; this timer only makes a lost one harmless.
_LOOK_AGAIN: Final = timedelta(days=1)
_KEYS_KEPT: Final = 500

_MONEY_BACK: Final = (steps.record_chargeback, steps.record_refund)

Step = Callable[[ChallengeFact], Awaitable[ChallengeStatus]]


@workflow.defn(name="Challenge")
class Challenge:
    @workflow.init
    def __init__(self, start: ChallengeStart) -> None:
        self._start = start
        self._id = start.challenge_id
        self._status = ChallengeStatus(state=start.state, phase_index=start.phase_index)
        self._seen = dict.fromkeys(start.seen)  # in order of arrival
        self._facts: deque[tuple[Step, ChallengeFact]] = deque()
        self._woken = False
        self._turn = asyncio.Lock()

    @workflow.run
    async def run(self, start: ChallengeStart) -> str:
        if self._status.state == CHALLENGE.initial:
            await self._take(steps.open_checkout, self._fact("checkout"))
        while self._facts or not self._over:
            if self._status.state == "provisioning":
                await self._provision_unless_money_went_back()
            else:
                await self._wait_and_act()
            if self._may_renew():
                await workflow.wait_condition(workflow.all_handlers_finished)
                if self._may_renew():
                    self._renew()
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self._status.state

    async def _provision_unless_money_went_back(self) -> None:
        """No phase opens on a fee that went back: such news comes before the next account."""
        waiting = next((heard for heard in self._facts if heard[0] in _MONEY_BACK), None)
        if waiting is not None and workflow.patched("money-back-before-provisioning"):
            self._facts.remove(waiting)
            await self._take(*waiting)
        else:
            await self._provision()

    async def _provision(self) -> None:
        """Open the next phase's account. That the phase has begun is recorded last."""
        async with self._turn:
            step = PhaseStep(challenge_id=self._id, phase_index=self._status.phase_index + 1)
            await call(steps.open_account, step)
            self._status = await call(steps.start_phase, step)

    async def _wait_and_act(self) -> None:
        try:
            await workflow.wait_condition(lambda: bool(self._facts) or self._woken or self._over, timeout=_LOOK_AGAIN)
        except TimeoutError:
            self._woken = True
        if self._facts:
            await self._take(*self._facts.popleft())
        elif self._woken:
            self._woken = False
            await self._take(steps.check_deadline, self._fact("time"))

    async def _take(self, step: Step, fact: ChallengeFact) -> None:
        async with self._turn:
            self._status = await call(step, fact)

    @property
    def _over(self) -> bool:
        return self._status.state in CHALLENGE.terminal

    def _may_renew(self) -> bool:
        """A new run begins with each phase, and when the history grows long; never with news unread."""
        here = (self._status.state, self._status.phase_index)
        next_phase = here[0] == "provisioning" and here[1] > 0 and here != (self._start.state, self._start.phase_index)
        wanted = next_phase or workflow.info().is_continue_as_new_suggested()
        return wanted and not self._facts and not self._woken and not self._over

    def _renew(self) -> None:
        workflow.continue_as_new(
            ChallengeStart(
                challenge_id=self._id,
                state=self._status.state,
                phase_index=self._status.phase_index,
                seen=tuple(self._seen)[-_KEYS_KEPT:],
            )
        )

    def _fact(self, key: str, subject_id: str = "") -> ChallengeFact:
        return ChallengeFact(challenge_id=self._id, key=key, subject_id=subject_id)

    def _heard(self, step: Step, key: str, subject_id: str = "") -> None:
        """Keep a fact for its turn; one that was heard before is not news."""
        if key not in self._seen:
            self._seen[key] = None
            self._facts.append((step, self._fact(key, subject_id)))

    @workflow.signal
    def payment_settled(self, fact: PaymentSettled) -> None:
        self._heard(steps.check_payment, fact.key, fact.checkout_id)

    @workflow.signal
    def payment_expired(self, fact: PaymentExpired) -> None:
        self._heard(steps.check_payment, fact.key, fact.checkout_id)

    @workflow.signal
    def chargeback_received(self, fact: ChargebackReceived) -> None:
        self._heard(steps.record_chargeback, fact.key, fact.checkout_id)

    @workflow.signal
    def fee_refunded(self, fact: FeeRefunded) -> None:
        self._heard(steps.record_refund, fact.key, fact.checkout_id)

    @workflow.signal
    def breach_detected(self, fact: BreachDetected) -> None:
        self._heard(steps.record_breach, fact.key, fact.breach_id)

    @workflow.signal
    def phase_passed(self, fact: PhasePassed) -> None:
        self._heard(steps.record_pass, fact.key, fact.pass_id)

    @workflow.signal
    def identity_decided(self, fact: IdentityDecided) -> None:
        self._heard(steps.record_identity, fact.key)

    @workflow.signal
    def breach_overturned(self, fact: BreachOverturned) -> None:
        self._heard(steps.reinstate_account, fact.key, fact.dispute_id)

    @workflow.signal
    def closed_by_firm(self, fact: ClosedByFirm) -> None:
        self._heard(steps.close_account, fact.key, fact.case_id)

    @workflow.signal
    def market_time_reached(self, _fact: MarketTimeReached) -> None:
        self._woken = True

    @workflow.update
    async def refund(self, request: RefundRequest) -> ChallengeStatus:
        """Give the fee back before the first trade, or a payment that was not the fee; waits its turn behind what is
        under way."""
        async with self._turn:
            step = RefundStep(challenge_id=self._id, request=request, update_id=update_id())
            self._status = await ask(steps.refund_fee, step)
            return self._status

    @refund.validator
    def _check_refund(self, request: RefundRequest) -> None:
        status = self._status
        # the record may say already that the first phase has begun: then it is for the activity to judge
        if (status.state, status.phase_index) != ("provisioning", 0):
            check_refundable(status.state, status.phase_index)

    @workflow.query
    def status(self) -> ChallengeStatus:
        return self._status
