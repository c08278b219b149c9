"""Writes checkpoints while the shard judges on: in one thread, on a connection of its own, one at a time.

The bars of a minute are written in blocks with pauses, ahead of the rest of their checkpoint: at the end of a minute of
a large shard, verdicts must not wait for a database that is busy with them. The checkpoint, from which a restart goes
on, is written when all of them are stored.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import Any, Final

from psycopg import Connection

from monitor.record.checkpoint_rows import CheckpointData
from store import live, platform_changes, version_moves
from store.db import connect
from store.live_checkpoint import CheckpointWriter

_BEAT_SECONDS: Final = 1.0
_BLOCK_SECONDS: Final = 0.15  # between two blocks of bars, unless somebody waits for the checkpoint


@dataclass(frozen=True, slots=True)
class StoredCheckpoint:
    """A committed checkpoint. `moves_waiting`: moves of accounts wait for the shard."""

    batch: int
    moves_waiting: bool


class BackgroundWriter:
    """Used by one thread. An error of the writing thread is raised by `written` or `finish`."""

    def __init__(self, database_url: str, shard: int, epoch: int) -> None:
        self._database_url, self._shard, self._epoch = database_url, shard, epoch
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"checkpoint-{shard}")
        self._opened: tuple[Connection[Any], CheckpointWriter] | None = None
        self._writing: Future[StoredCheckpoint] | None = None
        self._awaited = threading.Event()  # somebody waits for the checkpoint that is being written

    @property
    def busy(self) -> bool:
        """Returns whether the outcome of a checkpoint has not been read with `written` or `finish` yet."""
        return self._writing is not None

    def write(self, data: CheckpointData) -> None:
        """Begins to store a checkpoint. Only while not `busy`."""
        assert self._writing is None
        self._awaited.clear()
        self._writing = self._thread.submit(self._write, data)

    def written(self) -> StoredCheckpoint | None:
        """Returns the checkpoint that was committed since the last call, if any. Raises the error that prevented it."""
        if self._writing is None or not self._writing.done():
            return None
        writing, self._writing = self._writing, None
        return writing.result()

    def finish(self, beat: Callable[[], None]) -> StoredCheckpoint | None:
        """Waits for a running write, then does the same. `beat` is called once a second."""
        self._awaited.set()
        while self._writing is not None and not self._writing.done():
            wait((self._writing,), timeout=_BEAT_SECONDS)
            beat()
        return self.written()

    def close(self) -> None:
        """Waits for a running write, and ignores its outcome."""
        self._awaited.set()
        self._thread.shutdown(wait=True)
        if self._opened is not None:
            self._opened[0].close()

    def _write(self, data: CheckpointData) -> StoredCheckpoint:
        if self._opened is None:
            connection = connect(self._database_url, autocommit=True)
            self._opened = connection, CheckpointWriter(connection, self._shard, self._epoch)
        connection, writer = self._opened
        rows = data.rows()
        for number, block in enumerate(rows.bars):
            if number:
                self._awaited.wait(_BLOCK_SECONDS)
            writer.write_bars(block)
        writer.write(replace(rows, bars=()))
        moves, versions = (
            live.unfinished_shard_moves(connection, self._shard),
            version_moves.approved_moves(connection, self._shard),
        )
        changes = platform_changes.leaving(connection, self._shard) or platform_changes.coming(connection, self._shard)
        return StoredCheckpoint(data.batch, bool(moves or versions or changes))
