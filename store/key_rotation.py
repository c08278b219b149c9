"""Rotation of the keys: which key every encrypted value and blind index needs, and how they move to the first key.

Blind words that a row of an earlier version lacks are made on the way.

Nothing is remembered between two runs: a value names its key, so a run that was killed continues where it ended. The
firm keeps working: a reader finds each row by either index, and rows that somebody else has locked are left for the
next pass, so that nothing waits for this one for longer than a batch takes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    LargeBinary,
    String,
    Table,
    Text,
    and_,
    case,
    cast,
    func,
    literal,
    or_,
    select,
    text,
    type_coerce,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from store import crypto
from store.crypto import BlindIndex, BlindWords, Encrypted, FieldKeys, Undecipherable
from store.db import allow_long_job
from store.models import every_table

UNNAMED: Final = ""  # the key of a blind index that is older than the names
BATCH: Final = 200
_CONNECTION: Final = "propos keys "


@dataclass(frozen=True)
class Use:
    """Rows of a column whose value is under a key."""

    column: str
    key_id: str
    rows: int


@dataclass(frozen=True)
class Step:
    """One batch: `seen` rows up to the primary key `last`, of which `changed` were moved. `unreadable`: columns and
    primary keys of values that cannot be decrypted; they stay as they are."""

    seen: int
    changed: int
    last: tuple[Any, ...] | None
    unreadable: tuple[str, ...] = ()


def connection_name(keys: FieldKeys) -> str:
    """Returns the name of a process's connections: it tells which keys the process has, the one that it encrypts with
    first."""
    return _CONNECTION + ",".join(keys.ids)


async def rings_in_use(session: AsyncSession) -> list[tuple[str, ...]]:
    """Returns the key ids of the other connected processes, each ring once, the key that encrypts first."""
    names = await session.scalars(
        text(
            "SELECT DISTINCT application_name FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid() AND application_name LIKE :names"
        ),
        {"names": _CONNECTION + "%"},
    )
    return sorted(tuple(name.removeprefix(_CONNECTION).split(",")) for name in names)


@cache
def tables() -> tuple[Table, ...]:
    """Returns every table with an encrypted column."""
    return tuple(table for table in every_table().sorted_tables if _columns(table, Encrypted))


async def usage(session: AsyncSession) -> list[Use]:
    """Returns how many values are under which key, by column."""
    await allow_long_job(session)
    found = []
    for table in tables():
        for column, key_id in _key_ids(table):
            rows = await session.execute(
                select(key_id, func.count()).where(key_id.is_not(None)).group_by(key_id).order_by(key_id)
            )
            found += [Use(f"{table.name}.{column.name}", key, count) for key, count in rows]
    return found


async def count_behind(session: AsyncSession, table: Table) -> int:
    """Returns how many rows of the table have a value that is not under the first key."""
    return int(await session.scalar(select(func.count()).select_from(table).where(_behind(table))) or 0)


async def step(session: AsyncSession, table: Table, after: tuple[Any, ...] | None) -> Step:
    """Moves the next rows after the primary key `after` to the first key; leaves those that are locked."""
    key = list(table.primary_key.columns)
    encrypted = _columns(table, Encrypted)
    wanted = select(*key, *(type_coerce(column, LargeBinary).label(column.name) for column in encrypted))
    wanted = wanted.where(_behind(table)).order_by(*key).limit(BATCH).with_for_update(skip_locked=True)
    if after is not None:
        wanted = wanted.where(func.row(*key) > func.row(*after))
    rows = (await session.execute(wanted)).all()
    changed, unreadable = 0, list[str]()
    for row in rows:
        values, bad = _moved(table, row._mapping)
        unreadable += bad
        if values:
            changed += 1
            match = and_(*(column == row._mapping[column.name] for column in key))
            await session.execute(update(table).where(match).values(values))
    last = tuple(rows[-1]._mapping[column.name] for column in key) if rows else None
    return Step(len(rows), changed, last, tuple(unreadable))


def _moved(table: Table, row: Any) -> tuple[dict[str, Any], list[str]]:
    """Returns the values of a row under the first key, and the names of those that cannot be read."""
    keys = crypto.keys()
    values: dict[str, Any] = {}
    unreadable = []
    for column in _columns(table, Encrypted):
        stored = row[column.name]
        if stored is None:
            continue
        try:
            values[column.name] = keys.decrypt(bytes(stored), column.type.context)
        except Undecipherable:
            name = "/".join(str(row[part.name]) for part in table.primary_key.columns)
            unreadable.append(f"{table.name}.{column.name} of {name}")
    for column in _columns(table, BlindIndex):
        if column.type.of in values:
            values[column.name] = keys.blind_index(values[column.type.of])
    for column in _columns(table, BlindWords):
        if column.type.of in values:
            values[column.name] = keys.word_indexes(values[column.type.of])
    return values, unreadable


def _columns(table: Table, kind: type[Any]) -> list[Any]:
    return [column for column in table.columns if isinstance(column.type, kind)]


def _key_ids(table: Table) -> list[tuple[Any, ColumnElement[str]]]:
    """Returns each encrypted column and blind index with the expression of its key id, which is NULL for a name without
    words."""
    return [
        *((column, _key_of_value(column)) for column in _columns(table, Encrypted)),
        *((column, _key_of_index(column)) for column in _columns(table, BlindIndex)),
        *((column, _key_of_words(column)) for column in _columns(table, BlindWords)),
    ]


def _key_of_words(column: Any) -> ColumnElement[str]:
    return func.split_part(type_coerce(column, ARRAY(Text))[1], ":", 1)


def _key_of_value(column: Any) -> ColumnElement[str]:
    raw = type_coerce(column, LargeBinary)
    head = func.substring(raw, 1, func.position(literal(b"\x00", LargeBinary).op("IN")(raw)) - 1)
    return func.encode(head, "escape", type_=String)


def _key_of_index(column: Any) -> ColumnElement[str]:
    plain = cast(column, Text)
    return case((plain.contains(":"), func.split_part(plain, ":", 1)), else_=UNNAMED)


def _behind(table: Table) -> ColumnElement[bool]:
    current = crypto.keys().current
    return or_(
        *(and_(column.is_not(None), key_id != current) for column, key_id in _key_ids(table)),
        *(column.is_(None) for column in _columns(table, BlindWords)),
    )


def needs(uses: Sequence[Use], key_id: str) -> list[str]:
    """Returns what needs the key, in words. An index without a name may be under any key."""
    named = [f"{use.rows} rows of {use.column}" for use in uses if use.key_id == key_id]
    return named + [f"{use.rows} rows of {use.column}, which may be under any key" for use in uses if not use.key_id]
