"""Processes that are forked from one that has imported their code (`cli/stack/fork_server.py`).

    forks = Forks(data_dir, environment)
    await forks.prepare()               # the server begins to import
    process = await forks.start(["relay"], environment=..., log=path, death_signal=signal.SIGTERM)
    await process.wait()
    await forks.close()

The supervisor (`cli/stack/supervisor.py`) uses it for the processes of our own.
"""

import asyncio
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any, Final

from cli.stack.fork_server import Order
from cli.stack.processes import Recorded, launch_argv, record, start_mark
from domain.errors import Unavailable

FORKS: Final = sys.platform == "linux"  # elsewhere a process that was forked may not use the libraries of the system
NAME: Final = "fork-server"
_PATIENCE: Final = 30.0  # seconds for an orderly end
_ANSWER_SECONDS: Final = 120.0  # for the imports on a slow machine, and then the fork
_LOOK_SECONDS: Final = 5.0


class Forked:
    """A process that was forked, as `asyncio.subprocess.Process` shows one: `returncode` is None while it runs."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._process = Recorded(pid, start_mark(pid) or "-")
        self._ended = asyncio.Event()

    async def wait(self) -> int:
        await self._ended.wait()
        assert self.returncode is not None
        return self.returncode

    def alive(self) -> bool:
        return self._process.alive()

    def send_signal(self, number: signal.Signals) -> None:
        self._process.signal(number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def end(self, code: int) -> None:
        self.returncode = code
        self._ended.set()

    async def end_without_parent(self) -> None:
        """Waits until a process whose parent has died has ended as well: the kernel has sent it its death signal. Its
        exit code is lost."""
        ended = await asyncio.to_thread(self._process.wait, _PATIENCE)
        if not ended:
            self.kill()
            await asyncio.to_thread(self._process.wait, _PATIENCE)
        self.end(-signal.SIGTERM if ended else -signal.SIGKILL)


class Forks:
    """The server and its forks. A server that has ended is started again with the next process. Use it from one event
    loop only."""

    def __init__(self, data_dir: Path, environment: Mapping[str, str]) -> None:
        self._data_dir, self._environment = data_dir, environment
        self._log = data_dir / "logs" / f"{NAME}.log"
        self._starting = asyncio.Lock()
        self._server: _Server | None = None

    async def prepare(self) -> None:
        """Starts the server when there is none."""
        await self._running()

    async def start(
        self, arguments: Sequence[str], *, environment: Mapping[str, str], log: Path, death_signal: signal.Signals
    ) -> Forked:
        """Starts `propos ARGUMENTS`. Raises Unavailable when the server did not do it, and OSError."""
        server = await self._running()
        return await server.fork(arguments, environment, log, death_signal)

    def refuse(self) -> None:
        """Ends the wait for all processes that have not been forked yet; each raises Unavailable."""
        if self._server is not None:
            self._server.refuse("the firm stops")

    async def close(self) -> None:
        """Ends the server at once; forks that still run get their death signals."""
        if self._server is not None:
            await self._server.close()
        with suppress(OSError):
            self._record.unlink(missing_ok=True)

    @property
    def _record(self) -> Path:
        return self._data_dir / "run" / f"{NAME}.pid"

    async def _running(self) -> "_Server":
        async with self._starting:
            if self._server is None or self._server.ended:
                self._server = await _Server.start(self._data_dir, self._environment, self._log)
                with suppress(OSError):  # such as on a full disk: it does its work without a record
                    record(self._record, self._server.pid)
            return self._server


class _Server:
    def __init__(
        self,
        process: asyncio.subprocess.Process,
        channel: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        log: Path,
    ) -> None:
        self._process, self._log = process, log
        self._answers, self._orders = channel
        self._numbers = count()
        self._asked = dict[int, asyncio.Future[Forked]]()
        self._forks = dict[int, Forked]()
        self.ended = False
        self._listening = asyncio.create_task(self._listen(), name=f"listen to {NAME}")
        self._looking = asyncio.create_task(self._look(), name=f"look at the forks of {NAME}")

    @classmethod
    async def start(cls, data_dir: Path, environment: Mapping[str, str], log: Path) -> "_Server":
        ours, theirs = socket.socketpair()
        argv = [sys.executable, "-P", "-m", "cli.stack.fork_server", str(theirs.fileno()), str(data_dir)]
        with theirs, log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *launch_argv(argv, user=None, death_signal=signal.SIGTERM),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                # one thread: the libraries of numpy start one for each processor otherwise
                env={**environment, "OPENBLAS_NUM_THREADS": "1", "SPT_NOENV": "1"},
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
        return cls(process, await asyncio.open_connection(sock=ours), log)

    @property
    def pid(self) -> int:
        return self._process.pid

    async def fork(
        self, arguments: Sequence[str], environment: Mapping[str, str], log: Path, death_signal: signal.Signals
    ) -> Forked:
        if self.ended:
            raise self._unavailable("it has ended")
        number = next(self._numbers)
        order = Order(
            order=number,
            arguments=list(arguments),
            environment=dict(environment),
            log=str(log),
            death_signal=int(death_signal),
        )
        answer: asyncio.Future[Forked] = asyncio.get_running_loop().create_future()
        self._asked[number] = answer
        self._orders.write(json.dumps(order).encode() + b"\n")
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                return await answer
        except TimeoutError:
            raise self._unavailable(f"it did not answer within {_ANSWER_SECONDS:.0f} seconds") from None

    def refuse(self, why: str) -> None:
        for answer in self._asked.values():
            if not answer.done():
                answer.set_exception(self._unavailable(why))

    async def close(self) -> None:
        with suppress(ProcessLookupError):
            self._process.kill()  # it keeps nothing
        await self._listening

    async def _listen(self) -> None:
        """Hears what the server says, until it ends."""
        try:
            async for line in self._answers:
                self._hear(json.loads(line))
        except ConnectionError:
            pass  # it ended before it had read every order
        finally:
            self.ended = True
            self._looking.cancel()
            self._orders.close()
            code = await self._process.wait()
            self.refuse(f"it ended with {code}")
            await asyncio.gather(*(fork.end_without_parent() for fork in self._forks.values()))

    def _hear(self, said: dict[str, Any]) -> None:
        if "code" in said:
            if (ended := self._forks.pop(said["pid"], None)) is not None:
                ended.end(said["code"])
            return
        answer = self._asked.pop(said["order"])
        if "error" in said:
            if not answer.done():
                answer.set_exception(self._unavailable(said["error"]))
            return
        made = self._forks[said["pid"]] = Forked(said["pid"])
        if answer.done():  # nobody waits for it any more
            made.kill()
        else:
            answer.set_result(made)

    async def _look(self) -> None:
        """Ends the wait for processes that have ended and of which the server, which hangs, says nothing."""
        missing = set[int]()
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            gone = {pid for pid, fork in self._forks.items() if not fork.alive()}
            for pid in gone & missing:
                self._forks.pop(pid).end(-signal.SIGTERM)
            missing = gone

    def _unavailable(self, why: str) -> Unavailable:
        return Unavailable(f"{NAME}, from which the firm's processes are forked: {why}.", remedy=f"See {self._log}.")
