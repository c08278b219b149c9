"""Finds open subjects without a healthy workflow. Restarts a workflow that ended too early; nudges one whose step takes
too long; reports a stuck one.

The open subjects come from the record. Temporal is asked about each by workflow id, a few at a time.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal

import structlog
from prometheus_client import Counter, Gauge
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from contracts.ids import CORE_QUEUE, parts
from domain.quoting import cut, storable_text
from firm import lifecycles
from firm.lifecycles import Subject
from relay.outbox import Connect
from relay.temporal import no_namespace
from store.db import Database

_BATCH: Final = 50  # subjects per step; the relay's loop decides how often a step runs
_AT_ONCE: Final = 8
_STUCK_ATTEMPTS: Final = 5
_RPC_TIMEOUT: Final = timedelta(seconds=5)
# The type of the workflow by the noun in its id. Every workflow runs on the core queue.
_TYPES: Final[Mapping[str, str]] = {
    "case": "Case",
    "challenge": "Challenge",
    "chargeback": "Chargeback",
    "daily-close": "DailyClose",
    "dispute": "Dispute",
    "payout": "Payout",
    "platform_change": "PlatformChange",
    "reconciliation": "Reconciliation",
    "shard": "MonitorShard",
    "surveillance": "Surveillance",
    "surveillance_windows": "SurveillanceWindows",
}
_ENDED: Final = (
    WorkflowExecutionStatus.COMPLETED,
    WorkflowExecutionStatus.FAILED,
    WorkflowExecutionStatus.CANCELED,
    WorkflowExecutionStatus.TERMINATED,
    WorkflowExecutionStatus.TIMED_OUT,
)

_restarted = Counter("propos_workflows_restarted_total", "Workflows started again", ["kind", "ended"])
_stuck = Gauge("propos_workflows_stuck", "Workflows with a task that fails again and again, as of the last round")
_log = structlog.get_logger("relay.redrive")


@dataclass(frozen=True)
class Health:
    """The health of a workflow. `ended` is the final status or `missing`; `attempts` is of its current task,
    `why` says why it is stuck."""

    state: Literal["well", "ended", "stuck"]
    ended: str = ""
    run_id: str = ""
    attempts: int = 0
    why: str = ""


def stranger(workflow_id: str, workflow_type: str, task_queue: str) -> str:
    """Returns how a workflow under this id is not ours, empty if it is: no worker of ours runs such a one."""
    expected = _TYPES.get(parts(workflow_id)[0], workflow_type)
    if (workflow_type, task_queue) == (expected, CORE_QUEUE):
        return ""
    found = cut(storable_text(f"{workflow_type} on the task queue {task_queue}"), 200)
    return f"The workflow under this id is {found}, not {expected} on {CORE_QUEUE}."


def classify(status: WorkflowExecutionStatus | None, run_id: str, attempts: int, wrong: str = "") -> Health:
    """Returns the health from Temporal's description of the newest run. `wrong`: how it is not ours."""
    if status in _ENDED:
        return Health("ended", ended=status.name.lower(), run_id=run_id)
    if wrong:
        return Health("stuck", run_id=run_id, attempts=attempts, why=wrong)
    if attempts >= _STUCK_ATTEMPTS:
        why = f"The workflow runs, and its task has failed {attempts} times in a row."
        return Health("stuck", run_id=run_id, attempts=attempts, why=why)
    return Health("well", run_id=run_id)


class Redrive:
    """Checks all open subjects in rounds. `singletons` returns ids of workflows that always run."""

    def __init__(self, db: Database, connect: Connect, singletons: Callable[[], Collection[str]]) -> None:
        self._db, self._connect, self._singletons = db, connect, singletons
        self._gate = asyncio.Semaphore(_AT_ONCE)
        self._after: Subject | None = None
        self._stuck: set[str] = set()

    async def step(self) -> int:
        """Check the next subjects. Returns how many, or 0 at the end of a round."""
        async with self._db.transaction() as session:
            subjects = await lifecycles.open_subjects(session, after=self._after, limit=_BATCH)
        by_id = {subject.workflow_id: subject for subject in subjects}
        is_last = len(subjects) < _BATCH
        client = await self._connect()
        asked = [*by_id, *(self._singletons() if is_last else ())]
        found = await asyncio.gather(*(self._health(client, workflow_id) for workflow_id in asked))
        healths = dict(zip(asked, found, strict=True))
        for workflow_id, subject in by_id.items():
            if healths[workflow_id].state == "ended":
                await self._start_again(subject, healths[workflow_id])
        well = [subject for workflow_id, subject in by_id.items() if healths[workflow_id].state == "well"]
        async with self._db.transaction() as session:
            await lifecycles.watch(session, well)
        await self._report(healths)
        self._after = None if is_last else subjects[-1]
        if not is_last:
            return len(subjects)
        _stuck.set(len(self._stuck))
        self._stuck.clear()
        return 0

    async def _health(self, client: Client, workflow_id: str) -> Health:
        async with self._gate:
            try:
                found = await client.get_workflow_handle(workflow_id).describe(rpc_timeout=_RPC_TIMEOUT)
            except RPCError as error:
                if error.status == RPCStatusCode.NOT_FOUND and not no_namespace(error):
                    return Health("ended", ended="missing")
                raise
        wrong = stranger(workflow_id, found.workflow_type, found.task_queue)
        attempts = found.raw_description.pending_workflow_task.attempt
        return classify(found.status, found.run_id, attempts, wrong)

    async def _start_again(self, subject: Subject, health: Health) -> None:
        async with self._db.transaction() as session:
            started = await lifecycles.start_again(session, subject, how_it_ended=health.ended, run_id=health.run_id)
        if started:
            _restarted.labels(subject.kind, health.ended).inc()
            _log.warning("workflow started again", workflow_id=subject.workflow_id, ended=health.ended)

    async def _report(self, healths: dict[str, Health]) -> None:
        stuck = {workflow_id: health for workflow_id, health in healths.items() if health.state == "stuck"}
        async with self._db.transaction() as session:
            for workflow_id, health in stuck.items():
                await lifecycles.report_stuck(session, workflow_id, why=health.why)
            await lifecycles.report_moving(session, [name for name in healths if name not in stuck])
        for workflow_id, health in stuck.items():
            _log.error("workflow is stuck", workflow_id=workflow_id, run_id=health.run_id, why=health.why)
        self._stuck |= stuck.keys()
