"""MetaTrader 5 and its fake. The venue pushes nothing: every fault befalls a call."""

import random
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, get_args

import httpx

from adapters.mt5.platform import PLUGIN
from cli.chaos.venue.kinds import SPOT, Book, Control, Market, Place, Position, read_books, refused
from ports.platform import Side
from sandbox.mt5.faults import Kind as Fault
from sandbox.mt5.faults import Odd
from sandbox.mt5.server import Config
from sandbox.symbols import symbol_specs

_TIMEOUT: Final = 2.0
_STORMS: Final = ("too_many", "busy")
_LISTS: Final = (
    *("/api/user/get_batch", "/api/user/account/get_batch", "/api/position/get_batch", "/api/deal/get_batch"),
    *("/api/deal/get_page", "/api/position/get_page"),
)
_CHANGES: Final = ("/api/user/add", "/api/user/update", "/api/trade/balance", "/api/dealer/send_request")
# Prices are in positions and deals only: accounts are judged by the equity that the server states.
_PRICED: Final = ("/api/position/get_batch", "/api/deal/get_batch")
_PATHS: Final[Mapping[str, tuple[str, ...]]] = {
    **dict.fromkeys(get_args(Odd), _LISTS),
    "zero_price": _PRICED,
    "negative_price": _PRICED,
}
_ZONE: Final = "Europe/Athens"


class Mt5:
    """A Kind. Every time of this venue is in another zone than ours."""

    name = "mt5"
    plugin = PLUGIN
    market = SPOT
    faults: tuple[str, ...] = tuple(name for part in get_args(Fault) for name in (get_args(part) or (part,)))
    bad_input: Mapping[str, tuple[str, ...]] = {
        "cut": ("garbage", "cut_list", "slow"),
        "duplicated": ("duplicate",),
        "reordered": ("reorder",),
        "delayed": ("delay", "timeout_after"),
        "unknown_field": ("unknown_field",),
        "unknown_enum": ("unknown_enum",),
        "wrong_type": ("wrong_type",),
        "zero_price": ("zero_price",),
        "negative_price": ("negative_price",),
        "unknown_login": ("unknown_login",),
        "token_expired": ("expired", "sessions_ended"),
        "storm_of_429": ("too_many",),
        "storm_of_503": ("busy",),
        "error_in_200": ("error_text",),
        "disconnected": ("cut_before", "cut_after"),
    }

    def argv(self, place: Place) -> list[str]:
        module = [sys.executable, "-P", "-m", "sandbox.mt5.server"]
        return [*module, "--port", str(place.port), "--zone", _ZONE, "--group", "propos\\chaos-1-USD=USD"]

    def fields(self, place: Place) -> dict[str, str]:
        given = Config()
        return {
            "url": f"http://127.0.0.1:{place.port}",
            "manager": str(given.manager),
            "password": given.password,
            "first_login": str(given.first_login),
            "last_login": str(given.first_login + 999_999),
            "server_zone": _ZONE,
            "timeout": str(_TIMEOUT),
            "dealer_seconds": "3",
            "calls_per_second": "1000",
            "poll_seconds": "0.05",
        }

    def control(self, place: Place) -> Control:
        return _Control(place.port, self.market)

    def fill_of(self, deal_id: str) -> str:
        return deal_id


class _Control:
    def __init__(self, port: int, market: Market) -> None:
        self._http = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}/control",
            headers={"Authorization": f"Bearer {Config().token}"},
            timeout=60,
            trust_env=False,
        )
        self._sizes = {name: spec.contract_size for name, spec in symbol_specs((market.falling, market.calm)).items()}

    async def clock(self, at: datetime) -> None:
        await self._do("clock", now=at.isoformat())

    async def quote(self, prices: Mapping[str, tuple[Decimal, Decimal]]) -> None:
        await self._do("quote", quotes={name: [str(bid), str(ask)] for name, (bid, ask) in prices.items()})

    async def open(self, login: int, symbol: str, side: Side, units: int, *, forced: bool = False) -> Position | None:
        lots = Decimal(units) / self._sizes[symbol]
        order = {"login": login, "symbol": symbol, "side": side, "lots": str(lots), "forced": forced}
        answer = await self._http.post("/order", json=order)
        if refused(answer):
            return None
        return Position(login, str(answer.json()["position"]), symbol, side, units)

    async def close(self, position: Position) -> bool:
        return not refused(await self._http.post("/close", json={"position": int(position.name)}))

    async def switch(self, faults: Sequence[str], rng: random.Random) -> None:
        planned: list[dict[str, Any]] = []
        for fault in faults:
            path = rng.choice(_PATHS.get(fault, ("", *_LISTS, *_CHANGES)))
            times = rng.randint(5, 12) if fault in _STORMS else rng.randint(1, 2)
            seconds = round(rng.uniform(0.1, 1.0), 2) if fault == "delay" else _TIMEOUT + 1
            planned.append({"kind": fault, "path": path, "times": times, "seconds": seconds, "must_show": True})
        await self._do("faults", faults=planned)

    async def end_sessions(self) -> None:
        await self._do("expire")

    async def uses(self) -> dict[str, int]:
        found: dict[str, int] = (await self._http.get("/state")).raise_for_status().json()["uses"]
        return found

    async def book(self) -> dict[int, Book]:
        return read_books((await self._http.get("/book")).raise_for_status().json())

    async def _do(self, name: str, **given: object) -> None:
        (await self._http.post(f"/{name}", json=given)).raise_for_status()

    async def aclose(self) -> None:
        await self._http.aclose()
