"""Reconciliation: holds the books and every statement source and platform together, each market day and on request."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final

from temporalio import workflow
from temporalio.common import RetryPolicy, VersioningBehavior
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from contracts import operations
    from contracts.messages import MarketTimeReached, ReconciliationStart
    from contracts.operations import (
        ComparisonReport,
        ComparisonRequest,
        ReconcileRequest,
        ReconciliationReport,
        RoundEnd,
        SourceRead,
        SourceRef,
    )
    from workflows.calls import Arg, Result, ask, call

_CHECK_INTERVAL: Final = timedelta(minutes=5)  # people see a count of unreconciled entries that is at most this old
_LONGEST_READ: Final = timedelta(hours=2)
_LONGEST_SILENCE: Final = timedelta(minutes=10)  # a source may pass over all it has at the first read
_RETRY: Final = RetryPolicy(
    initial_interval=timedelta(milliseconds=500), maximum_interval=timedelta(seconds=10), maximum_attempts=4
)
_EACH_SOURCE: Final = "each-source-by-itself"


@workflow.defn(name="Reconciliation", versioning_behavior=VersioningBehavior.AUTO_UPGRADE)
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
                report = await self._round(call)
            self._start = ReconciliationStart(after=report.after)
            try:
                await workflow.wait_condition(lambda: self._woken, timeout=_CHECK_INTERVAL)
            except TimeoutError:
                continue
        await workflow.wait_condition(workflow.all_handlers_finished)
        workflow.continue_as_new(self._start)

    async def _round(self, calling: Callable[..., Awaitable[ReconciliationReport]]) -> ReconciliationReport:
        """Reads every source and platform by itself: the failure of one keeps no other from its reconciliation."""
        if not workflow.patched(_EACH_SOURCE):
            return await calling(operations.reconcile, self._start)
        names = await call(operations.sources, self._start)
        failed: dict[str, str] = {}
        of_sources = [_read(operations.read_source, name, failed) for name in names.sources]
        of_platforms = [_read(operations.read_platform, name, failed) for name in names.platforms]
        read = (await asyncio.gather(*of_sources, *of_platforms))[: len(names.sources)]
        end = RoundEnd(entries=sum(each.entries for each in read), tied=sum(each.tied for each in read), failed=failed)
        return await calling(operations.finish, end)

    @workflow.signal
    def market_time_reached(self, message: MarketTimeReached) -> None:
        self._woken = True

    @workflow.update
    async def reconcile(self, request: ReconcileRequest) -> ReconciliationReport:
        async with self._lock:
            return await self._round(ask)

    @workflow.update
    async def compare_platform(self, request: ComparisonRequest) -> ComparisonReport:
        """Waits for the round that runs."""
        async with self._lock:
            try:
                return await _long(operations.compare_platform, request)
            except ActivityError as error:
                if isinstance(error.cause, ApplicationError):
                    raise error.cause from None
                raise


async def _read(stub: Callable[[SourceRef], Awaitable[SourceRead]], name: str, failed: dict[str, str]) -> SourceRead:
    """Reads one of them. After several attempts the round goes on without it, and the next round reads it again."""
    try:
        return await _long(stub, SourceRef(name=name))
    except ActivityError as error:
        cause = error.cause
        failed[name] = (cause.type or "error") if isinstance(cause, ApplicationError) else type(cause).__name__
        return SourceRead(entries=0, tied=0)


async def _long(stub: Callable[[Arg], Awaitable[Result]], arg: Arg) -> Result:
    """Runs an activity that reads for a long time, with heartbeats."""
    return await workflow.execute_activity(
        stub,
        arg,
        start_to_close_timeout=_LONGEST_READ,
        heartbeat_timeout=_LONGEST_SILENCE,
        retry_policy=_RETRY,
    )
