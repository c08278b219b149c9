"""The rail's own record in one SQLite file: orders under their keys, files sent and read, movements, events.

Several processes may open it. A committed change survives a power cut (WAL, synchronous=FULL).
"""

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final

from domain.errors import CursorForgotten, OutcomeUnknown, Unavailable

FILE: Final = "rail.sqlite3"
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS orders (
    key TEXT PRIMARY KEY, digest TEXT NOT NULL, reference TEXT NOT NULL, amount_minor INTEGER NOT NULL,
    currency TEXT NOT NULL, account TEXT NOT NULL, holder TEXT NOT NULL, status TEXT NOT NULL, failure TEXT,
    batch TEXT, made_at TEXT NOT NULL, debits INTEGER NOT NULL DEFAULT 0, credits INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS orders_waiting ON orders (made_at) WHERE status = 'waiting';
CREATE INDEX IF NOT EXISTS orders_batch ON orders (batch);
CREATE TABLE IF NOT EXISTS batches (
    number INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, content BLOB NOT NULL, stage TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS batches_unfinished ON batches (number) WHERE stage <> 'out';
CREATE TABLE IF NOT EXISTS files (
    number INTEGER PRIMARY KEY, name TEXT NOT NULL, digest TEXT NOT NULL, outcome TEXT NOT NULL, reason TEXT,
    missing_iban TEXT, missing_number INTEGER, moved INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS files_unmoved ON files (number) WHERE moved = 0;
CREATE INDEX IF NOT EXISTS files_refused ON files (number) WHERE outcome = 'refused';
CREATE INDEX IF NOT EXISTS files_digest ON files (digest);
CREATE INDEX IF NOT EXISTS files_missing ON files (missing_iban) WHERE missing_iban IS NOT NULL;
CREATE TABLE IF NOT EXISTS reports (
    number INTEGER PRIMARY KEY, kind TEXT NOT NULL, iban TEXT NOT NULL, currency TEXT NOT NULL, id TEXT NOT NULL,
    year INTEGER NOT NULL, sequence INTEGER, closing_minor INTEGER, closing_at TEXT, UNIQUE (kind, iban, currency, id)
);
CREATE TABLE IF NOT EXISTS entries (number INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS events (
    number INTEGER PRIMARY KEY, kind TEXT NOT NULL, object TEXT NOT NULL, at TEXT NOT NULL, problem TEXT
);
"""
Connect = Callable[[Path], sqlite3.Connection]


def connect(path: Path, timeout: float = 30) -> sqlite3.Connection:
    """Returns a connection that waits at most `timeout` seconds for another process."""
    return sqlite3.connect(path, timeout=timeout, isolation_level=None, check_same_thread=False)


class BankStore:
    """Opened at the first use. `connect`: how."""

    def __init__(self, folder: Path, connect: Connect = connect) -> None:
        self._path, self._connect = folder / FILE, connect
        self._lock = threading.Lock()
        self._db: sqlite3.Connection | None = None

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A transaction that excludes every other process. Raises Unavailable if it cannot begin or a statement fails:
        nothing is stored. Raises OutcomeUnknown if the commit fails."""
        with self._lock:
            try:
                db = self._opened()
                db.execute("BEGIN IMMEDIATE")
            except (sqlite3.Error, OSError) as exc:
                raise self._unavailable(exc) from exc
            try:
                yield db
            except sqlite3.Error as exc:
                db.execute("ROLLBACK")
                raise self._unavailable(exc) from exc
            except BaseException:
                db.execute("ROLLBACK")
                raise
            try:
                db.execute("COMMIT")
            except sqlite3.Error as exc:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise OutcomeUnknown(
                    f"{self._path} may not have been written: {exc}.", remedy="Look the transfer up by its key."
                ) from exc

    def rows(self, query: str, *values: object) -> list[sqlite3.Row]:
        """Returns the rows of a read. Raises Unavailable."""
        with self._lock:
            try:
                return self._opened().execute(query, values).fetchall()
            except (sqlite3.Error, OSError) as exc:
                raise self._unavailable(exc) from exc

    def row(self, query: str, *values: object) -> sqlite3.Row | None:
        return next(iter(self.rows(query, *values)), None)

    def page(self, table: str, cursor: str, after: str | None, limit: int) -> list[sqlite3.Row]:
        """Returns the rows of `table` after the one whose column `cursor` is `after`. Raises CursorForgotten."""
        number = 0
        if after is not None:
            found = self.row(f"SELECT number FROM {table} WHERE {cursor} = ?", after)
            if found is None:
                raise CursorForgotten(f"The bank connection knows no {after!r}.")
            number = int(found["number"])
        return self.rows(f"SELECT * FROM {table} WHERE number > ? ORDER BY number LIMIT ?", number, limit)

    def close(self) -> None:
        with self._lock:
            if self._db is not None:
                self._db.close()
                self._db = None

    def _opened(self) -> sqlite3.Connection:
        if self._db is None:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            db = self._connect(self._path)
            try:
                db.row_factory = sqlite3.Row
                db.execute("PRAGMA journal_mode=WAL")
                db.execute("PRAGMA synchronous=FULL")
                db.executescript(_SCHEMA)
            except sqlite3.Error:
                db.close()
                raise
            self._db = db
        return self._db

    def _unavailable(self, exc: Exception) -> Unavailable:
        return Unavailable(f"The record of the bank connection, {self._path}, cannot be used now: {exc}.")


def add_event(db: sqlite3.Connection, kind: str, object_id: str, at: datetime, problem: str | None = None) -> None:
    values = (kind, object_id, at.isoformat(), problem)
    db.execute("INSERT INTO events (kind, object, at, problem) VALUES (?, ?, ?, ?)", values)


def set_status(db: sqlite3.Connection, key: str, status: str, at: datetime, failure: str | None = None) -> None:
    """Changes an order's status and tells it as an event."""
    db.execute("UPDATE orders SET status = ?, failure = ? WHERE key = ?", (status, failure, key))
    add_event(db, "transfer.changed", key, at)


def add_entry(db: sqlite3.Connection, entry_id: str, body: dict[str, object]) -> None:
    db.execute("INSERT INTO entries (id, body) VALUES (?, ?)", (entry_id, json.dumps(body)))
