"""Databases for tests, used again: to empty one takes a tenth of the time that a copy of the template takes."""

import itertools
import os
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql

from tests import servers

# What a test may change besides rows. A database whose catalogs have changed is dropped.
_CATALOGS = (
    "pg_attribute", "pg_class", "pg_constraint", "pg_extension", "pg_namespace", "pg_policy", "pg_proc", "pg_sequence",
    "pg_trigger", "pg_type",
)  # fmt: skip
_MANY_ROWS = 50_000
_TABLES = """SELECT format('%I.%I', nspname, relname) FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
              WHERE relkind = 'r' AND nspname NOT IN ('pg_catalog', 'information_schema') {} ORDER BY pg_class.oid"""
_EVERY = _TABLES.format("")
# A table that has no page has no row: to ask each of them for one would take most of the time.
_WITH_PAGES = _TABLES.format("AND pg_relation_size(pg_class.oid) > 0")
_ENDED = sql.SQL("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = {}")
_RENAMED = sql.SQL("ALTER DATABASE {} RENAME TO {}")
# a setting of this database alone is no row of it
_SETTINGS = """SELECT 'settings', count(*), 0 FROM pg_db_role_setting
                WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())"""
_SEQUENCES = "SELECT format('%I.%I', schemaname, sequencename), last_value, start_value FROM pg_sequences"


@dataclass
class _Template:
    """What a fresh database holds."""

    catalogs: str
    tables: tuple[str, ...]
    seeds: dict[str, bytes]  # the rows of a table that is not empty, as COPY writes them
    sequences: dict[str, int | None]


@dataclass
class Databases:
    """Databases at the newest migration on one server. `cluster_url`: the administrator's. `template`: the name of the
    database they are copies of."""

    cluster_url: str
    template: str
    _free: list[str] = field(default_factory=list)
    _administrator: "psycopg.Connection[Any] | None" = None
    _fresh: _Template | None = None
    _numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def take(self) -> str:
        """Returns the name of a database as the migrations leave it. No two of a session have the same name: what an
        earlier test left running cannot reach it."""
        name = f"test_{os.getpid()}_{next(self._numbers)}"
        if self._free:
            self._administer(_RENAMED.format(sql.Identifier(self._free.pop()), sql.Identifier(name)))
        else:
            servers.create_database(self.cluster_url, name, self.template)
            self._fresh = self._fresh or self._read(name)
        return name

    def give_back(self, name: str) -> None:
        """Empties a database for its next use, or drops it when its test changed more than rows. It gets another name
        first: what the test left running cannot connect again."""
        free = f"free_{name}"
        try:
            self._administer(_ENDED.format(sql.Literal(name)))
            self._administer(_RENAMED.format(sql.Identifier(name), sql.Identifier(free)))
        except psycopg.Error:
            servers.drop_database(self.cluster_url, name)
            return
        with suppress(psycopg.Error):
            if self._emptied(free):
                self._free.append(free)
                return
        servers.drop_database(self.cluster_url, free)

    def drop_all(self) -> None:
        while self._free:
            servers.drop_database(self.cluster_url, self._free.pop())
        if self._administrator is not None:
            self._administrator.close()

    def _emptied(self, name: str) -> bool:
        with self._connected(name) as connection:
            if self._fresh is None or _catalogs(connection) != self._fresh.catalogs:
                return False
            with connection.transaction():
                connection.execute("SET LOCAL session_replication_role = replica")  # no trigger, no foreign key
                return _restore(connection, self._fresh)

    def _read(self, name: str) -> _Template:
        with self._connected(name) as connection:
            tables = tuple(str(table) for (table,) in connection.execute(_EVERY).fetchall())
            copies = {table: _copied(connection, table) for table in tables}
            sequences = {name: last for name, last, _ in _sequences(connection)}
            seeds = {table: rows for table, rows in copies.items() if rows}
            return _Template(_catalogs(connection), tables, seeds, sequences)

    def _connected(self, name: str) -> "psycopg.Connection[Any]":
        return psycopg.connect(servers.database_of(self.cluster_url, name), autocommit=True)

    def _administer(self, statement: sql.Composed) -> None:
        if self._administrator is None or self._administrator.closed:
            self._administrator = psycopg.connect(self.cluster_url, autocommit=True)
        self._administrator.execute(statement)


def _restore(connection: "psycopg.Connection[Any]", fresh: _Template) -> bool:
    """Makes the rows and the sequences what they were. Returns False when that would take longer than a copy."""
    filled = [str(name) for (name,) in _run(connection, _WITH_PAGES).fetchall() if name not in fresh.seeds]
    asked = [f"SELECT '{name}' WHERE EXISTS (SELECT FROM {name})" for name in filled]
    for (table,) in _run(connection, " UNION ALL ".join(asked)).fetchall() if asked else ():
        if _run(connection, f"DELETE FROM {table}").rowcount > _MANY_ROWS:
            return False
    for table, rows in fresh.seeds.items():
        if _copied(connection, table) != rows:
            _run(connection, f"DELETE FROM {table}")
            with connection.cursor().copy(sql.SQL(f"COPY {table} FROM STDIN")) as copy:
                copy.write(rows)
    for sequence, last, start in _sequences(connection):
        before = fresh.sequences[sequence]
        if last != before:
            connection.execute(
                "SELECT setval(%s::regclass, %s, %s)",
                [sequence, start if before is None else before, before is not None],
            )
    return True


def _catalogs(connection: "psycopg.Connection[Any]") -> str:
    """Returns a text that changes whenever the schema, a trigger, a privilege or a policy changes."""
    each = [f"SELECT '{name}', count(*), max(xmin::text::bigint) FROM pg_catalog.{name}" for name in _CATALOGS]
    return repr(_run(connection, " UNION ALL ".join([*each, _SETTINGS])).fetchall())


def _sequences(connection: "psycopg.Connection[Any]") -> list[tuple[str, int | None, int]]:
    return _run(connection, _SEQUENCES).fetchall()


def _copied(connection: "psycopg.Connection[Any]", table: str) -> bytes:
    with connection.cursor().copy(sql.SQL(f"COPY {table} TO STDOUT")) as copy:
        return b"".join(copy)


def _run(connection: "psycopg.Connection[Any]", statement: str) -> "psycopg.Cursor[Any]":
    return connection.execute(sql.SQL(statement))  # names come from the catalog, already quoted
