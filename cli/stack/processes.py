"""Starts processes, records them in pid files, recognises them again and ends them.

The system reuses pids, so a record holds the pid and the start time of the process.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from domain.errors import Unavailable

_LAUNCH = Path(__file__).with_name("launch.py")


@dataclass(frozen=True)
class SystemUser:
    """The unprivileged user that a child runs as if the supervisor is root."""

    name: str
    uid: int
    gid: int


def own_argv(*arguments: str) -> list[str]:
    """Returns the command that runs `propos ARGUMENTS` with this interpreter; it imports nothing from the current
    folder."""
    return [sys.executable, "-P", "-m", "cli.main", *arguments]


def launch_argv(argv: list[str], *, user: SystemUser | None, death_signal: signal.Signals) -> list[str]:
    """Returns the command that runs `argv` as `user`; it receives `death_signal` when this process dies."""
    account = f"{user.uid}:{user.gid}" if user else "-"
    launcher = [sys.executable, "-I", "-S", str(_LAUNCH)]
    return [*launcher, str(os.getpid()), str(int(death_signal)), account, *argv]


def run_as(argv: list[str], user: SystemUser | None, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """Runs a short command to its end as `user`; returns its result with standard error."""
    return subprocess.run(
        launch_argv(argv, user=user, death_signal=signal.SIGKILL),
        capture_output=True,
        text=True,
        timeout=timeout,
        stdin=subprocess.DEVNULL,
        cwd="/",
        check=False,
    )


def start_mark(pid: int) -> str | None:
    """Returns the start time of the live process `pid`, which tells it from a later one; None if there is none."""
    if sys.platform == "linux":
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return None
        fields = stat.rpartition(")")[2].split()
        return None if fields[0] in "ZX" else fields[19]
    listing = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return listing.stdout.strip() or None


@dataclass(frozen=True)
class Recorded:
    """A process, as a pid file records it."""

    pid: int
    mark: str

    def alive(self) -> bool:
        return start_mark(self.pid) == self.mark

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal if it is still the same process; does nothing if it is gone."""
        if self.alive():
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                return

    def wait(self, seconds: float) -> bool:
        """Returns whether it ends within `seconds`."""
        deadline = time.monotonic() + seconds
        while self.alive():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True


def record(path: Path, pid: int) -> None:
    """Writes the pid file of a process that was just started."""
    path.write_text(f"{pid} {start_mark(pid) or '-'}\n")


def read_record(path: Path) -> Recorded | None:
    """Returns the process that a pid file names; None if the file is missing or malformed."""
    try:
        pid, _, mark = path.read_text().strip().partition(" ")
        return Recorded(int(pid), mark)
    except (FileNotFoundError, ValueError):
        return None


def end_leftovers(run_dir: Path, *, patience: float = 5) -> list[str]:
    """Ends the processes that a killed supervisor left behind; returns their names.

    Most are already stopping, because the kernel signalled the death of their parent, so they get `patience` seconds
    first. Postgres gets SIGINT, its fast orderly shutdown; on SIGTERM it would wait for its clients.
    """
    ended = []
    for path in sorted(run_dir.glob("*.pid")):
        process = read_record(path)
        if process is not None and process.alive():
            ended.append(path.stem)
            gentle = signal.SIGINT if path.stem == "postgres" else signal.SIGTERM
            if not process.wait(patience):
                process.signal(gentle)
                if not process.wait(patience * 2):
                    process.signal(signal.SIGKILL)
                    process.wait(patience)
        path.unlink(missing_ok=True)
    return ended


@contextmanager
def running(
    argv: list[str],
    ready: Callable[[], bool],
    log: Path,
    *,
    user: SystemUser | None = None,
    stop: signal.Signals = signal.SIGTERM,
    environment: dict[str, str] | None = None,
    patience: float = 60,
) -> Iterator[int]:
    """Runs a server until the block ends, and at most as long as this process lives; yields its pid.

    `environment` None: the one of this process. Raises Unavailable, with the end of its log, if the server is not
    `ready` within `patience` seconds.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            launch_argv(argv, user=user, death_signal=signal.SIGKILL),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            start_new_session=True,
            env=environment,
        )
    try:
        deadline = time.monotonic() + patience
        while not ready():
            if process.poll() is not None or time.monotonic() > deadline:
                raise Unavailable(f"{log.stem} did not start: {log.read_text()[-2000:]}")
            time.sleep(0.05)
        yield process.pid
    finally:
        process.send_signal(stop)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
