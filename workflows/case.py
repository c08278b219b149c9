"""A surveillance case: open until people decide it. Its hold on payouts is raised to admin and ends by date."""

import asyncio

from temporalio import workflow
from temporalio.common import VersioningBehavior

with workflow.unsafe.imports_passed_through():
    from contracts import cases
    from contracts.cases import CaseDecision, CaseRef
    from contracts.messages import CaseStart, DecisionRequest, DecisionResult, MarketTimeReached
    from domain.approvals import check_reason
    from domain.surveillance.casework import CASE, Verb
    from workflows.calls import ask, call, update_id


@workflow.defn(name="Case", versioning_behavior=VersioningBehavior.AUTO_UPGRADE)
class CaseWorkflow:
    """`_lock` makes updates and steps run one at a time."""

    @workflow.init
    def __init__(self, start: CaseStart) -> None:
        self._id = start.case_id
        self._state = CASE.initial
        self._woken = False
        self._lock = asyncio.Lock()

    @workflow.run
    async def run(self, start: CaseStart) -> str:
        async with self._lock:
            self._state = (await call(cases.read_status, CaseRef(case_id=self._id))).state
        while self._state not in CASE.terminal:
            await workflow.wait_condition(lambda: self._woken or self._state in CASE.terminal)
            if self._woken and self._state not in CASE.terminal:
                self._woken = False
                async with self._lock:
                    self._state = (await call(cases.check_hold, CaseRef(case_id=self._id))).state
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self._state

    @workflow.query
    def status(self) -> str:
        return self._state

    @workflow.signal
    def market_time_reached(self, _fact: MarketTimeReached) -> None:
        self._woken = True

    @workflow.update
    async def clear(self, request: DecisionRequest) -> DecisionResult:
        return await self._decide("clear", request)

    @workflow.update
    async def confirm(self, request: DecisionRequest) -> DecisionResult:
        return await self._decide("confirm", request)

    @workflow.update
    async def deduct(self, request: DecisionRequest) -> DecisionResult:
        return await self._decide("deduct", request)

    @workflow.update
    async def inconclusive(self, request: DecisionRequest) -> DecisionResult:
        return await self._decide("inconclusive", request)

    @workflow.update
    async def warn(self, request: DecisionRequest) -> DecisionResult:
        return await self._decide("warn", request)

    @workflow.update
    async def deny(self, request: DecisionRequest) -> DecisionResult:
        return await self._decide("deny", request)

    @clear.validator
    def _check_clear(self, request: DecisionRequest) -> None:
        check_reason(request.reason)

    @confirm.validator
    def _check_confirm(self, request: DecisionRequest) -> None:
        check_reason(request.reason)

    @deduct.validator
    def _check_deduct(self, request: DecisionRequest) -> None:
        check_reason(request.reason)

    @inconclusive.validator
    def _check_inconclusive(self, request: DecisionRequest) -> None:
        check_reason(request.reason)

    @warn.validator
    def _check_warn(self, request: DecisionRequest) -> None:
        check_reason(request.reason)

    @deny.validator
    def _check_deny(self, request: DecisionRequest) -> None:
        check_reason(request.reason)

    async def _decide(self, choice: Verb, request: DecisionRequest) -> DecisionResult:
        async with self._lock:
            decision = CaseDecision(case_id=self._id, choice=choice, request=request, update_id=update_id())
            result = await ask(cases.record_decision, decision)
            self._state = result.state
            return result
