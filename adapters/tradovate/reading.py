"""Rows of the venue as they come, for messages that the decoder reads: lists, and one account whole.

The fills of an account are listed by their orders, in several calls. A fill that comes between two of them can be
missing though a later one is there. So they are listed twice: ids grow with time, so the second time everything is
there that is not newer than the newest of the first time. What is newer is left out: it is pushed, and in the next
history.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from adapters.tradovate.client import WHO, Api, joined
from adapters.tradovate.wire import CASH_SNAPSHOT, OPEN_ORDERS
from domain.errors import Unavailable

Row = dict[str, Any]
_IN_ONE_CALL: Final = 200  # ids in one address
_TRIES: Final = 3
_MOST_TRIES: Final = 30  # while fills come, where one between two reads would stay wrong


async def read_list(api: Api, path: str, **query: str | int) -> list[Row]:
    """Raises Unavailable for an answer that is no list of objects with ids."""
    answer = await api.get(path, **query)
    if not isinstance(answer, list) or not all(
        isinstance(row, dict) and isinstance(row.get("id"), int) for row in answer
    ):
        raise Unavailable(f"{WHO} sent an answer to {path} that cannot be read.")
    return answer


def _has_id(row: object) -> bool:
    return isinstance(row, dict) and isinstance(row.get("id"), int)


@contextmanager
def readable_rows() -> Iterator[None]:
    """Turns a row without a field that we need into Unavailable."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        raise Unavailable(f"{WHO} sent rows that cannot be read ({type(exc).__name__} {exc}).") from exc


async def read_many(api: Api, path: str, ids: list[int], field: str = "masterids") -> list[Row]:
    rows: list[Row] = []
    for start in range(0, len(ids), _IN_ONE_CALL):
        rows += await read_list(api, path, **{field: joined(ids[start : start + _IN_ONE_CALL])})
    return rows


async def read_history(api: Api, login: int) -> Row:
    """All orders, fills, fees and cash entries of one account."""
    orders, fills = await _orders_and_fills(api, login)
    newest = newest_id(fills)
    cash = await read_list(api, "cashBalanceLog/deps", masterid=login)
    if fills:
        orders, fills = await _orders_and_fills(api, login)
    return await _history(api, login, orders, _up_to(newest, fills), cash)


async def read_whole(api: Api, login: int, *, exactly: bool) -> tuple[Row, Row]:
    """Returns history and snapshot of an account, of one moment: read again while they differ. An account whose old
    fills the venue no longer lists differs always, and is returned after a few tries. `exactly`: it is not returned
    while fills come between the reads. Raises Unavailable then."""
    orders, fills = await _orders_and_fills(api, login)
    for number in range(1, 1 + (_MOST_TRIES if exactly else _TRIES)):
        newest = newest_id(fills)
        positions = await read_list(api, "position/deps", masterid=login)
        worth = await api.ask(CASH_SNAPSHOT, {"accountId": login})
        cash = await read_list(api, "cashBalanceLog/deps", masterid=login)
        orders, fills = await _orders_and_fills(api, login)
        quiet = newest_id(fills) == newest
        agreed = isinstance(worth, dict) and _of_one_moment(fills, cash, positions, worth)
        if quiet and (agreed or number >= _TRIES):
            break
    else:
        if exactly:
            raise Unavailable(f"Account {login} trades too fast at {WHO} to be read.", remedy="It is read again.")
    history = await _history(api, login, orders, _up_to(newest, fills), cash)
    statuses = await read_list(api, "accountRiskStatus/deps", masterid=login)
    account = await api.get("account/item", id=login)
    status = statuses[0] if statuses else None
    return history, {"account": account, "status": status, "positions": positions, "worth": worth}


async def _orders_and_fills(api: Api, login: int) -> tuple[list[Row], list[Row]]:
    orders = await read_list(api, "order/deps", masterid=login)
    return orders, await read_many(api, "fill/ldeps", [row["id"] for row in orders])


async def _history(api: Api, login: int, orders: list[Row], fills: list[Row], cash: list[Row]) -> Row:
    told = sorted({row["orderId"] for row in fills} | {row["id"] for row in orders if is_open(row)})
    return {
        "accountId": login,
        "orders": orders,
        "versions": await read_many(api, "orderVersion/ldeps", told),
        "fees": await read_many(api, "fillFee/ldeps", [row["id"] for row in fills]),
        "fills": fills,
        "cash": cash,
    }


def newest_id(rows: Iterable[Row]) -> int:
    return max((row["id"] for row in rows), default=0)


def _up_to(newest: int, fills: Iterable[Row]) -> list[Row]:
    return [row for row in fills if row["id"] <= newest]


def _of_one_moment(fills: Iterable[Row], cash: Iterable[Row], positions: Iterable[Row], worth: Row) -> bool:
    net: defaultdict[int, int] = defaultdict(int)
    for fill in fills:
        if fill.get("active", True):
            net[fill["contractId"]] += fill["qty"] if fill["action"] == "Buy" else -fill["qty"]
    for row in positions:
        net[row["contractId"]] -= row["netPos"]
    return not any(net.values()) and worth.get("totalCashValue") == last_amount(cash)


def last_amount(cash: Iterable[Row]) -> Any:
    """The balance after the last entry of a log; 0 for an empty one."""
    return max(cash, key=lambda row: row["id"], default={"amount": 0})["amount"]


def is_open(order: Row) -> bool:
    return order.get("ordStatus") in OPEN_ORDERS
