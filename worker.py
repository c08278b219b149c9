"""The worker process: settings -> adapters -> activities -> Worker. It waits for PostgreSQL and Temporal to start, and
finishes running work on stop."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Final

import structlog
from temporalio.client import Client
from temporalio.common import WorkerDeploymentVersion
from temporalio.worker import Worker, WorkerDeploymentConfig
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from activities.cases import CaseActivities
from activities.challenges import ChallengeActivities
from activities.chargebacks import ChargebackActivities
from activities.deps import Deps
from activities.disputes import DisputeActivities
from activities.operations import OperationsActivities
from activities.payouts import PayoutActivities
from activities.platform_changes import PlatformChangeActivities
from activities.reconciliation import ReconciliationActivities
from activities.surveillance import SurveillanceActivities
from activities.surveillance_windows import SurveillanceWindowActivities
from cli.build import build_of
from cli.compose import dependencies
from cli.run.waiting import connect_when_ready
from contracts.ids import CORE_QUEUE, DEPLOYMENT, UNVERSIONED
from relay.drops import Drops
from settings import Settings
from workflows.message_guard import MessageGuard
from workflows.registry import WORKFLOWS
from workflows.unversioned import UnversionedRunner

_ACTIVITIES_AT_ONCE: Final = 24
_WORKFLOW_TASKS_AT_ONCE: Final = 24
_DRAIN: Final = timedelta(seconds=10)

_log = structlog.get_logger("worker")


def core_activities(deps: Deps) -> list[Callable[..., Awaitable[object]]]:
    """Returns every activity of the task queue `core`."""
    groups = (
        CaseActivities,
        ChallengeActivities,
        ChargebackActivities,
        DisputeActivities,
        OperationsActivities,
        ReconciliationActivities,
        PayoutActivities,
        PlatformChangeActivities,
        SurveillanceActivities,
        SurveillanceWindowActivities,
    )
    return [activity for group in groups for activity in group(deps).all()]


def workflow_runner(*, versioned: bool = False) -> SandboxedWorkflowRunner:
    """Returns the workflow sandbox. The pure modules that all workflows share are loaded only once."""
    shared = SandboxRestrictions.default.with_passthrough_modules("domain", "contracts", "pydantic", "pydantic_core")
    if versioned:
        return SandboxedWorkflowRunner(restrictions=shared)
    return SandboxedWorkflowRunner(restrictions=shared, runner_class=UnversionedRunner)


def core_worker(
    client: Client,
    activities: Sequence[Callable[..., Awaitable[object]]],
    drops: Drops,
    *,
    max_cached_workflows: int = 1000,
    workflows: Sequence[type] = WORKFLOWS,
    build: str | None = None,
) -> Worker:
    """Returns the worker of the task queue `core`. `client` must be connected with `drops.note`. `build`: the version
    of this worker, which gets no workflow before the version is current; None: it has no version."""
    deployment = None
    if build is not None:
        version = WorkerDeploymentVersion(deployment_name=DEPLOYMENT, build_id=build)
        deployment = WorkerDeploymentConfig(version=version, use_worker_versioning=True)
    return Worker(
        client,
        task_queue=CORE_QUEUE,
        workflows=list(workflows),
        activities=activities,
        workflow_runner=workflow_runner(versioned=deployment is not None),
        interceptors=[MessageGuard(drops.note)],
        max_cached_workflows=max_cached_workflows,
        max_concurrent_activities=_ACTIVITIES_AT_ONCE,
        max_concurrent_workflow_tasks=_WORKFLOW_TASKS_AT_ONCE if max_cached_workflows else None,
        graceful_shutdown_timeout=_DRAIN,
        build_id=UNVERSIONED if deployment is None else None,  # else the SDK reads all code to make up one
        deployment_config=deployment,
    )


async def run_worker(settings: Settings, stop: asyncio.Event) -> None:
    """Runs the task queue `core` until `stop`. Running activities then get ten seconds to finish."""
    drops = Drops()
    async with dependencies(settings, pool_size=_ACTIVITIES_AT_ONCE) as deps:
        client = await connect_when_ready(settings, deps.db, stop, drops.note)
        if client is None:
            return
        build = build_of(settings) if settings.worker_versions else None
        async with core_worker(client, core_activities(deps), drops, build=build):
            _log.info("working", task_queue=CORE_QUEUE, build=build or UNVERSIONED)
            await drops.run(deps.db, stop)
