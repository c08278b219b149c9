"""The embedded journal of a gateway: one SQLite file in the data folder.

WAL with synchronous=NORMAL: a killed process loses nothing that was appended. After a power failure the newest batches
may be missing: shards that have read further then get a gap, and the gateway asks the venue again from an older cursor.
"""

import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from domain.errors import Conflict, Unavailable
from ports.journal import Stored

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS batches (number INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS state (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""
_AT_ONCE: Final = 500  # placeholders in one statement
_LAST_TEXT: Final = "\U0010ffff"


class EmbeddedJournal:
    """Opens the file, or makes it. Raises Unavailable when another gateway has it open or it cannot be opened."""

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, isolation_level=None, timeout=2, check_same_thread=False)
        except (OSError, sqlite3.OperationalError) as exc:
            raise Unavailable(f"The journal {path} cannot be opened: {exc}.") from exc
        try:
            self._db.execute("PRAGMA locking_mode=EXCLUSIVE")
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.executescript(_SCHEMA)
        except sqlite3.DatabaseError as exc:
            self._db.close()
            raise Unavailable(
                f"The journal {path} cannot be opened: {exc}.",
                remedy="Stop the other gateway of this venue, or restore the file.",
            ) from exc
        self._last = int(self._db.execute("SELECT coalesce(max(number), 0) FROM batches").fetchone()[0])

    def append(self, batch: Stored | None, changes: Mapping[str, str | None]) -> None:
        if batch is not None and self._last and batch.number != self._last + 1:
            raise Conflict(f"Batch {batch.number} does not follow batch {self._last} of the journal.")
        gone = [(key,) for key, value in changes.items() if value is None]
        kept = [(key, value) for key, value in changes.items() if value is not None]
        try:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                if gone:
                    self._db.executemany("DELETE FROM state WHERE key = ?", gone)
                if kept:
                    self._db.executemany("INSERT OR REPLACE INTO state VALUES (?, ?)", kept)
                if batch is not None:
                    self._db.execute("INSERT INTO batches VALUES (?, ?)", batch)
                self._db.execute("COMMIT")
            except sqlite3.Error:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
        except sqlite3.Error as exc:
            raise Unavailable(
                f"The journal cannot store: {exc}.", remedy="Make room on the disk of the data folder."
            ) from exc
        if batch is not None:
            self._last = batch.number

    def last(self) -> int:
        return self._last

    def first(self) -> int:
        return int(self._db.execute("SELECT coalesce(min(number), 0) FROM batches").fetchone()[0])

    def read(self, after: int, limit: int) -> list[Stored]:
        query = "SELECT number, body FROM batches WHERE number > ? ORDER BY number LIMIT ?"
        return [Stored(number, bytes(body)) for number, body in self._db.execute(query, (after, limit))]

    def get(self, key: str) -> str | None:
        row = self._db.execute("SELECT value FROM state WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def get_many(self, keys: Iterable[str]) -> dict[str, str]:
        wanted, found = list(keys), dict[str, str]()
        for start in range(0, len(wanted), _AT_ONCE):
            part = wanted[start : start + _AT_ONCE]
            places = ",".join("?" * len(part))
            found.update(self._db.execute(f"SELECT key, value FROM state WHERE key IN ({places})", part))
        return found

    def items(self, prefix: str) -> list[tuple[str, str]]:
        query = "SELECT key, value FROM state WHERE key >= ? AND key < ? ORDER BY key"
        return [(str(key), str(value)) for key, value in self._db.execute(query, (prefix, prefix + _LAST_TEXT))]

    def drop(self, up_to: int) -> None:
        self._db.execute("DELETE FROM batches WHERE number <= ?", (min(up_to, self._last - 1),))

    def close(self) -> None:
        self._db.close()
