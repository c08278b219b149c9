"""Processes that are forked from one that has imported their code (`cli/stack/fork_server.py`).

forks = Forks(data_dir, environment)
await forks.prepare()               # it begins to import
process = await forks.start(["relay"], environment=..., log=path, death_signal=signal.SIGTERM)
await process.wait()
await forks.close()
"""

import asyncio
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Final

from cli.stack.fork_server import Order
from cli.stack.processes import Recorded, launch_argv, record, start_mark
from domain.errors import Unavailable

FORKS: Final = sys.platform == "linux"  # elsewhere a process that was forked may not use the libraries of the system
NAME: Final = "fork-server"
_PATIENCE: Final = 30.0  # seconds for an orderly end


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

    def send_signal(self, number: signal.Signals) -> None:
        self._process.signal(number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def end(self, code: int) -> None:
        self.returncode = code
        self._ended.set()

    async def end_without_parent(self) -> None:
        """Nobody says how it ended, but it has been told to."""
        if not await asyncio.to_thread(self._process.wait, _PATIENCE):
            self.kill()
        self.end(-signal.SIGTERM)


class Forks:
    """The server and its forks. A server that ended is started again with the next process. Use it from one event loop
    only."""

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
        """Starts `propos ARGUMENTS`. Raises Unavailable when there is nothing to fork."""
        server = await self._running()
        return await server.fork(arguments, environment, log, death_signal)

    async def close(self) -> None:
        """Ends the server; its forks have ended, or are told to."""
        if self._server is not None:
            await self._server.close()

    async def _running(self) -> "_Server":
        async with self._starting:
            if self._server is None or self._server.ended:
                self._server = await _Server.start(self._data_dir, self._environment, self._log)
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
        record(data_dir / "run" / f"{NAME}.pid", process.pid)
        return cls(process, await asyncio.open_connection(sock=ours), log)

    async def fork(
        self, arguments: Sequence[str], environment: Mapping[str, str], log: Path, death_signal: signal.Signals
    ) -> Forked:
        if self.ended:
            raise self._unavailable()
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
        return await answer

    async def close(self) -> None:
        self._orders.close()
        await self._listening

    async def _listen(self) -> None:
        """Hears what the server says, until it ends."""
        try:
            async for line in self._answers:
                said = json.loads(line)
                if "code" in said:
                    self._forks.pop(said["pid"]).end(said["code"])
                else:
                    made = self._forks[said["pid"]] = Forked(said["pid"])
                    answer = self._asked.pop(said["order"])
                    if answer.cancelled():
                        made.kill()
                    else:
                        answer.set_result(made)
        except ConnectionError:
            pass  # it was killed in the middle of a line
        self.ended = True
        self._orders.close()
        await self._process.wait()
        for answer in self._asked.values():
            answer.set_exception(self._unavailable())
        await asyncio.gather(*(fork.end_without_parent() for fork in self._forks.values()))

    def _unavailable(self) -> Unavailable:
        return Unavailable(f"{NAME}, from which the firm's processes are forked, ended.", remedy=f"See {self._log}.")
