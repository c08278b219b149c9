"""Activities of payouts, cases and changes of platform that say what a script says, so that every way through those
workflows can be recorded."""

from collections import deque
from collections.abc import Awaitable, Callable, Sequence

from temporalio import activity

from contracts.cases import CaseDecision, CaseRef, CaseStatus
from contracts.messages import DecisionResult, PlatformChangeStart
from contracts.payouts import PayoutDecision, PayoutRef, PayoutStatus
from contracts.platform_changes import PlatformChangeStatus


class Script:
    """Each activity answers with the next state of `states`, whichever is called."""

    def __init__(self, *states: str) -> None:
        self._states = deque(states)

    def all(self) -> Sequence[Callable[..., Awaitable[object]]]:
        return [
            self.place_hold,
            self.hold_and_judge,
            self.follow_and_settle,
            self.check_risk,
            self.record_decision,
            self.send_money,
            self.follow_transfer,
            self.settle,
            self.release_hold,
            self.stand,
            self.check_hold,
            self.record_case_decision,
            self.take_step,
        ]

    def _next(self) -> PayoutStatus:
        return PayoutStatus(state=self._states.popleft())

    @activity.defn(name="payouts.place_hold")
    async def place_hold(self, ref: PayoutRef) -> PayoutStatus:
        return self._next()

    @activity.defn(name="payouts.hold_and_judge")
    async def hold_and_judge(self, ref: PayoutRef) -> PayoutStatus:
        return self._next()

    @activity.defn(name="payouts.follow_and_settle")
    async def follow_and_settle(self, ref: PayoutRef) -> PayoutStatus:
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

    @activity.defn(name="cases.check_hold")
    async def check_hold(self, ref: CaseRef) -> CaseStatus:
        return CaseStatus(state=self._states.popleft())

    @activity.defn(name="cases.record_decision")
    async def record_case_decision(self, decision: CaseDecision) -> DecisionResult:
        return DecisionResult(subject_id=decision.case_id, state=self._states.popleft(), decision=decision.choice)

    @activity.defn(name="platform_changes.take_step")
    async def take_step(self, start: PlatformChangeStart) -> PlatformChangeStatus:
        return PlatformChangeStatus(state=self._states.popleft())
