"""The workflows that always run: they do one round after another, when woken, asked, or after a while."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from temporalio import activity
from temporalio.client import Client, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

from contracts.messages import DailyCloseStart, MarketTimeReached, ReconciliationStart, SurveillanceStart
from contracts.operations import (
    ComparisonReport,
    ComparisonRequest,
    DailyCloseReport,
    ReconcileRequest,
    ReconciliationReport,
    RoundEnd,
    SourceNames,
    SourceRead,
    SourceRef,
)
from relay.temporal import connect
from tests import servers
from tests.challenge_world import KEYS
from tests.payout_world import START
from worker import workflow_runner
from workflows.daily_close import DailyCloseWorkflow
from workflows.reconciliation import ReconciliationWorkflow
from workflows.surveillance import SurveillanceWorkflow


@asynccontextmanager
async def running(
    address: str, workflow: type, start: object, activities: Sequence[Callable[..., Any]]
) -> AsyncIterator[WorkflowHandle[Any, Any]]:
    client: Client = await connect(address, servers.NAMESPACE, KEYS)
    queue = f"queue-{uuid.uuid4()}"
    async with Worker(
        client, task_queue=queue, workflows=[workflow], activities=activities, workflow_runner=workflow_runner()
    ):
        await client.start_workflow(workflow.__name__.removesuffix("Workflow"), start, id=queue, task_queue=queue)
        handle = client.get_workflow_handle(queue)  # follows the run that is current, each continue-as-new included
        yield handle
        await handle.terminate()


async def reaches(count: int, calls: Sequence[object]) -> None:
    async with asyncio.timeout(20):
        while len(calls) < count:
            await asyncio.sleep(0.02)


async def test_the_daily_close_goes_on_where_it_was_and_waits_for_the_next_reset(temporal_address: str) -> None:
    calls: list[DailyCloseStart] = []

    @activity.defn(name="operations.check_daily_close")
    async def check(start: DailyCloseStart) -> DailyCloseReport:
        calls.append(start)
        day = START + timedelta(days=len(calls))
        return DailyCloseReport(after=day, closed=1, missing=0, caught_up=len(calls) > 1, feed_running=True)

    start = DailyCloseStart(clock_group="UTC@00:30", zone="UTC", reset="00:30")
    async with running(temporal_address, DailyCloseWorkflow, start, [check]) as handle:
        await reaches(2, calls)
        assert [call.after for call in calls] == [None, START + timedelta(days=1)]
        await asyncio.sleep(0.3)
        assert len(calls) == 2, "nothing is due"
        await handle.signal("market_time_reached", MarketTimeReached(key="due"))
        await reaches(3, calls)


async def test_reconciliation_runs_at_once_when_woken_and_when_asked_and_a_source_that_fails_blocks_no_other(
    temporal_address: str,
) -> None:
    calls: list[RoundEnd] = []

    @activity.defn(name="reconciliation.sources")
    async def sources(start: ReconciliationStart) -> SourceNames:
        return SourceNames(sources=("bank", "stripe"), platforms=("venue",))

    @activity.defn(name="reconciliation.read_source")
    async def read_source(ref: SourceRef) -> SourceRead:
        if ref.name == "bank":
            raise ApplicationError("closed today", type="unavailable", non_retryable=True)
        return SourceRead(entries=3, tied=2)

    @activity.defn(name="reconciliation.read_platform")
    async def read_platform(ref: SourceRef) -> SourceRead:
        return SourceRead(entries=100, tied=0)

    @activity.defn(name="reconciliation.finish")
    async def finish(end: RoundEnd) -> ReconciliationReport:
        calls.append(end)
        return ReconciliationReport(after=START, entries=end.entries, tied=end.tied, unreconciled=len(calls))

    @activity.defn(name="reconciliation.compare_platform")
    async def compare_platform(asked: ComparisonRequest) -> ComparisonReport:
        if asked.platform != "venue":
            raise ApplicationError("There is no such platform.", type="not-configured", non_retryable=True)
        values: dict[str, Any] = {"ended_at": START, "breaks": {"venue_still_trades": 1}, "suspected": 0}
        return ComparisonReport(platform=asked.platform, compared=7, **values)

    activities: list[Callable[..., Any]] = [sources, read_source, read_platform, compare_platform, finish]
    async with running(temporal_address, ReconciliationWorkflow, ReconciliationStart(), activities) as handle:
        await reaches(1, calls)
        await handle.signal("market_time_reached", MarketTimeReached(key="due"))
        await reaches(2, calls)
        asked = await handle.execute_update("reconcile", ReconcileRequest(key="k"), result_type=ReconciliationReport)
        assert (asked.unreconciled, asked.entries, asked.tied) == (3, 3, 2)
        request = ComparisonRequest(key="k2", platform="venue")
        compared = await handle.execute_update("compare_platform", request, result_type=ComparisonReport)
        assert (compared.compared, compared.breaks) == (7, {"venue_still_trades": 1})
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await handle.execute_update("compare_platform", request.model_copy(update={"platform": "other"}))
        assert "There is no such platform." in str(refused.value.cause)
    assert [call.failed for call in calls] == [{"bank": "unavailable"}] * 3


async def test_surveillance_follows_again_when_it_fell_or_ended(temporal_address: str) -> None:
    calls: list[SurveillanceStart] = []

    @activity.defn(name="surveillance.follow_deals")
    async def follow(start: SurveillanceStart) -> None:
        calls.append(start)
        if len(calls) == 1:
            raise ApplicationError("the cursor moved")
        if len(calls) > 2:
            while True:
                await asyncio.sleep(0.05)
                activity.heartbeat()

    async with running(temporal_address, SurveillanceWorkflow, SurveillanceStart(), [follow]):
        await reaches(3, calls)
    assert {call.detector for call in calls} == {"copy_trading"}
