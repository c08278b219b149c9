"""Indexes of tables that may be large: an upgrade builds them after its transaction, while others write.

`CREATE INDEX` within the transaction of the migrations would hold up every writer until it commits, and PostgreSQL
builds an index CONCURRENTLY only outside of a transaction, and not of a table in parts. So a migration makes such an
index while the table has no rows (`begin`). Else `build_missing` builds it: part by part for a table in parts.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from psycopg.errors import LockNotAvailable
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import OperationalError

from store import roles
from store.models.challenges import DECIDED

_LOCK: Final = 7120006
_MOMENT_MS: Final = 200


@dataclass(frozen=True, slots=True)
class Large:
    """`where`: the condition of a partial index. `name` may have at most 50 characters: that of a part's index is the
    part's name and the columns."""

    name: str
    table: str
    columns: Sequence[str]
    where: str = ""

    @property
    def definition(self) -> str:
        return f"({', '.join(self.columns)})" + (f" WHERE {self.where}" if self.where else "")


LARGE: Final = (
    Large("ix_deals_updated", "deals", ("updated_at", "id")),
    Large("ix_deals_account", "deals", ("account_id", "id")),
    Large("ix_postings_updated", "postings", ("updated_at", "id")),
    Large("ix_transitions_decided", "transitions", ("occurred_at",), DECIDED),
)


def begin(connection: Connection, name: str) -> None:
    """For a migration: makes the index of this name if its table has no rows. Of a table in parts that has some, it
    makes what the indexes of the parts are attached to."""
    (wanted,) = (each for each in LARGE if each.name == name)
    if not connection.scalar(text(f"SELECT EXISTS (SELECT FROM {wanted.table})")):
        connection.exec_driver_sql(f"CREATE INDEX {wanted.name} ON {wanted.table} {wanted.definition}")
    elif _parts(connection, wanted.table) is not None:
        connection.exec_driver_sql(_HEAD.format(wanted=wanted))


# the role may be that of another database of this server
_IS_OWNERS: Final = text("SELECT tableowner = :owner FROM pg_tables WHERE schemaname = 'public' AND tablename = :table")
_HEAD: Final = "CREATE INDEX {wanted.name} ON ONLY {wanted.table} {wanted.definition}"


def missing(connection: Connection) -> list[Large]:
    """Returns the indexes that are not there, or not built to the end."""
    return [each for each in LARGE if not _is_valid(connection, each.name)]


def build_missing(engine: Engine) -> None:
    """Builds what is missing, each index by itself; one that was interrupted is built anew. Nobody who writes waits.
    Does nothing while another process builds: one that waited would be waited for."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        wanted = missing(connection)
        if not wanted or not connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": _LOCK}):
            return
        if roles.may_own(connection) and connection.scalar(_IS_OWNERS, {"table": LARGE[0].table, "owner": roles.OWNER}):
            connection.exec_driver_sql(f"SET ROLE {roles.OWNER}")
        for each in wanted:
            if _parts(connection, each.table) is None:
                _build(connection, each.name, each.table, each.definition)
            else:
                _build_in_parts(connection, each)


def _build(connection: Connection, name: str, table: str, definition: str) -> None:
    if not _is_valid(connection, name):
        connection.exec_driver_sql(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
        connection.exec_driver_sql(f"CREATE INDEX CONCURRENTLY {name} ON {table} {definition}")


def _build_in_parts(connection: Connection, wanted: Large) -> None:
    """An index of the whole is valid when every part has one of its own that is attached to it. A part that is made
    meanwhile comes with one."""
    if connection.scalar(text("SELECT to_regclass(:name) IS NULL"), {"name": wanted.name}):
        _soon(connection, _HEAD.format(wanted=wanted))
    for part in _parts(connection, wanted.table) or ():
        if connection.scalar(_ATTACHED, {"index": wanted.name, "part": part}):
            continue
        name = f"{part}_{'_'.join(wanted.columns)}_idx"
        _build(connection, name, part, wanted.definition)
        _soon(connection, f"ALTER INDEX {wanted.name} ATTACH PARTITION {name}")


def _soon(connection: Connection, statement: str) -> None:
    """Runs a short statement that waits for those who write, while others would wait behind it: a moment at a time."""
    connection.exec_driver_sql(f"SET lock_timeout = '{_MOMENT_MS}ms'")
    while True:
        try:
            connection.exec_driver_sql(statement)
            break
        except OperationalError as error:
            if not isinstance(error.orig, LockNotAvailable):
                raise
        time.sleep(_MOMENT_MS / 1000)
    connection.exec_driver_sql("SET lock_timeout = 0")


_ATTACHED: Final = text("""
    SELECT EXISTS (SELECT FROM pg_inherits i JOIN pg_index x ON x.indexrelid = i.inhrelid
                    WHERE i.inhparent = CAST(:index AS regclass) AND x.indrelid = CAST(:part AS regclass))
""")


def _parts(connection: Connection, table: str) -> Sequence[str] | None:
    """Returns the names of a table's parts; None for a table that is not in parts."""
    kind = connection.scalar(text("SELECT relkind FROM pg_class WHERE oid = to_regclass(:name)"), {"name": table})
    if kind != "p":
        return None
    names = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = to_regclass(:name) ORDER BY 1"
    return connection.scalars(text(names), {"name": table}).all()


def _is_valid(connection: Connection, name: str) -> bool:
    valid = text("SELECT coalesce((SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(:name)), false)")
    return bool(connection.scalar(valid, {"name": name}))
