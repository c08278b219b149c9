"""The monitor process: judges the shards that Temporal assigns to it."""

import asyncio
from datetime import timedelta
from typing import Final

import structlog
from temporalio.worker import Worker

from activities.monitoring import MonitorActivities
from cli.compose import dependencies
from cli.run.waiting import connect_when_ready
from contracts.ids import MONITOR_QUEUE, UNVERSIONED
from settings import Settings

_DRAIN: Final = timedelta(seconds=10)

_log = structlog.get_logger("worker")


async def run_monitor(settings: Settings, stop: asyncio.Event) -> None:
    """Judges the shards that Temporal assigns to this process until `stop`. Each shard then writes a last
    checkpoint."""
    async with dependencies(settings, pool_size=2) as deps:
        client = await connect_when_ready(settings, deps.db, stop)
        if client is None:
            return
        worker = Worker(
            client,
            task_queue=MONITOR_QUEUE,
            activities=MonitorActivities(deps).all(),
            max_concurrent_activities=settings.monitor_slots,
            max_heartbeat_throttle_interval=timedelta(seconds=1),
            graceful_shutdown_timeout=_DRAIN,
            build_id=UNVERSIONED,  # else the SDK reads all code to make up one
        )
        async with worker:
            _log.info("working", task_queue=MONITOR_QUEUE)
            await stop.wait()
