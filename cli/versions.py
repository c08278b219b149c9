"""Versions of the workers of `core`, as Temporal keeps them apart (docs/decisions/0051).

A version is named by its build. A pinned workflow stays on the version that it began on; every other one goes on with
the current version.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from temporalio.api.enums.v1 import (
    RoutingConfigUpdateState,
    TaskQueueType,
    WorkerDeploymentVersionStatus,
    WorkerVersioningMode,
)
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    DescribeTaskQueueRequest,
    DescribeWorkerDeploymentRequest,
    SetWorkerDeploymentCurrentVersionRequest,
    SetWorkerDeploymentRampingVersionRequest,
)
from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode

from contracts.ids import CORE_QUEUE, DEPLOYMENT, UNVERSIONED
from domain.errors import Conflict, NotFound, Unavailable

_SILENT: Final = timedelta(seconds=150)  # a living worker asks for tasks at least once a minute
_READ_TIMEOUT: Final = timedelta(seconds=5)
_RPC_TIMEOUT: Final = timedelta(seconds=20)
_TOLD_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 0.1
_IN_PROGRESS: Final = RoutingConfigUpdateState.ROUTING_CONFIG_UPDATE_STATE_IN_PROGRESS
_AWAY: Final = (RPCStatusCode.UNAVAILABLE, RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED)
_HAVE_WORKFLOWS: Final = ("current", "ramping", "draining")
_VERSIONED: Final = WorkerVersioningMode.WORKER_VERSIONING_MODE_VERSIONED


@dataclass(frozen=True)
class Version:
    """`status`: current, ramping, draining, drained or inactive. `percent`: of new workflows, while it is ramping.
    `workers`: processes that asked for work lately. `pinned`: running workflows that only this version goes on with."""

    build: str
    status: str
    percent: float
    workers: int
    pinned: int


@dataclass(frozen=True)
class Fleet:
    """`current`: the build that takes new workflows, or `unversioned`. `versions`: the newest first. `unversioned`:
    workers without a version."""

    current: str
    versions: tuple[Version, ...]
    unversioned: int

    def of(self, build: str) -> Version:
        """Raises NotFound."""
        for each in self.versions:
            if each.build == build:
                return each
        raise NotFound(
            f"Temporal knows no version {build}.",
            remedy="See `propos release show`. A version is known once a worker of it has started with"
            " PROPOS_WORKER_VERSIONS=true.",
        )


async def fleet(client: Client) -> Fleet:
    """Raises Unavailable. On a server that knows no deployments every worker is unversioned."""
    workers = await _workers(client)
    request = DescribeWorkerDeploymentRequest(namespace=client.namespace, deployment_name=DEPLOYMENT)
    try:
        answer = await client.workflow_service.describe_worker_deployment(request, timeout=_READ_TIMEOUT)
    except RPCError as error:
        if error.status in _AWAY:
            raise _unavailable(error) from None
        return Fleet(UNVERSIONED, (), workers.get("", 0))
    info = answer.worker_deployment_info
    routing = info.routing_config
    found = []
    for each in sorted(info.version_summaries, key=lambda summary: summary.create_time.ToNanoseconds(), reverse=True):
        build = each.deployment_version.build_id
        ramping = build == routing.ramping_deployment_version.build_id
        status = WorkerDeploymentVersionStatus.Name(each.status).rpartition("_")[2].lower()
        found.append(
            Version(
                build=build,
                status=status,
                percent=round(routing.ramping_version_percentage, 1) if ramping else 0.0,
                workers=workers.get(build, 0),
                pinned=await pinned(client, build) if status in _HAVE_WORKFLOWS else 0,
            )
        )
    current = routing.current_deployment_version.build_id or UNVERSIONED
    return Fleet(current, tuple(found), workers.get("", 0))


async def pinned(client: Client, build: str) -> int:
    """Returns how many running workflows only this version goes on with. Raises Unavailable."""
    async with _asked():
        return (await client.count_workflows(_pinned(build), rpc_timeout=_READ_TIMEOUT)).count


async def handles(client: Client, build: str) -> list[WorkflowHandle[Any, Any]]:
    """Returns a handle of each of these workflows. Raises Unavailable."""
    async with _asked():
        return [
            client.get_workflow_handle(found.id, run_id=found.run_id)
            async for found in client.list_workflows(_pinned(build))
        ]


async def make_current(client: Client, build: str) -> None:
    """Gives every new workflow, and all that are not pinned, to this version; `unversioned`: to workers without one.
    Raises NotFound when no worker of it has started yet, Conflict when it lacks a queue that the current one has, and
    Unavailable."""
    async with _asked():
        await client.workflow_service.set_worker_deployment_current_version(
            SetWorkerDeploymentCurrentVersionRequest(
                namespace=client.namespace, deployment_name=DEPLOYMENT, build_id=_wire(build)
            ),
            timeout=_RPC_TIMEOUT,
        )
        await _told(client)


async def ramp(client: Client, build: str, percent: float) -> None:
    """Gives this share of the workflows to the version; 0 ends that. Raises like `make_current`."""
    async with _asked():
        await client.workflow_service.set_worker_deployment_ramping_version(
            SetWorkerDeploymentRampingVersionRequest(
                namespace=client.namespace,
                deployment_name=DEPLOYMENT,
                build_id=_wire(build) if percent else "",
                percentage=percent,
            ),
            timeout=_RPC_TIMEOUT,
        )
        await _told(client)


async def _told(client: Client) -> None:
    """Waits until every task queue knows the change: before, a workflow that wakes may go on with the version before.
    Servers that do not say so know it at once. Raises Unavailable."""
    request = DescribeWorkerDeploymentRequest(namespace=client.namespace, deployment_name=DEPLOYMENT)
    deadline = time.monotonic() + _TOLD_SECONDS
    while True:
        answer = await client.workflow_service.describe_worker_deployment(request, timeout=_READ_TIMEOUT)
        if answer.worker_deployment_info.routing_config_update_state != _IN_PROGRESS:
            return
        if time.monotonic() > deadline:
            raise Unavailable(
                "Temporal has made the change, and not told all of its task queues yet.",
                remedy="Wait until `propos release show` names the version, then look at the log of the server.",
            )
        await asyncio.sleep(_POLL_SECONDS)


def _wire(build: str) -> str:
    return "" if build == UNVERSIONED else build


def _pinned(build: str) -> str:
    return (
        f"TemporalWorkerDeploymentVersion = '{DEPLOYMENT}:{build}' AND TemporalWorkflowVersioningBehavior = 'Pinned'"
        " AND ExecutionStatus = 'Running'"
    )


async def _workers(client: Client) -> Mapping[str, int]:
    """Returns build -> processes that asked for workflows lately; an empty build for those without a version."""
    request = DescribeTaskQueueRequest(
        namespace=client.namespace,
        task_queue=TaskQueue(name=CORE_QUEUE),
        task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
    )
    async with _asked():
        answer = await client.workflow_service.describe_task_queue(request, timeout=_READ_TIMEOUT)
    seen: dict[str, set[str]] = {}
    for each in answer.pollers:
        if datetime.now(UTC) - each.last_access_time.ToDatetime(UTC) < _SILENT:
            options = each.deployment_options
            build = options.build_id if options.worker_versioning_mode == _VERSIONED else ""
            seen.setdefault(build, set()).add(each.identity)
    return {build: len(identities) for build, identities in seen.items()}


@asynccontextmanager
async def _asked() -> AsyncIterator[None]:
    try:
        yield
    except RPCError as error:
        if error.status == RPCStatusCode.NOT_FOUND:
            raise NotFound(f"Temporal: {error.message}.", remedy="See `propos release show`.") from None
        if error.status == RPCStatusCode.FAILED_PRECONDITION:
            raise Conflict(f"Temporal: {error.message}.", remedy="See `propos release show`.") from None
        raise _unavailable(error) from None


def _unavailable(error: RPCError) -> Unavailable:
    return Unavailable(
        f"Temporal: {error.message}.", remedy="Versions of workers need a Temporal server of version 1.28 or later."
    )
