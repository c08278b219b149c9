"""A dispute of a breach: evidence is assembled, people decide, the challenge reinstates the account."""

from datetime import timedelta
from typing import Final

from temporalio import workflow
from temporalio.common import VersioningBehavior

with workflow.unsafe.imports_passed_through():
    from contracts import disputes as steps
    from contracts.disputes import DisputeDecision, DisputeStep
    from contracts.messages import (
        AccountReinstated,
        DecisionRequest,
        DecisionResult,
        DisputeStart,
        MarketTimeReached,
    )
    from domain.approvals import check_reason
    from domain.disputes import DISPUTE
    from workflows.calls import ask, call, update_id

# The challenge signals that it has reinstated the account. A challenge that ended otherwise sends no signal.
_CHECK_INTERVAL: Final = timedelta(hours=1)
# A wake-up on the record signals the deadline. This timer only covers a lost wake-up.
_DEADLINE_INTERVAL: Final = timedelta(days=1)


@workflow.defn(name="Dispute", versioning_behavior=VersioningBehavior.PINNED)
class DisputeWorkflow:
    @workflow.init
    def __init__(self, start: DisputeStart) -> None:
        self._id = start.dispute_id
        self._state = DISPUTE.initial
        self._challenge_done = False
        self._woken = False

    @workflow.run
    async def run(self, start: DisputeStart) -> str:
        self._state = (await call(steps.assemble_evidence, start)).state
        if workflow.patched("dispute-deadlines"):
            await self._wait_for_decision(start)
        else:
            await workflow.wait_condition(lambda: self._state != "awaiting_decision")
        while self._state == "reinstating":
            await self._wait_for_challenge()
            self._challenge_done = False
            self._state = (await call(steps.record_reinstatement, start)).state
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self._state

    async def _wait_for_decision(self, start: DisputeStart) -> None:
        """Wait for people. A deadline that passes raises the dispute to admin and decides nothing."""
        while self._state == "awaiting_decision":
            try:
                await workflow.wait_condition(
                    lambda: self._woken or self._state != "awaiting_decision", timeout=_DEADLINE_INTERVAL
                )
            except TimeoutError:
                self._woken = True
            if self._state == "awaiting_decision":
                self._woken = False
                await call(steps.check_deadline, start)

    async def _wait_for_challenge(self) -> None:
        try:
            await workflow.wait_condition(lambda: self._challenge_done, timeout=_CHECK_INTERVAL)
        except TimeoutError:
            return

    @workflow.signal
    def account_reinstated(self, _fact: AccountReinstated) -> None:
        self._challenge_done = True

    @workflow.signal
    def market_time_reached(self, _fact: MarketTimeReached) -> None:
        self._woken = True

    @workflow.update
    async def uphold(self, request: DecisionRequest) -> DecisionResult:
        return await self._decide("uphold", request)

    @workflow.update
    async def reinstate(self, request: DecisionRequest) -> DecisionResult:
        return await self._decide("reinstate", request)

    @uphold.validator
    def _check_uphold(self, request: DecisionRequest) -> None:
        check_reason(request.reason)

    @reinstate.validator
    def _check_reinstate(self, request: DecisionRequest) -> None:
        check_reason(request.reason)

    async def _decide(self, decision: DisputeDecision, request: DecisionRequest) -> DecisionResult:
        """Record the decision. The record decides who was first; the state here may lag by one step."""
        await workflow.wait_condition(lambda: self._state != DISPUTE.initial)
        step = DisputeStep(dispute_id=self._id, decision=decision, request=request, update_id=update_id())
        result = await ask(steps.record_decision, step)
        self._state = result.state
        return result

    @workflow.query
    def status(self) -> str:
        return self._state
