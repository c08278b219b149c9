"""The time that each command takes to its first line, beside a bare interpreter and a bare web server."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cli.bench.timing import median, rounded
from cli.stack.probes import free_ports
from cli.stack.processes import own_argv

PROPOS: Final = tuple(own_argv())
HELP_SECONDS: Final = 0.3
LINE_SECONDS: Final = 0.5
# Calls that change nothing and need no file: each command that reads the firm or the shelf. {data}: the firm's folder.
CALLS: Final[tuple[tuple[str, ...], ...]] = (
    ("version",),
    ("stop", "--data", "{empty}"),
    ("doctor", "--data", "{data}"),
    ("keep", "--data", "{data}"),
    ("liability", "--data", "{data}"),
    ("audit", "verify", "--data", "{data}"),
    ("messages", "list", "--data", "{data}", "--json"),
    ("ledger", "check", "--data", "{data}"),
    ("ledger", "trial-balance", "--data", "{data}"),
    ("mails", "list", "--data", "{data}"),
    ("mails", "unreachable", "--data", "{data}"),
    ("notifications", "check", "--data", "{data}"),
    ("user", "list", "--data", "{data}"),
    ("coupons", "list", "--data", "{data}"),
    ("shards", "list", "--data", "{data}"),
    ("products", "list", "--data", "{data}"),
    ("products", "examples"),
    ("products", "describe", "two-step"),
    ("keys", "list", "--data", "{data}"),
)
_PASS: Final = (sys.executable, "-c", "print(1)")
_UVICORN: Final = """
import sys, uvicorn
async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"{}"})
uvicorn.run(app, port=int(sys.argv[1]), log_level="info", lifespan="off")
"""


@dataclass(frozen=True)
class Taken:
    """Seconds until the first line: on the wall, and of the processor in the command's process."""

    wall: float
    cpu: float

    def figures(self, bare: "Taken") -> dict[str, float]:
        """Returns the figures of a report, with the time of the processor as a multiple of a bare interpreter's."""
        return {
            "wall_s": rounded(self.wall),
            "cpu_s": rounded(self.cpu),
            "over_bare": rounded(self.cpu / bare.cpu) if bare.cpu else 0.0,
        }


def every_command(root: Any) -> list[tuple[str, ...]]:
    """Returns the words of each command under the `root` command, such as ("user", "list")."""

    def walk(command: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        children: Mapping[str, Any] = getattr(command, "commands", {})
        if not children:
            yield path
        for name, child in children.items():
            yield from walk(child, (*path, name))

    return list(walk(root, ()))


def bare(rounds: int) -> tuple[Taken, Taken]:
    """Returns what an interpreter and a web server without an application take."""
    (port,) = free_ports(1)
    server = (sys.executable, "-c", _UVICORN, str(port))
    return _median([first_line(_PASS) for _ in range(rounds)]), _median([first_line(server) for _ in range(rounds)])


def helps(commands: Sequence[tuple[str, ...]], rounds: int, step: Callable[[str], None]) -> dict[str, Taken]:
    """Returns what `--help` of each command takes."""
    found = {}
    for path in ((), *commands):
        name = " ".join(("propos", *path))
        step(f"{name} --help")
        found[name] = _median([first_line((*PROPOS, *path, "--help")) for _ in range(rounds)])
    return found


def calls(data: Path, rounds: int, step: Callable[[str], None]) -> dict[str, Taken]:
    """Returns what each of CALLS takes on the firm that runs on `data`."""
    found = {}
    with tempfile.TemporaryDirectory() as empty:
        for call in CALLS:
            step(f"propos {' '.join(call)}")
            words = [word.format(data=data, empty=empty) for word in call]
            name = " ".join(word for word in call if "{" not in word and word != "--data")
            found[f"propos {name}"] = _median([first_line((*PROPOS, *words)) for _ in range(rounds)])
    return found


def over_budget(taken: Mapping[str, Taken], budget: float) -> list[str]:
    """Returns the commands that take more time of the processor than the budget."""
    return sorted(name for name, each in taken.items() if each.cpu > budget)


def first_line(command: Sequence[str]) -> Taken:
    """Runs a command until its first line, on either stream, and ends it."""
    began = time.perf_counter()
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert process.stdout is not None
    try:
        process.stdout.readline()
        wall = time.perf_counter() - began
        return Taken(wall, _cpu_seconds(process.pid))
    finally:
        process.kill()
        process.stdout.close()
        process.wait()


def _cpu_seconds(pid: int) -> float:
    """Returns what a process that has not been waited for has taken: in hundredths of a second for all of its threads,
    and finer for the first one. 0 where the system does not say it."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        nanoseconds = int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])
    except (OSError, IndexError):
        return 0.0
    return max(nanoseconds / 1e9, (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"))


def _median(taken: Sequence[Taken]) -> Taken:
    return Taken(median([each.wall for each in taken]), median([each.cpu for each in taken]))
