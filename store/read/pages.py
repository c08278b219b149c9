"""Shared by all read models: frozen views, visibility of rows, and pages that stay stable while rows are added."""

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Generic, TypeVar

from pydantic import BaseModel, ConfigDict
from sqlalchemy import Row, Select, literal, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import BadInput

MAX_LIMIT: Final = 200
_BIGGEST: Final = 2**63 - 1
T = TypeVar("T")


class View(BaseModel):
    """A frozen result row. Money is in minor units beside its `currency`; times are UTC."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Page(View, Generic[T]):
    """One page of rows. `next_cursor` is opaque; None on the last page."""

    items: tuple[T, ...]
    next_cursor: str | None


@dataclass(frozen=True)
class Window:
    """The requested page. `cursor` comes from the page before; None for the first page."""

    limit: int = 50
    cursor: str | None = None


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
        raise BadInput(
            "This cursor is not one of ours.", field="cursor", remedy="Start again without a cursor."
        ) from None


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


async def keyset(
    session: AsyncSession, statement: Select[Any], keys: Sequence[Any], window: Window, *, descending: bool = True
) -> tuple[Sequence[Row[Any]], str | None]:
    """Returns one page of `statement` sorted by `keys`, and the cursor of the next page. `keys` are unique together."""
    if window.cursor is not None:
        after = decode_cursor(window.cursor, [key.type.python_type for key in keys])
        bound = tuple_(*(literal(value, key.type) for value, key in zip(after, keys, strict=True)))
        position = tuple_(*keys)
        statement = statement.where(position < bound if descending else position > bound)
    labelled = [key.label(f"_key_{index}") for index, key in enumerate(keys)]
    order = [key.desc() if descending else key.asc() for key in keys]
    limit = max(1, min(window.limit, MAX_LIMIT))
    rows = (await session.execute(statement.add_columns(*labelled).order_by(*order).limit(limit + 1))).all()
    if len(rows) <= limit:
        return rows, None
    last = rows[limit - 1]._mapping
    return rows[:limit], encode_cursor([last[f"_key_{index}"] for index in range(len(keys))])
