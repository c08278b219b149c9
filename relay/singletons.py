"""Starts the workflows that must always run."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import structlog
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.service import RPCError, RPCStatusCode

from contracts.ids import (
    CORE_QUEUE,
    RECONCILIATION_WORKFLOW,
    SURVEILLANCE_WINDOWS_WORKFLOW,
    SURVEILLANCE_WORKFLOW,
    daily_close_workflow,
    shard_workflow,
)
from contracts.messages import (
    DailyCloseStart,
    Message,
    ReconciliationStart,
    ShardStart,
    SurveillanceStart,
    SurveillanceWindowsStart,
)
from relay.outbox import Connect
from store import clock, deliveries, shards
from store.db import Database

_RPC_TIMEOUT: Final = timedelta(seconds=5)
_FIXED: Final[tuple[tuple[str, str, Message], ...]] = (
    ("Surveillance", SURVEILLANCE_WORKFLOW, SurveillanceStart()),
    ("SurveillanceWindows", SURVEILLANCE_WINDOWS_WORKFLOW, SurveillanceWindowsStart()),
    ("Reconciliation", RECONCILIATION_WORKFLOW, ReconciliationStart()),
)
_AWAY: Final = (RPCStatusCode.UNAVAILABLE, RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED)
_log = structlog.get_logger("relay.singletons")


class Singletons:
    """`shards`: number of shards of each of `platforms` that take new accounts."""

    def __init__(self, db: Database, connect: Connect, shards: int, platforms: Sequence[str]) -> None:
        self._db, self._connect, self._shards, self._platforms = db, connect, shards, platforms
        self._known: set[str] = set()

    def known(self) -> frozenset[str]:
        """Returns the ids of the workflows that this process has started or found running."""
        return frozenset(self._known)

    async def step(self) -> int:
        """Starts every workflow that does not run; returns the number that were new to this process. The error of a
        workflow that cannot be started is raised after all were tried."""
        async with self._db.transaction() as session:
            groups = await deliveries.clock_groups(session)
            numbers = await shards.ensure(session, self._shards, self._platforms)
            await clock.retire_feeds(session, self._platforms)
        client = await self._connect()
        before, failed = len(self._known), list[Exception]()
        for name, workflow_id, start in (*map(_shard, numbers), *_FIXED, *map(_daily_close, groups)):
            try:
                await self._start(client, name, workflow_id, start)
            except Exception as error:
                if isinstance(error, RPCError) and error.status in _AWAY:
                    raise
                _log.error("singleton cannot be started", workflow_id=workflow_id, error=type(error).__name__)
                failed.append(error)
        if failed:
            raise failed[0]
        return len(self._known) - before

    async def _start(self, client: Client, name: str, workflow_id: str, start: Message) -> None:
        await client.start_workflow(
            name,
            start,
            id=workflow_id,
            task_queue=CORE_QUEUE,
            # starts a failed or terminated workflow again; leaves a running one alone
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            rpc_timeout=_RPC_TIMEOUT,
        )
        if workflow_id not in self._known:
            self._known.add(workflow_id)
            _log.info("singleton runs", workflow_id=workflow_id)


def _shard(number: int) -> tuple[str, str, Message]:
    return "MonitorShard", shard_workflow(number), ShardStart(shard=number)


def _daily_close(group: str) -> tuple[str, str, Message]:
    zone, _, reset = group.partition("@")
    return "DailyClose", daily_close_workflow(group), DailyCloseStart(clock_group=group, zone=zone, reset=reset)
