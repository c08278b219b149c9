"""The toy venue of tests/third_party/toy_venue.py: its server, with faults on the stream."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any

PASSWORD = "of-the-toy-venue"
EURUSD = {"symbol": "EURUSD", "contract_size": "100000", "quote_currency": "USD", "digits": 5}


class ToyServer:
    """Every change is a numbered line; a stream begins after the number that it asks for. `twist` changes the bytes of
    a line on its way to a stream; None cuts the line off and closes the connection."""

    def __init__(self) -> None:
        self.port = 0
        self.symbol = "EURUSD"
        self.log: list[dict[str, Any]] = []
        self.accounts: dict[int, dict[str, Any]] = {}
        self.keys: dict[str, Any] = {}
        self.locked: list[int] = []
        self.twist: Callable[[bytes], list[bytes | None]] = lambda line: [line]
        self.streams = 0
        self.handlers: set[asyncio.Task[Any]] = set()
        self._news = asyncio.Event()
        self._count = 0

    # what happens at the venue

    def open(self, login: int, balance_minor: int = 0, *, currency: str = "USD", enabled: bool = True) -> None:
        self.accounts[login] = {
            "login": login,
            "currency": currency,
            "balance_minor": balance_minor,
            "equity_minor": balance_minor,
            "trading_enabled": enabled,
            "positions": [],
        }
        self._tell("access", login=login, change="opened")

    def quote(self, bid: str, ask: str) -> None:
        self._tell("quote", symbol=self.symbol, bid=bid, ask=ask)

    def buy(self, login: int, lots: str = "1", price: str = "1.1") -> str:
        self._count += 1
        name = f"p{self._count}"
        position = {"position_id": name, "symbol": self.symbol, "side": "buy", "lots": lots, "open_price": price}
        self.accounts[login]["positions"].append(position | {"opened_at": datetime.now(UTC).isoformat()})
        self._deal(login, name, "buy", "in", lots, price, 0)
        return name

    def sell(self, login: int, position: str, price: str, profit_minor: int) -> None:
        self._count += 1
        account = self.accounts[login]
        [held] = [each for each in account["positions"] if each["position_id"] == position]
        account["positions"].remove(held)
        account["balance_minor"] += profit_minor
        account["equity_minor"] = account["balance_minor"]
        self._deal(login, position, "sell", "out", held["lots"], price, profit_minor)

    def _deal(self, login: int, position: str, side: str, entry: str, lots: str, price: str, profit: int) -> None:
        about = {"login": login, "position_id": position, "symbol": self.symbol, "side": side, "entry": entry}
        money = {"lots": lots, "price": price, "profit_minor": profit, "commission_minor": 0}
        self._tell("deal", id=f"d{self._count}", **about, **money)

    def _tell(self, kind: str, **values: Any) -> None:
        self.log.append({"is": kind, "number": len(self.log) + 1, "ms": _ms(), **values})
        news, self._news = self._news, asyncio.Event()
        news.set()

    # requests

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.handlers.add(task)
        task.add_done_callback(self.handlers.discard)
        try:
            request = json.loads(await reader.readline())
            if request.pop("password") != PASSWORD:
                return
            step = getattr(self, "_" + request.pop("do").replace(" ", "_"))
            answer = step(writer, **request)
            if answer is not None:
                await answer
            await writer.drain()
        except (ConnectionError, asyncio.CancelledError):
            pass  # the test is over, or the gateway was killed
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    def _symbols(self, writer: asyncio.StreamWriter) -> None:
        _send(writer, [EURUSD])

    def _snapshot(self, writer: asyncio.StreamWriter, login: int) -> None:
        _send(writer, self.accounts.get(login, {"unknown": login}))

    def _snapshots(self, writer: asyncio.StreamWriter, logins: list[int]) -> None:
        for login in logins:
            if login in self.accounts:
                _send(writer, {"is": "snapshot", "ms": _ms(), **self.accounts[login]})

    def _deals(self, writer: asyncio.StreamWriter, login: int) -> None:
        for line in self.log:
            if line["is"] in ("deal", "money") and line["login"] == login:
                _send(writer, {name: value for name, value in line.items() if name != "number"})

    def _create(self, writer: asyncio.StreamWriter, key: str, **terms: Any) -> None:
        known = self.keys.get(key)
        if known is None:
            login = 1_000 + len(self.accounts)
            known = self.keys[key] = {"login": login, "terms": terms}
            self.open(login, currency=terms["currency"], enabled=False)
        _send(writer, {"login": known["login"]} if known["terms"] == terms else {"mismatch": key})

    def _find(self, writer: asyncio.StreamWriter, key: str) -> None:
        _send(writer, {"login": self.keys.get(key, {}).get("login")})

    def _money(self, writer: asyncio.StreamWriter, login: int, key: str, operation: str, amount: int) -> None:
        account, known = self.accounts.get(login), self.keys.get(f"{login}/{operation}/{key}")
        if account is None:
            _send(writer, {"unknown": login})
        elif known is not None:
            _send(writer, {} if known == amount else {"mismatch": key})
        elif account["balance_minor"] + amount < 0:
            _send(writer, {"refused": "The account has too little money."})
        else:
            self._count += 1
            self.keys[f"{login}/{operation}/{key}"] = amount
            account["balance_minor"] += amount
            account["equity_minor"] += amount
            self._tell("money", id=f"m{self._count}", login=login, operation=operation, key=key, amount=amount)
            _send(writer, {})

    def _find_money(self, writer: asyncio.StreamWriter, login: int, key: str, operation: str) -> None:
        _send(writer, {"amount": self.keys.get(f"{login}/{operation}/{key}")})

    def _trading(self, writer: asyncio.StreamWriter, login: int, key: str, enabled: bool) -> None:
        if login not in self.accounts:
            _send(writer, {"unknown": login})
            return
        if self._first(login, key):
            self._enable(login, enabled=enabled)
        _send(writer, {})

    def _close(self, writer: asyncio.StreamWriter, login: int, key: str, positions: list[str]) -> None:
        for each in list(self.accounts[login]["positions"]):
            if each["position_id"] in positions:
                self.sell(login, each["position_id"], each["open_price"], 0)
        _send(writer, {})

    def _lock(self, writer: asyncio.StreamWriter, login: int, key: str) -> None:
        if login not in self.accounts:
            _send(writer, {"unknown": login})
            return
        if self._first(login, key):
            self.locked.append(login)
            self._enable(login, enabled=False)
            for each in list(self.accounts[login]["positions"]):
                self.sell(login, each["position_id"], each["open_price"], 0)
        _send(writer, {})

    def _first(self, login: int, key: str) -> bool:
        """Returns whether this key comes for the first time."""
        name = f"{login}/{key}"
        return name not in self.keys and self.keys.setdefault(name, True)

    def _enable(self, login: int, *, enabled: bool) -> None:
        self.accounts[login]["trading_enabled"] = enabled
        self._tell("access", login=login, change="enabled" if enabled else "disabled")

    async def _stream(self, writer: asyncio.StreamWriter, after: int) -> None:
        self.streams += 1
        told = after
        self._snapshots(writer, list(self.accounts))
        caught_up = False
        while True:
            news = self._news
            for line in self.log[told:]:
                for part in self.twist(json.dumps(line).encode() + b"\n"):
                    if part is None:
                        return
                    writer.write(part)
            told = len(self.log)
            if not caught_up:
                caught_up = True
                _send(writer, {"is": "live"})
            await writer.drain()
            try:
                async with asyncio.timeout(1):
                    await news.wait()
            except TimeoutError:
                _send(writer, {"is": "alive", "ms": _ms()})


def _send(writer: asyncio.StreamWriter, answer: Any) -> None:
    writer.write(json.dumps(answer).encode() + b"\n")


def _ms() -> int:
    return int(datetime.now(UTC).timestamp() * 1000)


@asynccontextmanager
async def toy_server() -> AsyncIterator[ToyServer]:
    toy = ToyServer()
    server = await asyncio.start_server(toy.handle, "127.0.0.1", 0)
    toy.port = server.sockets[0].getsockname()[1]
    try:
        yield toy
    finally:
        server.close()
        for handler in toy.handlers:
            handler.cancel()
        await asyncio.gather(*toy.handlers, return_exceptions=True)
