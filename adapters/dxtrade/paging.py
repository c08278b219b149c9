"""Lists of DXtrade that come in pages. How they are counted is unverified: orders by pages, transfers by rows."""

from collections.abc import AsyncIterator, Mapping
from typing import Any, Final, Literal

from adapters.dxtrade import wire
from adapters.dxtrade.client import Answer, Client
from adapters.dxtrade.errors import WHO
from adapters.dxtrade.shapes import account_name
from domain.errors import Unavailable

Rows = Literal["orders", "cashTransfers"]
ORDERS: Final[Rows] = "orders"
TRANSFERS: Final[Rows] = "cashTransfers"


async def pages(client: Client, path: str, rows: Rows, query: Mapping[str, str] | None = None) -> AsyncIterator[Answer]:
    """Yields every page of a list. `rows`: the field with its rows. Raises NotFound, and Unavailable, also for a list
    that sends the same page again and again."""
    start, before = 0, list[dict[str, Any]]()
    while True:
        if rows == ORDERS:
            place = {"page": str(start // wire.PAGE + 1), "page-size": str(wire.PAGE)}
        else:
            place = {"start-from": str(start), "limit": str(wire.PAGE)}
        answer = await client.ask(f"{wire.TRADING}/{path}", {**(query or {}), **place})
        found = rows_of(answer, rows)
        if found and found == before:
            raise Unavailable(f"{WHO} sends a list that does not end.")
        yield answer
        if len(found) < wire.PAGE:
            return
        start, before = start + len(found), found


def rows_of(answer: Answer, field: str) -> list[dict[str, Any]]:
    """Returns the rows of an answer that are objects; none for another document."""
    return dicts(answer.found.get(field)) if isinstance(answer.found, dict) else []


def account_of(row: Mapping[str, Any]) -> str:
    """Returns the account "clearing:code" of a row."""
    return str(account_name(row.get("account")))


def version_of(row: Mapping[str, Any]) -> int:
    """Returns the version of a row; 0 for one that has none."""
    try:
        return int(str(row.get("version")))
    except ValueError:
        return 0


def dicts(rows: object) -> list[dict[str, Any]]:
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
