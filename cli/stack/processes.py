"""Processes by identity: how one is started, recorded in a pid file, recognised again and ended.

A pid alone proves nothing, since the system gives it out again. So a record is the pid and the process's start time.
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
    """The unprivileged account a child runs as when the supervisor is root."""

    name: str
    uid: int
    gid: int


def launch_argv(argv: list[str], *, user: SystemUser | None, death_signal: signal.Signals) -> list[str]:
    """The command that runs `argv` as `user` and gets `death_signal` when this process dies."""
    account = f"{user.uid}:{user.gid}" if user else "-"
    launcher = [sys.executable, "-I", "-S", str(_LAUNCH)]
    return [*launcher, str(os.getpid()), str(int(death_signal)), account, *argv]


def run_as(argv: list[str], user: SystemUser | None, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """Run a short command to its end as `user`; its standard error is in the result."""
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
    """What tells this life of `pid` from another: its start time. None when there is no such live process."""
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
    """A process as a pid file names it."""

    pid: int
    mark: str

    def alive(self) -> bool:
        return start_mark(self.pid) == self.mark

    def signal(self, number: signal.Signals) -> None:
        """Send a signal if it is still the same process; silent when it is gone."""
        if self.alive():
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                return

    def wait(self, seconds: float) -> bool:
        """True when it is gone within `seconds`."""
        deadline = time.monotonic() + seconds
        while self.alive():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True


def record(path: Path, pid: int) -> None:
    """Write the pid file of a process that was just started."""
    path.write_text(f"{pid} {start_mark(pid) or '-'}\n")


def read_record(path: Path) -> Recorded | None:
    """The process a pid file names; None when the file is missing or unreadable as one."""
    try:
        pid, _, mark = path.read_text().strip().partition(" ")
        return Recorded(int(pid), mark)
    except (FileNotFoundError, ValueError):
        return None


def end_leftovers(run_dir: Path, *, patience: float = 5) -> list[str]:
    """End what an earlier, killed supervisor left behind; the names of what had to be ended.

    Most are already stopping (their parent's death was announced to them), so they get `patience` seconds first.
    Postgres gets SIGINT, which is its orderly fast shutdown; SIGTERM would wait for its clients.
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
    """Run a server until the block ends; it dies with this process, however this process dies. Gives its pid. Raises
    Unavailable, with its last words, when it is not `ready` within `patience` seconds. No `environment`: our own."""
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
