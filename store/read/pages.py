"""Shared by all read models: frozen views, visibility of rows, and pages that stay stable while rows are added."""

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Generic, Literal, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict
from sqlalchemy import BindParameter, Row, Select, bindparam, literal, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import BadInput

MAX_LIMIT: Final = 200
_BIGGEST: Final = 2**63 - 1
_BACK: Final = "back."  # begins the cursor of the page before
_BOUND: Final = "bound_"  # begins the names of the parameters of `cut_once`
Way = Literal["first", "older", "newer"]
T = TypeVar("T")


class View(BaseModel):
    """A frozen result row. Money is in minor units beside its `currency`; times are UTC."""

    # Most are rows of a page, which is prepared as a whole when it is first sent.
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class Page(View, Generic[T]):
    """One page of rows. The cursors are opaque. `next_cursor`: None on the last page. `previous_cursor`: None on the
    first page, and for a list that is only read forwards."""

    items: tuple[T, ...]
    next_cursor: str | None
    previous_cursor: str | None = None


@dataclass(frozen=True)
class Window:
    """The requested page. `cursor` comes from a page beside it; None for the first page. `most`: rows that it may have;
    a file has more than a page."""

    limit: int = 50
    cursor: str | None = None
    most: int = MAX_LIMIT


def account_number(number: int) -> str:
    """Returns the number as people write it: A-10001."""
    return f"A-{number}"


def mask_iban(iban: str | None) -> str | None:
    """Returns an IBAN as DE…4821: enough to recognise, too little to use."""
    return None if iban is None else f"{iban[:2]}…{iban[-4:]}"


def encode_cursor(values: Sequence[Any]) -> str:
    plain = [value.isoformat() if isinstance(value, datetime) else value for value in values]
    return base64.urlsafe_b64encode(json.dumps(plain).encode()).decode().rstrip("=")


def decode_cursor(cursor: str, types: Sequence[type]) -> list[Any]:
    """Returns the sort key in a cursor. Raises BadInput for a cursor that `encode_cursor` did not make."""
    try:
        values = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
        if not isinstance(values, list) or len(values) != len(types):
            raise ValueError
        return [_typed(value, wanted) for value, wanted in zip(values, types, strict=True)]
    except (ValueError, TypeError, binascii.Error, RecursionError):
        raise not_ours() from None


def not_ours() -> BadInput:
    return BadInput("This cursor is not one of ours.", field="cursor", remedy="Start again without a cursor.")


def _typed(value: Any, wanted: type) -> Any:
    if wanted is datetime:
        found = datetime.fromisoformat(value)
        if found.tzinfo is None:
            raise ValueError
        return found
    if type(value) is not wanted:
        raise ValueError
    if isinstance(value, int) and abs(value) > _BIGGEST:
        raise ValueError
    if isinstance(value, str) and "\0" in value.encode().decode():  # half a character cannot be encoded
        raise ValueError
    return value


class Paged(NamedTuple):
    """The rows of a page, and the cursors of the pages beside it; None where there is none."""

    rows: Sequence[Row[Any]]
    next_cursor: str | None
    previous_cursor: str | None


def size_of(window: Window) -> int:
    """How many rows a page has at most."""
    return max(1, min(window.limit, window.most))


def goes_back(window: Window) -> bool:
    """Whether the page before a cursor is asked for."""
    return (window.cursor or "").startswith(_BACK)


def bound_of(window: Window, types: Sequence[type]) -> list[Any]:
    """The sort key at which a page begins; empty for the first page. Raises BadInput."""
    return decode_cursor(window.cursor.removeprefix(_BACK), types) if window.cursor else []


def cut(
    statement: Select[Any], keys: Sequence[Any], bound: Sequence[Any], limit: int, *, downwards: bool = True
) -> Select[Any]:
    """The rows of `statement` beyond `bound`, values or parameters, in the order of `keys`; one more than `limit`."""
    if bound:
        position = tuple_(*keys)
        statement = statement.where(position < tuple_(*bound) if downwards else position > tuple_(*bound))
    order = [key.desc() if downwards else key.asc() for key in keys]
    return statement.order_by(*order).limit(limit + 1)


def way_of(window: Window) -> Way:
    """Which page is asked for, as `cut_once` distinguishes them."""
    return "first" if not window.cursor else "newer" if goes_back(window) else "older"


def cut_once(
    statement: Select[Any], keys: Sequence[Any], way: Way, limit: int, *, descending: bool = True
) -> Select[Any]:
    """`cut` of a statement that is put together once: the key at which a page begins is in parameters, whose values
    `bound_values` returns."""
    begins = () if way == "first" else keys
    bound = [bindparam(f"{_BOUND}{number}", type_=key.type) for number, key in enumerate(begins)]
    return cut(statement, keys, bound, limit, downwards=descending is not (way == "newer"))


def bound_values(bound: Sequence[Any]) -> dict[str, Any]:
    """The parameters of `cut_once`. `bound`: the key at which the page begins, empty for the first one."""
    return {f"{_BOUND}{number}": value for number, value in enumerate(bound)}


def beside(statement: Select[Any], keys: Sequence[Any], window: Window, *, descending: bool = True) -> Select[Any]:
    """The rows of `statement` that a page can be made of: those beyond its cursor, in the order of `keys`, and one
    more than it shows. Each part of a union is cut like this, so that no part is read to its end."""
    bound = _literals(window, keys)
    return cut(statement, keys, bound, size_of(window), downwards=descending is not goes_back(window))


def _literals(window: Window, keys: Sequence[Any]) -> list[BindParameter[Any]]:
    """The sort key at which a page begins, as values of the columns; empty for the first page."""
    values = bound_of(window, [key.type.python_type for key in keys])
    return [literal(value, key.type) for value, key in zip(values, keys, strict=False)]


async def keyset(
    session: AsyncSession, statement: Select[Any], keys: Sequence[Any], window: Window, *, descending: bool = True
) -> tuple[Sequence[Row[Any]], str | None]:
    """Returns one page of `statement` sorted by `keys`, and the cursor of the next page. `keys` are unique together."""
    found = await both_ways(session, statement, keys, window, descending=descending)
    return found.rows, found.next_cursor


async def both_ways(
    session: AsyncSession,
    statement: Select[Any],
    keys: Sequence[Any],
    window: Window,
    *,
    descending: bool = True,
    none: int | None = None,
) -> Paged:
    """Like `keyset`, with the way back as well. `none`: the value of the first key, beyond every other, of rows that
    come last in both directions."""
    wanted = with_keys(statement, keys)
    if none is not None and descending:
        found = await _none_last(session, wanted, keys, window, none)
    else:
        found = (await session.execute(beside(wanted, keys, window, descending=descending))).all()
    return paged(found, window, len(keys))


async def _none_last(
    session: AsyncSession, statement: Select[Any], keys: Sequence[Any], window: Window, none: int
) -> Sequence[Row[Any]]:
    """The rows of a page, descending: those with a value, and when they are at their end those without. So both
    directions read one index."""
    bound, back = _literals(window, keys), goes_back(window)
    parts = [keys[0] < none, keys[0] == none]
    if back:
        parts.reverse()
    if bound and (bound[0].value == none) is not back:  # the page begins in the second part
        del parts[0]
    found = list[Row[Any]]()
    for part in parts:
        left = size_of(window) - len(found)
        if left < 0:
            break
        wanted = cut(statement.where(part), keys, bound, left, downwards=not back)
        found += (await session.execute(wanted)).all()
        bound = []
    return found


def with_keys(statement: Select[Any], keys: Sequence[Any]) -> Select[Any]:
    """The rows with their sort keys, of which `paged` makes cursors."""
    return statement.add_columns(*(key.label(f"_key_{index}") for index, key in enumerate(keys)))


def paged(found: Sequence[Row[Any]], window: Window, keys: int) -> Paged:
    """A page of the rows that were cut for it. `keys`: how many sort keys each has."""
    return Paged(*cut_page(found, window, lambda row: [row._mapping[f"_key_{index}"] for index in range(keys)]))


def cut_page(
    found: Sequence[T], window: Window, key_of: Callable[[T], Sequence[Any]]
) -> tuple[Sequence[T], str | None, str | None]:
    """Rows of a page, in its order, with the cursors of the pages beside it. `found`: those beyond its cursor in the
    direction in which it is read, and one more than it shows when there are more."""
    limit, back = size_of(window), goes_back(window)
    more, shown = len(found) > limit, found[:limit]
    rows = shown[::-1] if back else shown
    if not rows:
        return rows, None, None
    goes_on, comes_after = (True, more) if back else (more, bool(window.cursor))
    return (
        rows,
        encode_cursor(key_of(rows[-1])) if goes_on else None,
        _BACK + encode_cursor(key_of(rows[0])) if comes_after else None,
    )
