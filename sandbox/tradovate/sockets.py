"""The web sockets of the fake Tradovate: newline-delimited requests, frames `o`, `h`, `a[...]` and `c`."""

import asyncio
import contextlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Protocol

from fastapi import WebSocket, WebSocketDisconnect

from sandbox.tradovate.faults import Faults, with_texts
from sandbox.tradovate.rows import Change, Row, Rows, stamp
from sandbox.zones import in_other_zone

_SYNC_FIELDS: Final = (
    *("users", "accounts", "splitResponses", "cutoffTimestamp", "entityTypes", "shardingExpression"),
    "fullOrgSnapshot",
)
_SYNCED: Final = (
    *("account", "accountRiskStatus", "userAccountAutoLiq", "cashBalance", "position", "order", "orderVersion"),
    *("fill", "fillFee", "fillPair", "contract"),
)
_PLURALS: Final[Mapping[str, str]] = {"accountRiskStatus": "accountRiskStatuses"}
_STRANGER: Final = 1_000_000_000  # added to an id
_IDS: Final = ("id", "accountId", "orderId", "positionId", "buyFillId", "sellFillId", "fillId", "fillPairId")
_PIECE: Final = 100  # entities in one part of a split answer


def encoded(value: object) -> str:
    return json.dumps(value, default=float, separators=(",", ":"))


class Socket:
    """One connection."""

    def __init__(self, socket: WebSocket, hub: "Hub") -> None:
        self._socket, self._hub = socket, hub
        self._frames: asyncio.Queue[str | None] = asyncio.Queue()
        self._authorized = False
        self._types: frozenset[str] = frozenset()
        self._shard: tuple[int, int] | None = None
        self._only: frozenset[int] | None = None
        self.contracts: set[int] = set()

    async def run(self) -> None:
        await self._socket.accept()
        self._frames.put_nowait("o")
        writer = asyncio.create_task(self._write())
        try:
            while True:
                self._take(await self._socket.receive_text())
        except (WebSocketDisconnect, RuntimeError):
            pass  # the other side left, or the writer closed the connection
        finally:
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)

    def send(self, messages: list[Row]) -> None:
        self._frames.put_nowait(f"a{encoded(messages)}")

    def send_raw(self, frame: str) -> None:
        self._frames.put_nowait(frame)

    def close(self) -> None:
        self._frames.put_nowait(None)

    @property
    def hears_accounts(self) -> bool:
        return bool(self._types)

    def wants(self, kind: str, row: Row) -> bool:
        if kind not in self._types:
            return False
        account = self._hub.rows.account_of(kind, row)
        if account is None:
            return True
        if self._shard is not None and account % self._shard[0] != self._shard[1]:
            return False
        return self._only is None or account in self._only

    async def _write(self) -> None:
        faults = self._hub
        while True:
            try:
                async with asyncio.timeout(self._hub.heartbeat):
                    frame = await self._frames.get()
            except TimeoutError:
                if faults.faults.silent:
                    continue
                frame = "h"
            if late := faults.faults.slow():
                await asyncio.sleep(late)
            if frame is None:
                with contextlib.suppress(RuntimeError):
                    await self._socket.close(1001)
                return
            with contextlib.suppress(RuntimeError, WebSocketDisconnect):
                await self._socket.send_text(frame)

    def _take(self, text: str) -> None:
        if text == "[]":
            return
        lines = text.split("\n", 3)
        if len(lines) < 3 or not lines[1].isdigit():
            self.close()
            return
        path, id, body = lines[0].lower(), int(lines[1]), lines[3] if len(lines) > 3 else ""
        if path == "authorize":
            self._authorized = self._hub.token_valid(body)
            self.send(
                [
                    {
                        "s": 200 if self._authorized else 401,
                        "i": id,
                        **({} if self._authorized else {"d": "Access is denied"}),
                    }
                ]
            )
            return
        if not self._authorized:
            self.send([{"s": 401, "i": id, "d": "Access is denied"}])
        elif path == "user/syncrequest":
            self._sync(id, json.loads(body))
        elif path == "md/subscribequote":
            self._subscribe(id, json.loads(body))
        else:
            self.send([{"s": 404, "i": id, "d": "Not found"}])

    def _sync(self, id: int, body: Row) -> None:
        unknown = [name for name in body if name not in _SYNC_FIELDS]
        shard = body.get("shardingExpression")
        if unknown or not body.get("splitResponses") or (shard and (body.get("accounts") or body.get("users"))):
            # The real server closes the connection without a word when a partner does not split.
            self.close()
            return
        if shard is not None:
            if shard["expressionType"] != "modAccountId":
                self.send([{"s": 400, "i": id, "d": "Only modAccountId is simulated"}])
                return
            self._shard = (shard["divisor"], shard["remainder"])
        self._types = frozenset(body.get("entityTypes", ()))
        self._only = frozenset(body["accounts"]) if body.get("accounts") else None
        parts: list[Row] = []
        for kind in _SYNCED:
            rows = [row for row in self._hub.rows.all(kind) if self.wants(kind, row)]
            name = _PLURALS.get(kind, f"{kind}s")
            parts += [{name: rows[start : start + _PIECE]} for start in range(0, len(rows), _PIECE)]
        for part in parts or [{}]:
            self.send([{"s": 200, "i": id, "d": {"users": [], **part}}])

    def _subscribe(self, id: int, body: Row) -> None:
        contract = self._hub.contract(body["symbol"])
        if contract is None:
            self.send([{"s": 404, "i": id, "d": {"errorText": "Symbol is inaccessible"}}])
            return
        self.contracts.add(contract)
        self.send([{"s": 200, "i": id, "d": {"subscriptionId": contract}}])
        last = self._hub.last_quote(contract)
        if last is not None:
            self.send([{"e": "md", "d": {"quotes": [last]}}])


class Courier(Protocol):
    """Keeps what is to be told, and sends it in one order over all sockets."""

    def keep_changes(self, at: datetime, changes: list[Change]) -> None: ...

    def keep_quote(self, at: datetime, quote: Row) -> None: ...


class Hub:
    """All connections, and what goes wrong on the way to them. `courier`: None: everything is sent at once, and the
    sockets of quotes and of accounts overtake each other."""

    def __init__(self, rows: Rows, heartbeat: float, token_valid: Callable[[str], bool]) -> None:
        self.rows, self.heartbeat, self.token_valid = rows, heartbeat, token_valid
        self.faults = Faults()
        self.sockets: set[Socket] = set()
        self.last_quote: Callable[[int], Row | None] = lambda _: None
        self._held: list[str] = []
        self.courier: Courier | None = None

    async def serve(self, socket: WebSocket) -> None:
        connection = Socket(socket, self)
        self.sockets.add(connection)
        try:
            await connection.run()
        finally:
            self.sockets.discard(connection)

    def contract(self, symbol: object) -> int | None:
        """The id of a contract by its name or id."""
        for row in self.rows.all("contract"):
            if row["name"] == symbol or str(row["id"]) == str(symbol):
                return int(row["id"])
        return None

    def tell(self, changes: Iterable[Change]) -> None:
        """Sends the changes of one call: in one frame, or in two when the fees are late."""
        told = list(changes)
        if self.courier is None:
            self.send_changes(told)
        else:
            self.courier.keep_changes(self.rows.now(), told)

    def send_changes(self, told: Sequence[Change]) -> None:
        late = [change for change in told if change[0] == "fillFee"]
        frames = [list(told)]
        if late and self.faults.use("late_fees"):
            frames = [[change for change in told if change[0] != "fillFee"], late]
        for frame in frames:
            for connection in list(self.sockets):
                wanted = [
                    {"e": "props", "d": {"entityType": kind, "eventType": how, "entity": row}}
                    for kind, how, row in frame
                    if connection.wants(kind, row)
                ]
                if wanted:
                    self._send(connection, wanted)

    def tell_quote(self, quote: Row) -> None:
        if self.courier is None:
            self.send_quotes([quote])
        else:
            self.courier.keep_quote(self.rows.now(), quote)

    def send_quotes(self, quotes: Sequence[Row]) -> None:
        for fault, price in (("zero_price", 0), ("negative_price", -1.5)):
            heard = any(quote["contractId"] in each.contracts for each in self.sockets for quote in quotes)
            if heard and self.faults.use(fault):
                self.send_quotes([_priced(quote, price) for quote in quotes])
        for connection in list(self.sockets):
            wanted = [quote for quote in quotes if quote["contractId"] in connection.contracts]
            if wanted:
                self._send(connection, [{"e": "md", "d": {"quotes": wanted}}])

    def send_clock(self, at: datetime, speed: int) -> None:
        """The clock of a replayed market, to those who hear of accounts. At speed 0 it stands. Unverified: read in
        public clients."""
        message = {"e": "clock", "d": encoded({"t": stamp(at), "s": speed})}
        for connection in list(self.sockets):
            if connection.hears_accounts:
                connection.send([message])

    def _send(self, connection: Socket, messages: list[Row]) -> None:
        faults = self.faults
        if faults.use("drop"):
            return
        frame = f"a{encoded(_spoilt(faults, messages))}"
        if in_other_zone(frame) != frame and faults.use("other_zone"):
            frame = in_other_zone(frame)
        if faults.use("cut_frame"):
            frame = frame[: len(frame) // 2]
        if faults.use("garbage"):
            frame = "<html>\x00 no frame of the venue"
        if faults.use("reorder"):
            self._held.append(frame)
            return
        connection.send_raw(frame)
        if faults.use("duplicate"):
            connection.send_raw(frame)
        while self._held:
            connection.send_raw(self._held.pop())
        if faults.use("disconnect"):
            connection.close()


def _spoilt(faults: Faults, messages: list[Row]) -> list[Row]:
    if faults.use("wrong_type_frame"):
        messages = with_texts(messages)
    if faults.use("unknown_field_frame"):
        messages = [_with(message, "somethingNew", {"a": [1]}) for message in messages]
    if faults.use("unknown_enum"):
        messages = [_renamed(message, ("ordStatus", "adminAction", "action")) for message in messages]
    strangers = [other for message in messages if (other := _of_stranger(message)) is not None]
    if strangers and faults.use("unknown_login"):
        messages = [*messages, *strangers]
    if faults.use("unknown_entity"):
        new = {"entityType": "somethingNew", "eventType": "Created", "entity": {"id": 1}}
        messages = [*messages, {"e": "props", "d": new}, {"e": "somethingNew", "d": {}}]
    return messages


def _of_stranger(message: Row) -> Row | None:
    """Returns the same of an account and of ids that nobody knows; None for what is about no account."""
    entity = message["d"].get("entity") or {}
    if not entity.keys() & {"accountId", "orderId"}:
        return None
    changed = {name: entity[name] + _STRANGER for name in _IDS if isinstance(entity.get(name), int)}
    return {**message, "d": {**message["d"], "entity": {**entity, **changed}}}


def _priced(quote: Row, price: float) -> Row:
    """Returns a quote with another price everywhere."""
    return {**quote, "entries": {name: {**entry, "price": price} for name, entry in quote["entries"].items()}}


def _with(message: Row, name: str, value: Any) -> Row:
    entity = message["d"].get("entity")
    return message if entity is None else {**message, "d": {**message["d"], "entity": {**entity, name: value}}}


def _renamed(message: Row, names: Iterable[str]) -> Row:
    entity = message["d"].get("entity") or {}
    for name in names:
        if name in entity:
            return _with(message, name, "SomethingNew")
    return message
