"""The sandbox's state in one SQLite file. Each batch and each API call is one transaction.

Rows are (kind, id, JSON). A killed process loses nothing that was committed (WAL). The exclusive lock keeps a second
sandbox out of the same folder.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from domain.errors import Unavailable

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS rows (kind TEXT, id TEXT, value TEXT NOT NULL, PRIMARY KEY (kind, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS batches (number INTEGER PRIMARY KEY, body TEXT NOT NULL);
"""


class Row(NamedTuple):
    """A row to store; a `value` of None deletes it."""

    kind: str
    id: str
    value: str | None


class Journal:
    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "sandbox.sqlite3"
        self._db = sqlite3.connect(self.path, isolation_level=None, timeout=2, check_same_thread=False)
        try:
            self._db.execute("PRAGMA locking_mode=EXCLUSIVE")
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.executescript(_SCHEMA)
        except sqlite3.OperationalError as exc:
            self._db.close()
            raise Unavailable(
                f"The sandbox cannot open {self.path}: {exc}.",
                remedy="Stop the other sandbox on this folder, or give this one a folder of its own.",
            ) from exc

    def write(self, rows: Iterable[Row], batch: tuple[int, str] | None = None, drop_to: int = 0) -> None:
        """Commit `rows` and a new batch (number, body), and delete the batches up to `drop_to`."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            for row in rows:
                if row.value is None:
                    self._db.execute("DELETE FROM rows WHERE kind = ? AND id = ?", row[:2])
                else:
                    self._db.execute("INSERT OR REPLACE INTO rows VALUES (?, ?, ?)", row)
            if batch is not None:
                self._db.execute("INSERT INTO batches VALUES (?, ?)", batch)
            if drop_to:
                self._db.execute("DELETE FROM batches WHERE number <= ?", (drop_to,))
            self._db.execute("COMMIT")
        except sqlite3.Error:
            self._db.execute("ROLLBACK")
            raise

    def get(self, kind: str, id: str) -> Any:
        """Returns the value of one row, or None."""
        row = self._db.execute("SELECT value FROM rows WHERE kind = ? AND id = ?", (kind, id)).fetchone()
        return None if row is None else json.loads(row[0])

    def all(self, kind: str, prefix: str = "") -> Iterator[tuple[str, Any]]:
        """Yields (id, value) of the rows of a kind with this id prefix, by id."""
        for id, value in self._texts(kind, prefix):
            yield id, json.loads(value)

    def kinds(self, prefix: str) -> list[str]:
        """Returns the kinds of rows with this prefix."""
        query = "SELECT DISTINCT kind FROM rows WHERE kind >= ? AND kind < ? ORDER BY kind"
        return [str(row[0]) for row in self._db.execute(query, (prefix, prefix + "\U0010ffff"))]

    def texts(self, kind: str, prefix: str) -> list[str]:
        """Returns the JSON texts of the rows of a kind with this id prefix, by id."""
        return [value for _, value in self._texts(kind, prefix)]

    def _texts(self, kind: str, prefix: str) -> list[tuple[str, str]]:
        query = "SELECT id, value FROM rows WHERE kind = ? AND id >= ? AND id < ? ORDER BY id"
        return self._db.execute(query, (kind, prefix, prefix + "\U0010ffff")).fetchall()

    def batch(self, number: int) -> str | None:
        row = self._db.execute("SELECT body FROM batches WHERE number = ?", (number,)).fetchone()
        return None if row is None else str(row[0])

    def close(self) -> None:
        self._db.close()
