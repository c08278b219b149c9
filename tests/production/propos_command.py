"""The command `propos`, run as a process of its own."""

import json
import os
import subprocess
import sys
from typing import Any, Final

from tests.command_line import propos as run

PROPOS: Final = [sys.executable, "-P", "-m", "cli.main"]


def _given(more: dict[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DATABASE_", "TEMPORAL_"))}
    return kept | more


def started(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """As `propos`, in a process that starts from nothing."""
    return subprocess.run([*PROPOS, *arguments], env=_given(more), capture_output=True, text=True, check=False)


def propos(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return run(*arguments, env=_given(more))


def answer(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found
