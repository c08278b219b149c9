"""`propos bench start`: first lines of commands, a firm from its start to its logins, and what follows a kill."""

import asyncio
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cli.bench.start import first_lines, recovery
from cli.bench.timing import rounded
from cli.stack.ports import with_free_ports
from domain.errors import Unavailable
from settings import child_environment, environment_name, load

LOGINS_SECONDS: Final = 60.0
_PATIENCE: Final = 3600.0  # for the week of history of a demo firm


@dataclass
class _Firm:
    """A `propos up` and what it has said so far. Seconds since its start: when each part was healthy, when the logins
    were printed, and when its first work was done."""

    process: "subprocess.Popen[str]"
    data: Path
    began: float
    said: dict[str, float]


def steps(commands: Sequence[tuple[str, ...]]) -> int:
    """Returns how many steps `measure` reports."""
    return 3 + len(commands) + 1 + len(first_lines.CALLS) + len(recovery.PARTS)


def measure(
    commands: Sequence[tuple[str, ...]], rounds: int, demo: bool, step: Callable[[str], None]
) -> dict[str, Any]:
    """Returns the figures. `commands`: the words of each. `demo`: with the demo firm, whose history is played before
    the kills. Raises Unavailable for a firm that does not start, or a part that does not come back."""
    step("a bare interpreter, a bare web server")
    interpreter, server = first_lines.bare(rounds)
    helps = first_lines.helps(commands, rounds, step)
    with (
        tempfile.TemporaryDirectory(prefix="propos-start-") as folder,
        _running(Path(folder), demo, step) as firm,
    ):
        step("the firm's first work")
        _wait_for(firm, "complete" if demo else "ready")
        calls = first_lines.calls(firm.data, rounds, step)
        back = asyncio.run(recovery.measure(firm.data, step))
    taken = {f"{name} --help": each for name, each in helps.items()} | calls
    return {
        "load_average": rounded(os.getloadavg()[0]),
        "bare_interpreter": interpreter.figures(interpreter),
        "bare_web_server": server.figures(interpreter),
        "commands": {name: each.figures(interpreter) for name, each in taken.items()},
        "over_budget": {
            "help": first_lines.over_budget(helps, first_lines.HELP_SECONDS),
            "first_line": first_lines.over_budget(calls, first_lines.LINE_SECONDS),
        },
        "up_seconds": {name: rounded(seconds) for name, seconds in firm.said.items()},
        "console_over_bare_web_server": rounded(firm.said["api"] / server.wall),
        "recovery_seconds": back,
        "recovery_over_budget": sorted(name for name, most in recovery.BUDGET.items() if back[name] > most),
    }


@contextmanager
def _running(data: Path, demo: bool, step: Callable[[str], None]) -> Iterator[_Firm]:
    step("propos up, to its console" + (" and logins" if demo else ""))
    data.chmod(0o711)
    ports = with_free_ports(load(data_dir=data))
    names = [name for name in type(ports).model_fields if name.endswith("_port")]
    free = {environment_name(name): str(getattr(ports, name)) for name in names}
    process = subprocess.Popen(
        [*first_lines.PROPOS, "up", "--data", str(data), *(["--demo"] if demo else [])],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=child_environment({**free, environment_name("sandbox_url"): ports.sandbox_url}),
        text=True,
    )
    firm = _Firm(process, data, time.perf_counter(), {})
    try:
        _wait_for(firm, "ready")
        yield firm
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=300)


def _wait_for(firm: _Firm, moment: str) -> None:
    """Reads what `propos up` says until the moment has come."""
    assert firm.process.stdout is not None
    last = ""
    while moment not in firm.said:
        last = firm.process.stdout.readline() or _ended(firm, last)
        now = time.perf_counter() - firm.began
        if now > _PATIENCE:
            raise Unavailable(f"`propos up` did not come to {moment!r} within {_PATIENCE:.0f} s.")
        words = last.split()
        if words[:1] == ["healthy"]:
            firm.said[words[1]] = now
        elif "Sign in as" in last and "trader" not in last:
            firm.said["logins"] = now
        elif last.startswith("Ready:"):
            firm.said["ready"] = now
        elif last.startswith("The demo firm is complete."):
            firm.said["complete"] = now
        elif last.startswith("The history stopped:"):
            raise Unavailable(last.strip())


def _ended(firm: _Firm, last: str) -> str:
    firm.process.wait()
    raise Unavailable(f"`propos up` ended with {firm.process.returncode}: {last.strip()}")
