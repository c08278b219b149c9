"""The command `propos`, run as a process of its own."""

import json
import os
import subprocess
import sys
from typing import Any, Final

PROPOS: Final = [sys.executable, "-P", "-m", "cli.main"]


def propos(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DATABASE_", "TEMPORAL_"))}
    return subprocess.run(
        [*PROPOS, *arguments], env=kept | more, capture_output=True, text=True, timeout=600, check=False
    )


def answer(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found
