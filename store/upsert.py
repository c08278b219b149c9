"""Rows that are added unless they are there, or that change those that are.

SQLAlchemy writes an INSERT with ON CONFLICT anew each time, which takes longer than to run it. These are compiled once
for the process.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final, TypeVar

from sqlalchemy import Executable, Table
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.engine import Compiled, CursorResult
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import make_transient_to_detached

from store.models.base import Base

M = TypeVar("M", bound=Base)
Row = Mapping[str, Any]
Names = tuple[str, ...]
_DIALECT: Final[Any] = PGDialect_psycopg()  # type: ignore[no-untyped-call]


async def add(session: AsyncSession, model: type[Base], rows: Sequence[Row], *, unless: Names) -> None:
    """Adds rows. One whose columns `unless` are those of a row that is there changes nothing. All have the same
    columns."""
    if rows:
        await _run(session, _adding(model, tuple(rows[0]), unless, ()), [dict(row) for row in rows])


async def added(session: AsyncSession, model: type[M], row: Row, *, unless: Names) -> M | None:
    """Adds a row and returns it; None when there is one with its columns `unless`."""
    others = tuple(column.key for column in _table(model).columns if column.key not in row)
    made = (await _run(session, _adding(model, tuple(row), unless, others), dict(row))).one_or_none()
    if made is None:
        return None
    found = model(**row, **dict(zip(others, made, strict=True)))
    make_transient_to_detached(found)
    session.add(found)
    return found


async def add_or_change(session: AsyncSession, model: type[Base], rows: Sequence[Row], *, of: Names, to: Names) -> None:
    """Adds rows. One whose columns `of` are those of a row that is there changes the columns `to` of that row. All have
    the same columns."""
    if rows:
        await _run(session, _changing(model, tuple(rows[0]), of, to), [dict(row) for row in rows])


async def _run(session: AsyncSession, compiled: Compiled, values: Any) -> CursorResult[Any]:
    await session.flush()
    statement: Executable = compiled  # type: ignore[assignment]  # a connection runs it as it is
    return await (await session.connection()).execute(statement, values)


def _table(model: type[Base]) -> Table:
    table = model.__table__
    assert isinstance(table, Table)
    return table


@cache
def _adding(model: type[Base], columns: Names, unless: Names, returned: Names) -> Compiled:
    table = _table(model)
    statement = insert(table).on_conflict_do_nothing(index_elements=unless)
    made = statement.returning(*(table.c[name] for name in returned)) if returned else statement
    return made.compile(dialect=_DIALECT, column_keys=list(columns))


@cache
def _changing(model: type[Base], columns: Names, of: Names, to: Names) -> Compiled:
    statement = insert(_table(model))
    changed = {name: statement.excluded[name] for name in to}
    made = statement.on_conflict_do_update(index_elements=of, set_=changed)
    return made.compile(dialect=_DIALECT, column_keys=list(columns))
