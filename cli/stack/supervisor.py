"""Keeps child processes running: start until healthy, restart with back-off, stop in reverse order.

    supervisor = Supervisor(data_dir)
    await supervisor.start(Child("relay", argv, ready))   # returns when healthy
    await supervisor.failure()                            # returns only by raising Unavailable
    await supervisor.stop()

Children have sessions of their own, so Ctrl-C at the terminal reaches the supervisor alone. What a child prints goes
to DATA/logs/NAME.log; who it is stands in DATA/run/NAME.pid, for the next supervisor to recognise leftovers.
"""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import structlog

from cli.stack.processes import SystemUser, launch_argv, record
from domain.errors import Unavailable

BACK_OFF_SECONDS: Final = (0.5, 1.0, 2.0, 4.0, 8.0)
FAILURES_ALLOWED: Final = 5
FAILURE_WINDOW_SECONDS: Final = 60.0
_LOG_LIMIT_BYTES: Final = 20_000_000
_POLL_SECONDS: Final = 0.1

log = structlog.get_logger("supervisor")


@dataclass(frozen=True)
class Program:
    """What a child executes, worked out anew before each start."""

    argv: list[str]
    user: SystemUser | None = None


@dataclass(frozen=True)
class Child:
    """One supervised process. `ready` tells whether it serves; it may raise nothing and must not block the loop."""

    name: str
    program: Callable[[], Program]
    ready: Callable[[], Awaitable[bool]]
    env: Mapping[str, str] | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    start_seconds: float = 60
    stop_seconds: float = 20


@dataclass
class _Kept:
    child: Child
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    keeper: asyncio.Task[None] | None = None
    process: asyncio.subprocess.Process | None = None
    failures: list[float] = field(default_factory=list)
    restarts: int = 0


class Supervisor:
    """Owns the children of one data folder; not for use from more than one event loop."""

    def __init__(self, data_dir: Path) -> None:
        self._logs = data_dir / "logs"
        self._run = data_dir / "run"
        for folder in (self._logs, self._run):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._kept: dict[str, _Kept] = {}
        self._stopping = False
        self._failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def log_path(self, name: str) -> Path:
        return self._logs / f"{name}.log"

    def pid(self, name: str) -> int | None:
        """The process id of a running child; None while it is down, and for a name that is no child."""
        kept = self._kept.get(name)
        process = kept.process if kept else None
        return process.pid if process is not None and process.returncode is None else None

    def restarts(self, name: str) -> int:
        """How often the child was started again."""
        return self._kept[name].restarts

    async def start(self, child: Child) -> None:
        """Start and wait until it is ready; Unavailable when it fails five times or takes too long."""
        self._rotate(self.log_path(child.name))
        kept = self._kept[child.name] = _Kept(child)
        kept.keeper = asyncio.create_task(self._keep(kept), name=f"keep {child.name}")
        deadline = time.monotonic() + child.start_seconds
        while not await child.ready():
            if self._failure.done():
                self._failure.result()
            if time.monotonic() > deadline:
                raise self._unavailable(kept, f"did not become ready within {child.start_seconds:.0f} seconds")
            await asyncio.sleep(_POLL_SECONDS)

    async def failure(self) -> None:
        """Wait until a child has failed for good, and raise Unavailable."""
        await asyncio.shield(self._failure)

    async def stop(self) -> None:
        """Stop every child, the last started first; a child that does not end in time is killed."""
        self._stopping = True
        for kept in reversed(self._kept.values()):
            kept.stop.set()
            if kept.keeper is not None:
                await asyncio.gather(kept.keeper, return_exceptions=True)
        if self._failure.done():
            self._failure.exception()  # seen: it was or will be reported by whoever called start() or failure()

    async def _keep(self, kept: _Kept) -> None:
        while not self._stopping:
            try:
                process = kept.process = await self._spawn(kept.child)
            except Unavailable as error:
                self._fail(error)
                return
            if not await _ends_before(process, kept.stop):
                await self._end(kept.child, process)
            if self._stopping:
                break
            now = time.monotonic()
            kept.failures = [at for at in kept.failures if now - at < FAILURE_WINDOW_SECONDS] + [now]
            log.warning("child ended", child=kept.child.name, exit_code=process.returncode, failures=len(kept.failures))
            if len(kept.failures) >= FAILURES_ALLOWED:
                self._fail(self._unavailable(kept, f"failed {FAILURES_ALLOWED} times within a minute"))
                return
            await _pause(BACK_OFF_SECONDS[len(kept.failures) - 1], kept.stop)
            kept.restarts += 1
        (self._run / f"{kept.child.name}.pid").unlink(missing_ok=True)

    async def _spawn(self, child: Child) -> asyncio.subprocess.Process:
        program = await asyncio.to_thread(child.program)
        with self.log_path(child.name).open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *launch_argv(program.argv, user=program.user, death_signal=child.stop_signal),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=child.env,
                cwd="/" if program.user else None,
                start_new_session=True,
            )
        record(self._run / f"{child.name}.pid", process.pid)
        log.info("child started", child=child.name, pid=process.pid)
        return process

    @staticmethod
    async def _end(child: Child, process: asyncio.subprocess.Process) -> None:
        process.send_signal(child.stop_signal)
        try:
            await asyncio.wait_for(process.wait(), child.stop_seconds)
        except TimeoutError:
            log.warning("child killed: it did not end in time", child=child.name)
            process.kill()
            await process.wait()

    def _fail(self, error: Unavailable) -> None:
        if not self._failure.done():
            self._failure.set_exception(error)

    def _unavailable(self, kept: _Kept, what: str) -> Unavailable:
        path = self.log_path(kept.child.name)
        return Unavailable(f"{kept.child.name} {what}. {_last_words(path)}", remedy=f"See {path}.")

    @staticmethod
    def _rotate(path: Path) -> None:
        if path.exists() and path.stat().st_size > _LOG_LIMIT_BYTES:
            path.replace(path.with_suffix(".log.1"))


async def _ends_before(process: asyncio.subprocess.Process, stop: asyncio.Event) -> bool:
    """True when the process ends by itself, False when `stop` is set first."""
    exit_, stopped = asyncio.ensure_future(process.wait()), asyncio.ensure_future(stop.wait())
    try:
        done, _ = await asyncio.wait((exit_, stopped), return_when=asyncio.FIRST_COMPLETED)
    finally:
        exit_.cancel()
        stopped.cancel()
    return exit_ in done


async def _pause(seconds: float, stop: asyncio.Event) -> None:
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return


def _last_words(path: Path) -> str:
    """The last line that is not indented: below an error stands its remedy or its traceback."""
    if not path.exists():
        return "It said nothing."
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 4096))
        lines = [line for line in file.read().decode(errors="replace").splitlines() if line[:1].strip()]
    return f"Its last line: {lines[-1].strip()[:300]}" if lines else "It said nothing."
