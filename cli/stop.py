"""`propos stop`: stops the firm that `propos up` runs."""

import signal
from pathlib import Path

import typer

from cli.stack.lock import holder
from cli.stack.processes import end_leftovers
from domain.errors import Unavailable
from settings import load

_STOP_SECONDS = 90


def stop(data_dir: Path | None) -> None:
    """Stops the stack on a data folder and waits until every part has ended."""
    folder = load(data_dir=data_dir).data_dir.absolute()
    running = holder(folder)
    if running is None:
        ended = end_leftovers(folder / "run")
        typer.echo(f"nothing runs on {folder}" if not ended else f"stopped leftover processes: {', '.join(ended)}")
        return
    running.signal(signal.SIGTERM)
    if not running.wait(_STOP_SECONDS):
        raise Unavailable(
            f"Process {running.pid} did not stop within {_STOP_SECONDS} seconds.",
            remedy=f"See {folder / 'logs' / 'up.log'};"
            f" as a last resort: kill -9 {running.pid}, then `propos stop` again.",
        )
    typer.echo("stopped")
