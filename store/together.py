"""Statements that are put together and compiled once for the process: to build them anew takes longer than to run them.

Several small reads become one statement: one round trip, and all as of one moment.
"""

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Final, TypeVar, Union

from sqlalchemy import JSON, BindParameter, Executable, Row, Select, TextualSelect, column, func, select, text
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.engine import Compiled
from sqlalchemy.ext.asyncio import AsyncSession

T = TypeVar("T")
Param = Union[T, BindParameter[T]]  # noqa: UP007  # a value of a query, or the place of one that a call gives
Rows = list[dict[str, Any]]
_DIALECT: Final[Any] = PGDialect_psycopg()  # type: ignore[no-untyped-call]
_PLAIN: Final[Any] = PGDialect_psycopg(paramstyle="named")  # type: ignore[no-untyped-call]  # "%" stands for itself
_COLON: Final = re.compile(r"(?<!:):(?=\w)")


class CompiledOnce:
    """A query that is compiled when it is first run. `in_text`: nothing in it differs from call to call, and its values
    stand in the text; otherwise what differs is a `bindparam` in it."""

    def __init__(self, query: Select[Any], *, in_text: bool = False) -> None:
        self._query, self._in_text = query, in_text

    @cached_property
    def _compiled(self) -> Compiled:
        dialect = _PLAIN if self._in_text else _DIALECT
        return self._query.compile(dialect=dialect, compile_kwargs={"literal_binds": self._in_text})

    async def rows(self, session: AsyncSession, values: Mapping[str, Any]) -> Sequence[Row[Any]]:
        """`values`: of the parameters, by their names."""
        await session.flush()
        statement: Executable = self._compiled  # type: ignore[assignment]  # a connection runs it as it is
        connection = await session.connection()
        if self._in_text:  # the driver looks for no places of values in it, which takes longer the longer it is
            return (await connection.execute(statement, execution_options={"no_parameters": True})).all()
        return (await connection.execute(statement, values)).all()


class _Together:
    """`queries` by name. What differs from call to call is a `bindparam` in them."""

    def __init__(self, **queries: Select[Any]) -> None:
        self._queries = queries

    _in_text: bool = False  # whether the values stand in the text

    def _columns(self) -> list[Any]:
        raise NotImplementedError

    @cached_property
    def _statement(self) -> CompiledOnce:
        return CompiledOnce(select(*self._columns()), in_text=self._in_text)

    async def _one(self, session: AsyncSession, values: dict[str, Any]) -> Row[Any]:
        (row,) = await self._statement.rows(session, values)
        return row


class ManyRows(_Together):
    """Reads the rows of each query, in its order, under its name. Columns are text, whole numbers or truth values: the
    rows come as JSON."""

    def _columns(self) -> list[Any]:
        return [as_list(query).scalar_subquery().label(name) for name, query in self._queries.items()]

    async def read(self, session: AsyncSession, **values: Any) -> dict[str, Rows]:
        """`values`: of the parameters, by their names."""
        found = await self._one(session, values)
        return {name: rows or [] for name, rows in zip(self._queries, found, strict=True)}


class OneValueEach(_Together):
    """Reads the one value of each query, under its name; None where a query finds no row."""

    def _columns(self) -> list[Any]:
        return [query.scalar_subquery().label(name) for name, query in self._queries.items()]

    async def read(self, session: AsyncSession, **values: Any) -> Row[Any]:
        """`values`: of the parameters, by their names."""
        return await self._one(session, values)


class OneFixedValueEach(OneValueEach):
    """As `OneValueEach`, of queries in which nothing differs from call to call: their values stand in the text. So the
    server plans it once for a connection, and can use an index of only some rows."""

    _in_text = True


def fixed(query: Select[Any]) -> TextualSelect:
    """Returns a query in which nothing differs from call to call, to read from: its values and its tables stand in the
    text, so no statement that is made of it goes through its parts again."""
    compiled = query.compile(dialect=_PLAIN, compile_kwargs={"literal_binds": True})
    columns = (column(str(each.key), each.type) for each in query.selected_columns)
    return text(_COLON.sub(r"\:", str(compiled))).columns(*columns)


def as_list(query: Select[Any]) -> Select[Any]:
    """Returns the rows of a query as one value: a list in JSON, None without rows."""
    rows = query.subquery()
    return select(func.json_agg(rows.table_valued(), type_=JSON))
