"""Payout and case activities that say what a script says, so that every way through those workflows can be recorded."""

from collections import deque
from collections.abc import Awaitable, Callable, Sequence

from temporalio import activity

from contracts.cases import CaseDecision, CaseRef, CaseStatus
from contracts.messages import DecisionResult
from contracts.payouts import PayoutDecision, PayoutRef, PayoutStatus


class Script:
    """Each activity answers with the next state of `states`, whichever is called."""

    def __init__(self, *states: str) -> None:
        self._states = deque(states)

    def all(self) -> Sequence[Callable[..., Awaitable[object]]]:
        return [
            self.place_hold,
            self.check_risk,
            self.record_decision,
            self.send_money,
            self.follow_transfer,
            self.settle,
            self.release_hold,
            self.stand,
            self.record_case_decision,
        ]

    def _next(self) -> PayoutStatus:
        return PayoutStatus(state=self._states.popleft())

    @activity.defn(name="payouts.place_hold")
    async def place_hold(self, ref: PayoutRef) -> PayoutStatus:
        return self._next()

    @activity.defn(name="payouts.check_risk")
    async def check_risk(self, ref: PayoutRef) -> PayoutStatus:
        return self._next()

    @activity.defn(name="payouts.record_decision")
    async def record_decision(self, decision: PayoutDecision) -> DecisionResult:
        return DecisionResult(subject_id=decision.payout_id, state=self._states.popleft(), decision=decision.choice)

    @activity.defn(name="payouts.send_money")
    async def send_money(self, ref: PayoutRef) -> PayoutStatus:
        return self._next()

    @activity.defn(name="payouts.follow_transfer")
    async def follow_transfer(self, ref: PayoutRef) -> PayoutStatus:
        return self._next()

    @activity.defn(name="payouts.settle")
    async def settle(self, ref: PayoutRef) -> PayoutStatus:
        return self._next()

    @activity.defn(name="payouts.release_hold")
    async def release_hold(self, ref: PayoutRef) -> PayoutStatus:
        return self._next()

    @activity.defn(name="cases.stand")
    async def stand(self, ref: CaseRef) -> CaseStatus:
        return CaseStatus(state=self._states.popleft())

    @activity.defn(name="cases.record_decision")
    async def record_case_decision(self, decision: CaseDecision) -> DecisionResult:
        return DecisionResult(subject_id=decision.case_id, state=self._states.popleft(), decision=decision.choice)
