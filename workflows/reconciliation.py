"""Reconciliation: matches provider entries to ledger transactions each market day and on request."""

import asyncio
from datetime import timedelta
from typing import Final

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from contracts import operations
    from contracts.messages import MarketTimeReached, ReconciliationStart
    from contracts.operations import ReconcileRequest, ReconciliationReport
    from workflows.calls import ask, call

_CHECK_INTERVAL: Final = timedelta(minutes=5)  # people see a count of unreconciled entries that is at most this old


@workflow.defn(name="Reconciliation")
class ReconciliationWorkflow:
    @workflow.init
    def __init__(self, start: ReconciliationStart) -> None:
        self._start = start
        self._woken = False
        self._lock = asyncio.Lock()

    @workflow.run
    async def run(self, start: ReconciliationStart) -> None:
        while not workflow.info().is_continue_as_new_suggested():
            self._woken = False
            async with self._lock:
                report = await call(operations.reconcile, self._start)
            self._start = ReconciliationStart(after=report.after)
            try:
                await workflow.wait_condition(lambda: self._woken, timeout=_CHECK_INTERVAL)
            except TimeoutError:
                continue
        await workflow.wait_condition(workflow.all_handlers_finished)
        workflow.continue_as_new(self._start)

    @workflow.signal
    def market_time_reached(self, message: MarketTimeReached) -> None:
        self._woken = True

    @workflow.update
    async def reconcile(self, request: ReconcileRequest) -> ReconciliationReport:
        async with self._lock:
            return await ask(operations.reconcile, self._start)
