"""Runs a shard of the live monitor in its own thread and sends heartbeats to Temporal."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.deps import Deps
from contracts.messages import ShardStart
from domain.errors import Unavailable
from monitor.service import MonitorService
from ports.platform import reader_name
from store.live import claim_epoch, feed_of

_HEARTBEAT_SECONDS: Final = 1.0
_SILENCE_SECONDS: Final = 30.0  # a thread that reads nothing for this long hangs; another attempt takes over
_LAST_CHECKPOINT_SECONDS: Final = 10.0


class _Pulse:
    """The last sign of life of the judging thread, read by the event loop."""

    def __init__(self) -> None:
        self.batch = 0
        self._at = time.monotonic()

    def beat(self, batch: int) -> None:
        self.batch, self._at = batch, time.monotonic()

    @property
    def silent(self) -> bool:
        return time.monotonic() - self._at > _SILENCE_SECONDS


class MonitorActivities:
    def __init__(self, deps: Deps) -> None:
        self._db = deps.db
        self._platforms, self._calendars = deps.platforms, deps.calendars

    def all(self) -> Sequence[Callable[..., Awaitable[object]]]:
        return [self.run_shard]

    @activity.defn(name="monitor.run_shard")
    async def run_shard(self, start: ShardStart) -> None:
        """Never returns: raises when another attempt must run the shard, here or on another worker. Raises
        NotConfigured for a platform that is not configured here, before it takes the shard from its current owner."""
        name, place = await asyncio.to_thread(feed_of, self._db.url, start.shard)
        platform = self._platforms.of(name)
        epoch = await asyncio.to_thread(claim_epoch, self._db.url, start.shard)
        stop, pulse = threading.Event(), _Pulse()
        service = MonitorService(
            self._db.url,
            partial(platform.open_stream, reader_name(place)),
            start.shard,
            epoch,
            stop,
            pulse.beat,
            feed=name,
            calendars=self._calendars,
        )
        # Its own thread: the event loop's pool is small, and a hanging thread must not block another shard's start.
        thread = ThreadPoolExecutor(1, thread_name_prefix=f"shard-{start.shard}")
        judging = asyncio.get_running_loop().run_in_executor(thread, service.run)
        leaving = asyncio.ensure_future(activity.wait_for_worker_shutdown())
        try:
            while not judging.done() and not leaving.done() and not pulse.silent:
                activity.heartbeat(pulse.batch)
                await asyncio.wait((judging, leaving), timeout=_HEARTBEAT_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stop.set()
            leaving.cancel()
            await asyncio.wait((judging,), timeout=_LAST_CHECKPOINT_SECONDS)
            thread.shutdown(wait=False)
        if judging.done():
            judging.result()
        if activity.is_worker_shutdown():
            raise ApplicationError(
                f"Shard {start.shard} is handed over after batch {pulse.batch}: the worker is shutting down.",
                type="worker-shutdown",
                category=ApplicationErrorCategory.BENIGN,
            )
        raise Unavailable(f"Shard {start.shard} stopped after batch {pulse.batch}; another attempt continues.")
