"""The worker processes: settings -> adapters -> activities -> Worker. They wait for PostgreSQL and Temporal to start,
and finish running work on stop."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Final, TypeVar

import structlog
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from temporalio.client import Client
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from activities.cases import CaseActivities
from activities.challenges import ChallengeActivities
from activities.deps import Deps
from activities.disputes import DisputeActivities
from activities.monitoring import MonitorActivities
from activities.operations import OperationsActivities
from activities.payouts import PayoutActivities
from activities.surveillance import SurveillanceActivities
from cli.compose import dependencies, temporal
from contracts.ids import CORE_QUEUE, MONITOR_QUEUE
from domain.errors import Unavailable
from relay.drops import Drops
from settings import Settings
from store.db import Database
from workflows import WORKFLOWS
from workflows.message_guard import MessageGuard

_ACTIVITIES_AT_ONCE: Final = 24
_WORKFLOW_TASKS_AT_ONCE: Final = 24
_DRAIN: Final = timedelta(seconds=10)
_PAUSES: Final = (0.5, 1.0, 2.0, 5.0)

_log = structlog.get_logger("worker")
T = TypeVar("T")


def core_activities(deps: Deps) -> list[Callable[..., Awaitable[object]]]:
    """Returns every activity of the task queue `core`."""
    groups = (
        CaseActivities,
        ChallengeActivities,
        DisputeActivities,
        OperationsActivities,
        PayoutActivities,
        SurveillanceActivities,
    )
    return [activity for group in groups for activity in group(deps).all()]


def workflow_runner() -> SandboxedWorkflowRunner:
    """Returns the workflow sandbox. The pure modules that all workflows share are loaded only once."""
    shared = SandboxRestrictions.default.with_passthrough_modules("domain", "contracts", "pydantic", "pydantic_core")
    return SandboxedWorkflowRunner(restrictions=shared)


def core_worker(
    client: Client,
    activities: Sequence[Callable[..., Awaitable[object]]],
    drops: Drops,
    *,
    max_cached_workflows: int = 1000,
) -> Worker:
    """Returns the worker of the task queue `core`. `client` must be connected with `drops.note`."""
    return Worker(
        client,
        task_queue=CORE_QUEUE,
        workflows=list(WORKFLOWS),
        activities=activities,
        workflow_runner=workflow_runner(),
        interceptors=[MessageGuard(drops.note)],
        max_cached_workflows=max_cached_workflows,
        max_concurrent_activities=_ACTIVITIES_AT_ONCE,
        max_concurrent_workflow_tasks=_WORKFLOW_TASKS_AT_ONCE if max_cached_workflows else None,
        graceful_shutdown_timeout=_DRAIN,
    )


async def run_worker(settings: Settings, stop: asyncio.Event) -> None:
    """Runs the task queue `core` until `stop`. Running activities then get ten seconds to finish."""
    drops = Drops()
    async with dependencies(settings, pool_size=_ACTIVITIES_AT_ONCE) as deps:
        client = await _connect_when_ready(settings, deps.db, lambda: temporal(settings, drops.note), stop)
        if client is None:
            return
        async with core_worker(client, core_activities(deps), drops):
            _log.info("working", task_queue=CORE_QUEUE)
            await drops.run(deps.db, stop)


async def run_monitor(settings: Settings, stop: asyncio.Event) -> None:
    """Judges the shards that Temporal assigns to this process until `stop`. Each shard then writes a last
    checkpoint."""
    async with dependencies(settings, pool_size=2) as deps:
        client = await _connect_when_ready(settings, deps.db, lambda: temporal(settings), stop)
        if client is None:
            return
        worker = Worker(
            client,
            task_queue=MONITOR_QUEUE,
            activities=MonitorActivities(deps).all(),
            max_concurrent_activities=settings.monitor_slots,
            max_heartbeat_throttle_interval=timedelta(seconds=1),
            graceful_shutdown_timeout=_DRAIN,
        )
        async with worker:
            _log.info("working", task_queue=MONITOR_QUEUE)
            await stop.wait()


async def _connect_when_ready(
    settings: Settings, db: Database, connected: Callable[[], Awaitable[T]], stop: asyncio.Event
) -> T | None:
    """Waits for PostgreSQL, then connects to Temporal. Returns the connection, or None when `stop` came first."""

    async def postgres() -> None:
        async with db.transaction() as session:
            await session.execute(text("SELECT 1"))

    await _retry("PostgreSQL", postgres, stop)
    return await _retry(f"Temporal at {settings.temporal_address}", connected, stop)


async def _retry(target: str, attempt: Callable[[], Awaitable[T]], stop: asyncio.Event) -> T | None:
    """Repeats `attempt` until it succeeds; None when `stop` came first. Logs once that it waits for `target`."""
    logged = False
    pauses: Sequence[float] = _PAUSES
    while not stop.is_set():
        try:
            return await attempt()
        except (Unavailable, OperationalError, OSError) as error:
            if not logged:
                _log.warning(f"waiting for {target}", error=str(error).splitlines()[0])
                logged = True
        pause, pauses = pauses[0], pauses[1:] or pauses
        try:
            async with asyncio.timeout(pause):
                await stop.wait()
        except TimeoutError:
            continue
    return None
