"""A surveillance case: open until a person clears it or confirms the abuse."""

import asyncio
from typing import Literal

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from contracts import cases
    from contracts.cases import CaseDecision, CaseRef
    from contracts.messages import CaseStart, DecisionRequest, DecisionResult
    from domain.approvals import check_reason
    from domain.disputes import CASE
    from workflows.calls import ask, call, update_id


@workflow.defn(name="Case")
class CaseWorkflow:
    """`_lock` makes updates and steps run one at a time."""

    @workflow.init
    def __init__(self, start: CaseStart) -> None:
        self._id = start.case_id
        self._state = CASE.initial
        self._lock = asyncio.Lock()

    @workflow.run
    async def run(self, start: CaseStart) -> str:
        async with self._lock:
            self._state = (await call(cases.read_status, CaseRef(case_id=self._id))).state
        await workflow.wait_condition(lambda: self._state in CASE.terminal)
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self._state

    @workflow.query
    def status(self) -> str:
        return self._state

    @workflow.update
    async def clear(self, request: DecisionRequest) -> DecisionResult:
        return await self._decide("clear", request)

    @workflow.update
    async def confirm(self, request: DecisionRequest) -> DecisionResult:
        return await self._decide("confirm", request)

    @clear.validator
    def _check_clear(self, request: DecisionRequest) -> None:
        check_reason(request.reason)

    @confirm.validator
    def _check_confirm(self, request: DecisionRequest) -> None:
        check_reason(request.reason)

    async def _decide(self, choice: Literal["clear", "confirm"], request: DecisionRequest) -> DecisionResult:
        async with self._lock:
            decision = CaseDecision(case_id=self._id, choice=choice, request=request, update_id=update_id())
            result = await ask(cases.record_decision, decision)
            self._state = result.state
            return result
