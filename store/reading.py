"""A transaction that only reads, such as that of a page: what several parts of it ask for is read once."""

from collections.abc import Awaitable, Callable, Coroutine
from functools import wraps
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncSession

P = ParamSpec("P")
T = TypeVar("T")
_READ: Final = "read_once"


def only_reads(session: AsyncSession) -> None:
    """From now on this transaction remembers what functions marked `read_once` returned, and keeps the rows that it has
    loaded, so that none is loaded twice. Whoever calls this changes nothing with the transaction."""
    session.info[_READ] = {}
    rows: list[Any] = []
    event.listen(session.sync_session, "loaded_as_persistent", lambda _, row: rows.append(row))


def read_once(
    read: Callable[Concatenate[AsyncSession, P], Awaitable[T]],
) -> Callable[Concatenate[AsyncSession, P], Coroutine[Any, Any, T]]:
    """Marks a function that reads and whose arguments can be keys."""

    @wraps(read)
    async def reader(session: AsyncSession, /, *args: P.args, **named: P.kwargs) -> T:
        known: dict[Any, T] | None = session.info.get(_READ)
        if known is None:
            return await read(session, *args, **named)
        key = (read, args, tuple(sorted(named.items())))
        if key not in known:
            known[key] = await read(session, *args, **named)
        return known[key]

    return reader
