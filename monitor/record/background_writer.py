"""Checkpoints that are written while the shard judges on: by one thread, on a connection of its own, one at a time."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg import Connection

from monitor.record.checkpoint_rows import Taken
from store import live, version_moves
from store.live_checkpoint import CheckpointWriter

_BEAT_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Stored:
    """A checkpoint that is committed. `asked`: moves of accounts are waiting for the shard to look at them."""

    batch: int
    asked: bool


class Behind:
    """Used by one thread; what went wrong behind it is raised where it asks."""

    def __init__(self, database_url: str, shard: int, epoch: int) -> None:
        self._database_url, self._shard, self._epoch = database_url, shard, epoch
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"checkpoint-{shard}")
        self._opened: tuple[Connection[Any], CheckpointWriter] | None = None
        self._writing: Future[Stored] | None = None

    @property
    def busy(self) -> bool:
        """Whether there is a checkpoint whose outcome nobody has asked for yet."""
        return self._writing is not None

    def write(self, taken: Taken) -> None:
        """Begin to store it. Only while not `busy`."""
        assert self._writing is None
        self._writing = self._thread.submit(self._write, taken)

    def written(self) -> Stored | None:
        """The checkpoint that has been committed since this was asked last. Raises what kept it from being stored."""
        if self._writing is None or not self._writing.done():
            return None
        writing, self._writing = self._writing, None
        return writing.result()

    def finish(self, beat: Callable[[], None]) -> Stored | None:
        """The same once what is under way has ended; `beat` is called now and then."""
        while self._writing is not None and not self._writing.done():
            wait((self._writing,), timeout=_BEAT_SECONDS)
            beat()
        return self.written()

    def close(self) -> None:
        """Ends once what is under way has ended, well or not."""
        self._thread.shutdown(wait=True)
        if self._opened is not None:
            self._opened[0].close()

    def _write(self, taken: Taken) -> Stored:
        if self._opened is None:
            connection = psycopg.connect(self._database_url, autocommit=True)
            self._opened = connection, CheckpointWriter(connection, self._shard, self._epoch)
        connection, writer = self._opened
        writer.write(taken.rows())
        moves, versions = live.unfinished_moves(connection, self._shard), version_moves.waiting(connection, self._shard)
        return Stored(taken.batch, bool(moves or versions))
