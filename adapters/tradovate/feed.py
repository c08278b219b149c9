"""What Tradovate tells while it happens: a VenueFeed.

The accounts are spread over web sockets by the remainder of their ids (`user/syncrequest` with a sharding expression);
one more socket brings the quotes. The venue describes no end of the first answer to a subscription. So the feed
subscribes first, reads everything by questions, and then tells what was pushed meanwhile; the gateway drops what it has
twice.

The feed reads its own messages too. An account whose pushes do not explain its balance or position is asked for whole.
"""

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from adapters.tradovate.client import Api, rates
from adapters.tradovate.decoder import (
    CAUGHT_UP,
    HISTORY,
    LIBRARY,
    QUOTES,
    SNAPSHOT,
    USER,
    TradovateDecoder,
    is_ours,
)
from adapters.tradovate.library import Library
from adapters.tradovate.pushes import Pushes
from adapters.tradovate.reading import (
    Row,
    is_open,
    last_amount,
    newest_id,
    read_history,
    read_list,
    read_many,
    read_whole,
    readable_rows,
)
from adapters.tradovate.settings import TradovateSettings
from adapters.tradovate.wire import CASH_SNAPSHOT
from adapters.venue.limits import Rate
from domain.errors import Unavailable
from ports.platform import SymbolSpec
from ports.venue import Message, Unreadable

_TYPES: Final = (
    *("account", "accountRiskStatus", "cashBalance", "position", "order", "orderVersion", "fill", "fillFee"),
)
_QUEUED: Final = 200_000
_OF_ONE: Final = 11  # calls that tell one account with its history
_OF_LISTS: Final = 4  # calls that tell all without
_SHARE: Final = 0.5  # of the venue's rate limit, for comparing
_FIRST_ASK, _LONGEST_ASK = 0.5, 60.0  # seconds until a differing account is asked for, again and again
_LOOK: Final = 1.0  # seconds without a frame until what is due is looked for


class TradovateFeed:
    """A VenueFeed."""

    def __init__(self, name: str, settings: TradovateSettings) -> None:
        self.name = name
        self._settings = settings
        self._api = Api(settings, settings.url)
        self._library = Library(self._api)
        self._calls = calls_in_a_pass(settings.gateway_reconcile_seconds, rates(settings))
        self._told: set[int] = set()  # accounts whose snapshot was told by this process
        self._last_held = 0

    def decoder(self) -> TradovateDecoder:
        return TradovateDecoder(self._settings.prefix, self._settings.currency)

    async def symbols(self) -> list[SymbolSpec]:
        return [each.spec() for each in await self._library.named(self._settings.symbol_names())]

    async def aclose(self) -> None:
        await self._api.aclose()

    async def messages(self, cursors: Mapping[str, str]) -> AsyncGenerator[Message, None]:
        """Close it (contextlib.aclosing) when it is not read to its end: it has sockets open."""
        queue: asyncio.Queue[Message | Unavailable] = asyncio.Queue(_QUEUED)
        watch = _Watch(self.decoder())
        sockets: list[tuple[str, Pushes]] = []
        readers: list[asyncio.Task[None]] = []
        try:
            await self._open(sockets)
            readers += [asyncio.create_task(_read(channel, each, queue)) for channel, each in sockets]
            with readable_rows():
                async for message in self._catch_up(cursors):
                    watch.take(message)
                    yield message
            while True:
                item = await _next(queue)
                if isinstance(item, Unavailable):
                    raise item
                if item is not None:
                    watch.take(item)
                    yield item
                async for message in self._asked_again(watch):
                    yield message
        finally:
            for reader in readers:
                reader.cancel()
            await asyncio.gather(*readers, *(each.close() for _, each in sockets), return_exceptions=True)

    async def fills(self, login: int, cursor: str) -> AsyncIterator[Message]:
        """The whole history, whatever the cursor: a fill is understood only after those before it."""
        with readable_rows():
            history = await read_history(self._api, login)
        yield _message(HISTORY, history)

    async def snapshots(self, logins: Iterable[int]) -> AsyncIterator[Message]:
        """As many accounts as the rate limit allows are told one by one, each with its history first, so that
        everything a snapshot contains was told before it. More are read by the venue's lists, after each was told
        alone once; of those with open positions only some are told each time, in turn, because each costs a call."""
        alone, listed = chosen(list(logins), self._told, self._calls)
        for login in alone:
            history, snapshot = await self._whole(login, exactly=False)
            yield _message(HISTORY, history)
            yield _message(SNAPSHOT, snapshot)
        if listed:
            with readable_rows():
                async for message in self._listed(listed):
                    yield message

    async def _whole(self, login: int, *, exactly: bool) -> tuple[Row, Row]:
        with readable_rows():
            history, snapshot = await read_whole(self._api, login, exactly=exactly)
        self._told.add(login)
        return history, snapshot

    async def _listed(self, logins: set[int]) -> AsyncIterator[Message]:
        accounts = {row["id"]: row for row in await self._rows("account/list")}
        statuses = {row["id"]: row for row in await self._rows("accountRiskStatus/list")}
        positions = _by(await self._rows("position/list"), "accountId")
        cash = {row["accountId"]: row for row in await self._rows("cashBalance/list")}
        held = sorted(login for login in logins if any(row["netPos"] for row in positions[login]))
        after = [login for login in held if login > self._last_held]
        turn = (after + held)[: min(max(self._calls - _OF_LISTS, 1), len(held))]
        self._last_held = turn[-1] if turn else 0
        for login in sorted((logins - set(held)) | set(turn)):
            if login in accounts and login in cash:
                balance = cash[login]["amount"]
                worth: Any = {"totalCashValue": balance, "netLiq": balance}
                if login in turn:
                    worth = await self._api.ask(CASH_SNAPSHOT, {"accountId": login})
                yield _message(
                    SNAPSHOT,
                    {
                        "account": accounts[login],
                        "status": statuses.get(login),
                        "positions": positions[login],
                        "worth": worth,
                    },
                )

    # a connection

    async def _open(self, sockets: list[tuple[str, Pushes]]) -> None:
        count = self._settings.sockets
        for number in range(count):
            pushes = Pushes(self._settings.socket_url, self._api)
            sockets.append((f"{USER}/{number}", pushes))
            await pushes.open()
            shard = {"expressionType": "modAccountId", "divisor": count, "remainder": number}
            body = {"splitResponses": True, "entityTypes": list(_TYPES), "shardingExpression": shard}
            await pushes.request("user/syncrequest", body)
        pushes = Pushes(self._settings.quotes_url, self._api)
        sockets.append((QUOTES, pushes))
        await pushes.open()
        for symbol in self._settings.symbol_names():
            await pushes.request("md/subscribequote", {"symbol": symbol})

    async def _catch_up(self, cursors: Mapping[str, str]) -> AsyncIterator[Message]:
        """What happened since the cursors, then every account as it is. An account with nothing new and no position is
        told by its snapshot alone. Without cursors the gateway begins its books with the snapshots: a fill that is in a
        snapshot and not in its history would count once more when its push comes, so there may be none."""
        first = not cursors
        accounts = {row["id"]: row for row in await self._rows("account/list") if is_ours(row["name"], self._prefix)}
        filled = await self._rows("fill/list")  # before the orders: the order of each fill is then known
        orders = _by(await self._rows("order/list"), "accountId")
        fills = _fills_by_login(filled, orders)
        fees = {row["id"]: row for row in await self._rows("fillFee/list")}
        versions = _by(await self._rows("orderVersion/list"), "orderId")
        cash = _by(await self._many("cashBalanceLog/ldeps", sorted(accounts)), "accountId")
        statuses = {row["id"]: row for row in await self._rows("accountRiskStatus/list")}
        positions = _by(await self._rows("position/list"), "accountId")
        busy = await self._filled_after(newest_id(filled)) if first else set()
        traded = {row["contractId"] for login in accounts for row in [*fills[login], *positions[login], *orders[login]]}
        yield await self._described(traded)
        last = {"fill": int(cursors.get("fill", 0)), "cash": int(cursors.get("cash", 0))}
        newest = dict(last)
        for login in sorted(accounts):
            latest = {"fill": newest_id(fills[login]), "cash": newest_id(cash[login])}
            newest = {name: max(newest[name], latest[name]) for name in newest}
            held = any(row["netPos"] for row in positions[login])
            if held or login in busy:  # read again as one: the lists are of different moments
                history, snapshot = await self._whole(login, exactly=first)
                new = {row["contractId"] for row in [*history["fills"], *snapshot["positions"]]} - traded
                if new:  # a history in an unknown contract cannot be read, and its snapshot can
                    traded |= new
                    yield await self._described(new)
                yield _message(HISTORY, history)
                yield _message(SNAPSHOT, snapshot)
                continue
            if any(latest[name] > last[name] for name in last) or any(map(is_open, orders[login])):
                yield _message(
                    HISTORY,
                    {
                        "accountId": login,
                        "orders": orders[login],
                        "versions": [each for row in orders[login] for each in versions[row["id"]]],
                        "fees": [fees[row["id"]] for row in fills[login] if row["id"] in fees],
                        "fills": fills[login],
                        "cash": cash[login],
                    },
                )
            balance = last_amount(cash[login])
            worth = {"totalCashValue": balance, "netLiq": balance}
            body: Row = {"account": accounts[login], "status": statuses.get(login), "positions": [], "worth": worth}
            yield _message(SNAPSHOT, body)
            self._told.add(login)
        yield _message(CAUGHT_UP, newest)

    async def _filled_after(self, newest: int) -> set[int]:
        """Returns the accounts with fills newer than that one."""
        newer = [row for row in await self._rows("fill/list") if row["id"] > newest]
        if not newer:
            return set()
        return set(_fills_by_login(newer, _by(await self._rows("order/list"), "accountId")))

    async def _described(self, contract_ids: Iterable[int]) -> Message:
        """A message that describes these contracts and those of the settings."""
        contracts = [await self._api.get("contract/find", name=name) for name in self._settings.symbol_names()]
        known = {row["id"] for row in contracts}
        contracts += await self._many("contract/items", sorted({id for id in contract_ids if id} - known), "ids")
        maturities = await self._many("contractMaturity/items", _ids(contracts, "contractMaturityId"), "ids")
        body = {
            "contracts": contracts,
            "maturities": maturities,
            "products": await self._many("product/items", _ids(maturities, "productId"), "ids"),
            "currencies": await self._rows("currency/list"),
        }
        return _message(LIBRARY, body)

    async def _asked_again(self, watch: "_Watch") -> AsyncIterator[Message]:
        """Asks for what the pushes left open. A question without an answer is asked again later."""
        try:
            if watch.contracts_due():
                message = await self._described(watch.unlisted)
                watch.take(message)
                yield message
            for login in watch.accounts_due():
                async for message in self.fills(login, ""):
                    watch.take(message)
                    yield message
        except Unavailable:
            return

    @property
    def _prefix(self) -> str:
        return self._settings.prefix

    async def _rows(self, path: str, **query: str | int) -> list[Row]:
        return await read_list(self._api, path, **query)

    async def _many(self, path: str, ids: list[int], field: str = "masterids") -> list[Row]:
        return await read_many(self._api, path, ids, field)


class _Watch:
    """Reads the messages of a connection as the gateway does, and says what should be asked for."""

    def __init__(self, decoder: TradovateDecoder) -> None:
        self._decoder = decoder
        self._due: dict[int, tuple[float, float]] = {}  # by account: when, and the pause after that
        self._contracts_due = 0.0

    def take(self, message: Message) -> None:
        if message.channel == QUOTES:
            return  # prices leave nothing open
        try:
            for _ in self._decoder.facts(message):
                pass
        except Unreadable:
            pass  # the gateway counts it
        now = time.monotonic()
        for login in self._decoder.differing - self._due.keys():
            self._due[login] = (now + _FIRST_ASK, _FIRST_ASK)
        for login in self._due.keys() - self._decoder.differing:
            del self._due[login]

    @property
    def unlisted(self) -> set[int]:
        return self._decoder.unlisted

    def contracts_due(self) -> bool:
        if not self._decoder.unlisted or time.monotonic() < self._contracts_due:
            return False
        self._contracts_due = time.monotonic() + _LONGEST_ASK
        return True

    def accounts_due(self) -> list[int]:
        now = time.monotonic()
        due = [login for login, (at, _) in self._due.items() if at <= now]
        for login in due:
            pause = min(self._due[login][1] * 2, _LONGEST_ASK)
            self._due[login] = (now + pause, pause)
        return due


def calls_in_a_pass(seconds: float, limits: Sequence[Rate]) -> int:
    """Returns how many calls one comparison may cost when there is one each so many seconds, so that all of an hour
    take no more than their share of every rate limit."""
    return int(min(rate.calls * min(seconds / rate.seconds, 1.0) for rate in limits) * _SHARE)


def chosen(wanted: Sequence[int], told: AbstractSet[int], calls: int) -> tuple[list[int], set[int]]:
    """Returns the accounts that are told one by one now, and those that are told by the lists. Of many, those that were
    never told wait until they were told alone."""
    few = max(1, calls // _OF_ONE)
    if len(wanted) <= few:
        return list(wanted), set()
    fresh = [login for login in wanted if login not in told]
    return fresh[:few], set(wanted) - set(fresh)


async def _read(channel: str, pushes: Pushes, queue: asyncio.Queue[Message | Unavailable]) -> None:
    try:
        while True:
            frame = await pushes.frame()
            queue.put_nowait(Message(channel, frame, datetime.now(UTC)))
    except Unavailable as exc:
        await queue.put(exc)
    except asyncio.QueueFull:
        while not queue.empty():
            queue.get_nowait()
        queue.put_nowait(Unavailable("Tradovate pushes faster than it can be told."))


async def _next(queue: asyncio.Queue[Message | Unavailable]) -> Message | Unavailable | None:
    """Returns None when nothing came for a second."""
    try:
        async with asyncio.timeout(_LOOK):  # wait_for of Python 3.11 may swallow a cancellation
            return await queue.get()
    except TimeoutError:
        return None


def _message(channel: str, body: Row) -> Message:
    text = json.dumps(body, default=_number, separators=(",", ":"))
    return Message(channel, text.encode(), datetime.now(UTC))


def _number(value: object) -> float:
    """Numbers came as doubles, so this changes none."""
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError(type(value).__name__)


def _by(rows: Iterable[Row], field: str) -> defaultdict[int, list[Row]]:
    found: defaultdict[int, list[Row]] = defaultdict(list)
    for row in rows:
        found[row.get(field, 0)].append(row)
    return found


def _fills_by_login(fills: Iterable[Row], orders: Mapping[int, list[Row]]) -> defaultdict[int, list[Row]]:
    login_of = {row["id"]: login for login, rows in orders.items() for row in rows}
    found: defaultdict[int, list[Row]] = defaultdict(list)
    for fill in fills:
        found[login_of.get(fill["orderId"], 0)].append(fill)
    return found


def _ids(rows: Iterable[Row], field: str) -> list[int]:
    return sorted({row[field] for row in rows if field in row})
