"""A Redis server of one's own, as the journal of a gateway needs it, for benchmarks and tests."""

import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from redis import Redis, RedisError

from cli.stack.processes import launch_argv

BINARY: Final = "redis-server"
_START_SECONDS: Final = 60.0


class RedisServer:
    """Listens on a socket file in `folder` only. Every write is on the disk before it is answered, unless `options` say
    otherwise."""

    def __init__(self, folder: Path, **options: str) -> None:
        self._folder, self._socket = folder, folder / "redis.sock"
        self.url = f"unix://{self._socket}"
        self.start(**options)

    def start(self, **options: str) -> None:
        """Raises RuntimeError when it does not answer within a minute."""
        given = {
            "port": "0",
            "unixsocket": str(self._socket),
            "dir": str(self._folder),
            "save": "",
            "appendonly": "yes",
            "appendfsync": "always",
        } | {name.replace("_", "-"): value for name, value in options.items()}
        words = [word for name, value in given.items() for word in (f"--{name}", value)]
        argv = [shutil.which(BINARY) or BINARY, *words]
        command = launch_argv(argv, user=None, death_signal=signal.SIGKILL)
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        until = time.monotonic() + _START_SECONDS
        with Redis.from_url(self.url) as client:
            while True:
                try:
                    client.ping()
                    return
                except RedisError as exc:
                    if time.monotonic() > until or self._process.poll() is not None:
                        raise RuntimeError("The Redis server does not start.") from exc
                    time.sleep(0.05)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


def installed() -> bool:
    return shutil.which(BINARY) is not None


@contextmanager
def redis_server(**options: str) -> Iterator[RedisServer]:
    # The name of a socket file is limited to about 100 letters.
    with tempfile.TemporaryDirectory(prefix="propos-redis-") as folder:
        server = RedisServer(Path(folder), **options)
        try:
            yield server
        finally:
            server.kill()
