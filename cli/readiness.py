"""What the readiness of the API says about the other processes and this machine's disk."""

import shutil
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from temporalio.api.enums.v1 import TaskQueueType

from cli.stack.probes import TemporalProbe
from contracts.ids import CORE_QUEUE, MONITOR_QUEUE
from domain.errors import Unavailable

_SILENT: Final = timedelta(seconds=150)  # a living worker asks for tasks at least once a minute
_LEAST_FREE: Final = 256 * 2**20  # bytes
_POLLED: Final = {
    "worker": (CORE_QUEUE, TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW),
    "monitor": (MONITOR_QUEUE, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY),
}


class OtherParts:
    """`folder`: the data folder. Its disk holds the embedded database."""

    def __init__(self, probe: TemporalProbe, folder: Path) -> None:
        self._probe, self._folder = probe, folder

    async def __call__(self) -> Mapping[str, str]:
        """Returns "ok", or what is wrong, by part."""
        return {name: await self._polling(name) for name in _POLLED} | {"disk": self._disk()}

    async def _polling(self, name: str) -> str:
        queue, kind = _POLLED[name]
        try:
            last = await self._probe.last_polled(queue, kind)
        except Unavailable as error:
            return error.message
        if last is None:
            return f"nobody asks for the tasks of {queue}"
        silent = datetime.now(UTC) - last
        return "ok" if silent < _SILENT else f"has not asked for tasks for {silent.total_seconds():.0f} s"

    def _disk(self) -> str:
        try:
            free = shutil.disk_usage(self._folder).free
        except OSError as error:
            return f"the data folder cannot be read ({type(error).__name__})"
        return "ok" if free >= _LEAST_FREE else f"only {free // 2**20} MiB are free"
