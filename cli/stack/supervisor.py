"""Keeps child processes running: starts them, restarts them with back-off, stops them in reverse order.

    supervisor = Supervisor(data_dir)
    await supervisor.start(Child("relay", argv, ready))   # returns when healthy
    await supervisor.failure()                            # raises Unavailable if a child keeps crashing
    await supervisor.stop()

Each child has its own session, so Ctrl-C at the terminal reaches only the supervisor. The output of a child goes to
DATA/logs/NAME.log. Its process is recorded in DATA/run/NAME.pid, so that the next supervisor recognises leftovers. A
child that keeps crashing is restarted at growing intervals while the others run; DATA/run/NAME.failing reports it to
`propos doctor`.
"""

import asyncio
import json
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final, Protocol

import structlog

from cli.stack.forks import Forks
from cli.stack.processes import SystemUser, launch_argv, own_argv, record
from domain.errors import PropOSError, Unavailable
from domain.quoting import cut
from settings import child_environment

FIRST_PAUSE_SECONDS: Final = 0.5  # after a quick crash; doubled by each that follows. After a steady run: none
LONGEST_PAUSE_SECONDS: Final = 60.0
FAILING: Final = 3  # quick crashes in a row after which the child is reported as failing
STARTS_ALLOWED: Final = 5  # quick crashes in a row after which `start` and `failure` raise
_LOG_LIMIT_BYTES: Final = 20_000_000
_POLL_SECONDS: Final = 0.1
_WATCH_SECONDS: Final = 5.0  # between two looks at whether a child is alive

log = structlog.get_logger("supervisor")


@dataclass(frozen=True)
class Program:
    """The command of a child, computed anew before each start."""

    argv: list[str]
    user: SystemUser | None = None


@dataclass(frozen=True)
class Own:
    """`propos ARGUMENTS`: forked where that can be done, else started as any other program."""

    arguments: tuple[str, ...]


class Process(Protocol):
    """A running child. `returncode`: None while it runs, the negative number of a signal that ended it."""

    @property
    def pid(self) -> int: ...
    @property
    def returncode(self) -> int | None: ...
    async def wait(self) -> int: ...
    def send_signal(self, number: signal.Signals, /) -> None: ...
    def kill(self) -> None: ...


@dataclass(frozen=True)
class Child:
    """One supervised process. `ready` returns whether it serves; it must not raise or block the event loop. `alive`,
    likewise: whether the process does anything at all; one that answered and then does not for `frozen_seconds` is
    killed, so that it is started again."""

    name: str
    program: Callable[[], Program | Own]
    ready: Callable[[], Awaitable[bool]]
    alive: Callable[[], Awaitable[bool]] | None = None
    env: Mapping[str, str] | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    start_seconds: float = 300  # a slow machine that compiles everything for the first time
    stop_seconds: float = 20
    steady_seconds: float = 60  # after running this long it counts as recovered
    frozen_seconds: float = 60


@dataclass(frozen=True)
class Failing:
    """A child that keeps crashing: how often in a row, why, and the end of its log."""

    name: str
    failures: int
    why: str
    last_lines: list[str]


@dataclass
class _Kept:
    child: Child
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    keeper: asyncio.Task[None] | None = None
    process: Process | None = None
    failures: int = 0  # quick ones in a row
    restarts: int = 0
    steady: bool = False  # its last run was no quick one
    refusal: PropOSError | None = None  # why it could not be started


class Supervisor:
    """Owns the children of one data folder. Use it from one event loop only. Calls `say` with a sentence when a child
    ends by itself, and when it is ready again. `forks`: where processes of our own are forked."""

    def __init__(self, data_dir: Path, say: Callable[[str], None] = lambda _: None, forks: Forks | None = None) -> None:
        self._say, self._forks = say, forks
        self._logs = data_dir / "logs"
        self._run = data_dir / "run"
        for folder in (self._logs, self._run):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for leftover in self._run.glob("*.failing"):
            leftover.unlink()
        self._kept: dict[str, _Kept] = {}
        self._stopping = False
        self._failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def log_path(self, name: str) -> Path:
        return self._logs / f"{name}.log"

    def pid(self, name: str) -> int | None:
        """Returns the process id of a running child; None while it is down, and for an unknown name."""
        kept = self._kept.get(name)
        process = kept.process if kept else None
        return process.pid if process is not None and process.returncode is None else None

    def restarts(self, name: str) -> int:
        """Returns how often the child was restarted."""
        return self._kept[name].restarts

    async def start(self, child: Child) -> None:
        """Starts a child and waits until it is ready. Raises Unavailable if it crashes five times or takes too long.

        The child is restarted even then: a caller that can work without it continues, any other caller stops all.
        """
        kept = self._kept[child.name] = _Kept(child)
        kept.keeper = asyncio.create_task(self._keep(kept), name=f"keep {child.name}")
        deadline = time.monotonic() + child.start_seconds
        while not await child.ready():
            if kept.refusal is not None:
                raise kept.refusal
            if kept.failures >= STARTS_ALLOWED:
                raise self._unavailable(kept, f"failed {kept.failures} times before it was ready")
            if time.monotonic() > deadline:
                raise self._unavailable(kept, f"did not become ready within {child.start_seconds:.0f} seconds")
            await asyncio.sleep(_POLL_SECONDS)

    async def failure(self) -> None:
        """Waits until a child has crashed five times in a row and raises Unavailable. Stops nothing."""
        await asyncio.shield(self._failure)

    async def stop(self) -> None:
        """Stops every child, the last started first. Kills a child that does not end in time."""
        self._stopping = True
        if self._forks is not None:
            self._forks.refuse()
        for kept in reversed(self._kept.values()):
            kept.stop.set()
            if kept.keeper is not None:
                await asyncio.gather(kept.keeper, return_exceptions=True)
        if self._forks is not None:
            await self._forks.close()
        if self._failure.done():
            self._failure.exception()  # mark as retrieved; the caller of failure() reports it

    async def _keep(self, kept: _Kept) -> None:
        name = kept.child.name
        while not self._stopping:
            code = await self._run_once(kept)
            if self._stopping:
                break
            kept.failures += 1
            log.warning("child ended", child=name, exit_code=code, failures=kept.failures)
            if kept.failures <= STARTS_ALLOWED:  # after that, `propos doctor` shows it
                self._say(f"{name} ended ({_how(code)}). It starts again.")
            if kept.failures >= FAILING:
                self._report_failing(kept, code)
            if kept.failures == STARTS_ALLOWED and not self._failure.done():
                self._failure.set_exception(self._unavailable(kept, f"failed {kept.failures} times in a row"))
            if not kept.steady:
                await _pause(back_off_seconds(kept.failures), kept.stop)
            kept.restarts += 1
        for suffix in ("pid", "failing"):
            with _goes_on(name):
                (self._run / f"{name}.{suffix}").unlink(missing_ok=True)

    async def _run_once(self, kept: _Kept) -> int | None:
        """Runs the child until it ends; returns its exit code, None if it could not be started."""
        kept.steady = False
        try:
            process = kept.process = await self._spawn(kept.child)
        except (PropOSError, OSError, ValueError, subprocess.SubprocessError) as error:
            words = error.message if isinstance(error, PropOSError) else f"{type(error).__name__}: {error}"
            log.warning("child cannot be started", child=kept.child.name, error=words)
            kept.refusal = error if isinstance(error, PropOSError) else Unavailable(f"{kept.child.name}: {words}")
            return None
        kept.refusal = None
        name = kept.child.name
        tasks = [asyncio.create_task(_kill_when_frozen(kept.child, process), name=f"watch {name}")]
        if kept.restarts:
            tasks.append(asyncio.create_task(self._say_when_ready(kept.child), name=f"await {name}"))
        try:
            return await self._until_it_ends(kept, process)
        finally:
            for task in tasks:
                task.cancel()

    async def _say_when_ready(self, child: Child) -> None:
        began = time.monotonic()
        while True:
            if await child.ready():
                break
            await asyncio.sleep(_POLL_SECONDS)
        self._say(f"{child.name} is ready again after {time.monotonic() - began:.1f} s.")

    async def _until_it_ends(self, kept: _Kept, process: Process) -> int | None:
        if not await _ends_before(process, kept.stop, kept.child.steady_seconds) and not kept.stop.is_set():
            if kept.failures:
                log.info("child runs again", child=kept.child.name)
            kept.failures, kept.steady = 0, True
            with _goes_on(kept.child.name):
                (self._run / f"{kept.child.name}.failing").unlink(missing_ok=True)
            await _ends_before(process, kept.stop)
        if process.returncode is None:
            await self._end(kept.child, process)
        return process.returncode

    def _report_failing(self, kept: _Kept, code: int | None) -> None:
        """Reports a failing child in the log and to `propos doctor`."""
        name, path = kept.child.name, self.log_path(kept.child.name)
        why = kept.refusal.message if kept.refusal is not None else f"exit code {code}"
        log.error("child is failing", child=name, failures=kept.failures, why=why)
        with _goes_on(name):
            found = Failing(name, kept.failures, why, last_lines(path))
            (self._run / f"{name}.failing").write_text(json.dumps(asdict(found)))
            log.error("the child's last lines", child=name, last_lines=found.last_lines)

    async def _spawn(self, child: Child) -> Process:
        log_path = self.log_path(child.name)
        self._rotate(log_path)
        wanted = await asyncio.to_thread(child.program)
        process: Process | None
        process = await self._forked(child, wanted) if isinstance(wanted, Own) else None
        if process is None:
            program = Program(own_argv(*wanted.arguments)) if isinstance(wanted, Own) else wanted
            with log_path.open("ab") as output:
                process = await asyncio.create_subprocess_exec(
                    *launch_argv(program.argv, user=program.user, death_signal=child.stop_signal),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    env=child.env,
                    cwd="/" if program.user else None,
                    start_new_session=True,
                )
        with _goes_on(child.name):  # the child runs: without its record it is kept all the same
            record(self._run / f"{child.name}.pid", process.pid)
        log.info("child started", child=child.name, pid=process.pid)
        return process

    async def _forked(self, child: Child, own: Own) -> Process | None:
        """Returns None where nothing can be forked, or not now: the child is then started as any other program."""
        if self._forks is None:
            return None
        environment = child_environment({}) if child.env is None else child.env
        log_path = self.log_path(child.name)
        try:
            return await self._forks.start(
                own.arguments, environment=environment, log=log_path, death_signal=child.stop_signal
            )
        except (Unavailable, OSError) as error:
            if self._stopping:
                raise
            log.warning("child cannot be forked", child=child.name, error=str(error))
            return None

    @staticmethod
    async def _end(child: Child, process: Process) -> None:
        process.send_signal(child.stop_signal)
        try:
            async with asyncio.timeout(child.stop_seconds):
                await process.wait()
        except TimeoutError:
            log.warning("child killed: it did not end in time", child=child.name)
            process.kill()
            await process.wait()

    def _unavailable(self, kept: _Kept, what: str) -> Unavailable:
        path = self.log_path(kept.child.name)
        return Unavailable(f"{kept.child.name} {what}. {_last_message(path)}", remedy=f"See {path}.")

    @staticmethod
    def _rotate(path: Path) -> None:
        if path.exists() and path.stat().st_size > _LOG_LIMIT_BYTES:
            path.replace(path.with_suffix(".log.1"))


def _how(code: int | None) -> str:
    if code is None:
        return "it could not be started"
    return f"signal {-code}" if code < 0 else f"exit code {code}"


@contextmanager
def _goes_on(name: str) -> Iterator[None]:
    """Logs an error of the file system, such as a full disk, instead of ending the keeper of a child."""
    try:
        yield
    except OSError as error:
        log.error("the supervisor cannot use its files", child=name, error=f"{type(error).__name__}: {error}")


def back_off_seconds(failures: int) -> float:
    """Returns the pause after this many quick crashes in a row: it doubles from half a second to a minute."""
    return float(min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** min(failures - 1, 10)))


def failing(data_dir: Path) -> list[Failing]:
    """Returns the children on a data folder that keep crashing."""
    found = []
    for path in sorted((data_dir / "run").glob("*.failing")):
        try:
            found.append(Failing(**json.loads(path.read_text())))
        except (OSError, ValueError, TypeError):  # it has just recovered, or the file is being written
            continue
    return found


async def _ends_before(process: Process, stop: asyncio.Event, seconds: float | None = None) -> bool:
    """Returns whether the process ends by itself before `stop` is set or `seconds` are over."""
    exit_, stopped = asyncio.ensure_future(process.wait()), asyncio.ensure_future(stop.wait())
    try:
        done, _ = await asyncio.wait((exit_, stopped), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        exit_.cancel()
        stopped.cancel()
    return exit_ in done


async def _kill_when_frozen(child: Child, process: Process) -> None:
    """Kills a process that answered once and does not any more. Probes that this machine had no time for do not count:
    what is counted is refused probes, each a pause apart."""
    if child.alive is None:
        return
    answered, silent, pause = False, 0.0, min(_WATCH_SECONDS, child.frozen_seconds / 3)
    while process.returncode is None:
        await asyncio.sleep(pause)
        if await child.alive():
            answered, silent = True, 0.0
        elif answered:
            silent += pause
        if silent >= child.frozen_seconds and process.returncode is None:
            log.error("child killed: it does not answer", child=child.name, seconds=silent)
            process.kill()
            return


async def _pause(seconds: float, stop: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return


def last_lines(path: Path, count: int = 5) -> list[str]:
    """Returns the last lines of a log, each cut to a bounded length."""
    if not path.exists():
        return []
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 8192))
        lines = file.read().decode(errors="replace").splitlines()
    return [cut(line, 300) for line in lines if line.strip()][-count:]


def _last_message(path: Path) -> str:
    """Returns the last line that is not indented; indented lines are the remedy or traceback of an error."""
    lines = [line for line in last_lines(path, 50) if line[:1].strip()]
    return f"Its last line: {lines[-1].strip()}" if lines else "It printed nothing."
