"""What both kinds of chaos need around a run: an empty folder, and steps where no bar can be drawn."""

import sys
import tempfile
from pathlib import Path

from cli.progress import Progress
from domain.errors import BadInput


def fresh_folder(data: Path | None) -> Path:
    """Returns `data`, or a temporary folder. Raises BadInput for one that is not empty."""
    folder = data or _temporary_folder()
    if folder.exists() and any(folder.iterdir()):
        raise BadInput(f"{folder} is not empty.", field="--data", remedy="Choose an empty folder.")
    return folder


def step_lines() -> Progress:
    """Writes each new step on a line, where no bar can be drawn."""
    last = ""

    def report(step: str, _done: float) -> None:
        nonlocal last
        if step != last:
            sys.stderr.write(f"{step}\n")
            sys.stderr.flush()
        last = step

    return report


def _temporary_folder() -> Path:
    parent = Path(tempfile.mkdtemp(prefix="propos-chaos-"))
    parent.chmod(0o711)  # the user that PostgreSQL runs as must be able to pass through
    return parent / "data"
