"""What the readiness of the API says about the other processes and this machine's disk."""

import shutil
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from temporalio.api.enums.v1 import TaskQueueType

from cli.doctor.workers import current_fault
from cli.stack.probes import TemporalProbe
from contracts.ids import MONITOR_QUEUE
from domain.errors import PropOSError, Unavailable

_SILENT: Final = timedelta(seconds=150)  # a living worker asks for tasks at least once a minute
_LEAST_FREE: Final = 256 * 2**20  # bytes


class OtherParts:
    """`folder`: the data folder. Its disk holds the embedded database."""

    def __init__(self, probe: TemporalProbe, folder: Path) -> None:
        self._probe, self._folder = probe, folder

    async def __call__(self) -> Mapping[str, str]:
        """Returns "ok", or what is wrong, by part."""
        return {"worker": await self._worker(), "monitor": await self._monitor(), "disk": self._disk()}

    async def _worker(self) -> str:
        """What an earlier version has left is for `propos doctor`: requests can be answered meanwhile."""
        try:
            fault = current_fault(await self._probe.fleet())
        except PropOSError as error:
            return error.message
        return "ok" if fault is None else fault.said

    async def _monitor(self) -> str:
        try:
            last = await self._probe.last_polled(MONITOR_QUEUE, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY)
        except Unavailable as error:
            return error.message
        if last is None:
            return f"nobody asks for the tasks of {MONITOR_QUEUE}"
        silent = datetime.now(UTC) - last
        return "ok" if silent < _SILENT else f"has not asked for tasks for {silent.total_seconds():.0f} s"

    def _disk(self) -> str:
        try:
            free = shutil.disk_usage(self._folder).free
        except OSError as error:
            return f"the data folder cannot be read ({type(error).__name__})"
        return "ok" if free >= _LEAST_FREE else f"only {free // 2**20} MiB are free"
