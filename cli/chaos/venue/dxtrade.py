"""DXtrade and its fake."""

import itertools
import random
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, get_args

import httpx

from adapters.dxtrade.plugin import PLUGIN
from cli.chaos.venue.kinds import OPPOSITE, SPOT, Book, Control, Place, Position, read_books, refused
from ports.platform import Side
from sandbox.dxtrade.faults import CallFault, PushFault
from sandbox.dxtrade.server import USER

# A refusal for good is the venue's last word on a lock: a person must act, and no chaos makes it good.
_CALLS: Final = tuple(kind for kind in get_args(CallFault) if kind != "refused")
_PUSHES: Final = tuple(f"push_{kind}" for kind in get_args(PushFault))
_STORMS: Final = ("too_many", "busy")
_NOT_SIGN_IN: Final = r"(?!POST \S*login)"
_MATCHES: Final = (f"^{_NOT_SIGN_IN}", "^GET ", rf"^{_NOT_SIGN_IN}(PUT|POST|DELETE) ")
_TIMEOUT: Final = "2"


class Dxtrade:
    """A Kind."""

    name = "dxtrade"
    plugin = PLUGIN
    market = SPOT
    faults: tuple[str, ...] = (*_CALLS, *_PUSHES)
    bad_input: Mapping[str, tuple[str, ...]] = {
        "cut": ("half_body", "push_cut"),
        "duplicated": ("push_duplicate",),
        "reordered": ("push_reorder",),
        "delayed": ("push_delay", "held_after"),
        "unknown_field": ("unknown_field", "push_unknown_field"),
        "unknown_enum": ("unknown_enum", "push_unknown_type"),
        "wrong_type": ("wrong_type", "push_wrong_type"),
        "other_zone": ("push_other_zone",),
        "zero_price": ("push_zero_price",),
        "negative_price": ("push_negative_price",),
        "unknown_login": ("push_unknown_login",),
        "token_expired": ("token_expired", "sessions_ended"),
        "storm_of_429": ("too_many",),
        "storm_of_503": ("busy",),
        "error_in_200": ("error_in_200",),
        "disconnected": ("push_drop", "cut_before", "cut_after"),
    }

    def argv(self, place: Place) -> list[str]:
        return [sys.executable, "-P", "-m", "sandbox.dxtrade.server", "--port", str(place.port)]

    def fields(self, place: Place) -> dict[str, str]:
        domain, user, password = USER
        fields = {"url": f"http://127.0.0.1:{place.port}", "domain": domain, "username": user, "password": password}
        return {**fields, "broker_code": "firm", "calls_per_second": "1000", "timeout": _TIMEOUT}

    def control(self, place: Place) -> Control:
        return _Control(place.port)

    def fill_of(self, deal_id: str) -> str:
        return deal_id


class _Control:
    def __init__(self, port: int) -> None:
        url = f"http://127.0.0.1:{port}/control"
        self._http = httpx.AsyncClient(base_url=url, timeout=60, trust_env=False)
        self._codes = itertools.count(1)

    async def clock(self, at: datetime) -> None:
        (await self._http.put("/clock", json={"now": at.isoformat()})).raise_for_status()

    async def quote(self, prices: Mapping[str, tuple[Decimal, Decimal]]) -> None:
        quotes = [{"symbol": name, "bid": str(bid), "ask": str(ask)} for name, (bid, ask) in prices.items()]
        (await self._http.put("/quotes", json=quotes)).raise_for_status()

    async def open(self, login: int, symbol: str, side: Side, units: int, *, forced: bool = False) -> Position | None:
        shown = await self._order(login, symbol, side, units, {"positionEffect": "OPEN", "forced": forced})
        if shown is None:
            return None
        return Position(login, str(shown["legs"][0]["positionCode"]), symbol, side, units)

    async def close(self, position: Position) -> bool:
        more = {"positionEffect": "CLOSE", "positionCode": position.name}
        side = OPPOSITE[position.side]
        return await self._order(position.login, position.symbol, side, position.units, more) is not None

    async def _order(
        self, login: int, symbol: str, side: Side, units: int, more: Mapping[str, object]
    ) -> dict[str, Any] | None:
        body: dict[str, object] = {"orderCode": f"trader-{next(self._codes)}", "type": "MARKET", "instrument": symbol}
        body |= {"side": side.upper(), "quantity": str(units), **more}
        answer = await self._http.post(f"/accounts/default:{login}/orders", json=body)
        if refused(answer):
            return None
        shown: dict[str, Any] = answer.json()
        return shown

    async def switch(self, faults: Sequence[str], rng: random.Random) -> None:
        calls: list[dict[str, Any]] = []
        pushes: list[dict[str, Any]] = []
        for fault in faults:
            kind = fault.removeprefix("push_")
            if fault != kind:
                pushes.append({"kind": kind, "times": rng.randint(1, 3), "delay": rng.uniform(0.1, 2.0)})
            else:
                times = rng.randint(5, 12) if kind in _STORMS else rng.randint(1, 2)
                calls.append({"kind": kind, "times": times, "match": rng.choice(_MATCHES), "pause": 0})
        (await self._http.put("/faults", json={"calls": calls, "pushes": pushes})).raise_for_status()

    async def end_sessions(self) -> None:
        (await self._http.post("/sessions/expire")).raise_for_status()

    async def uses(self) -> dict[str, int]:
        found: dict[str, int] = (await self._http.get("/health")).raise_for_status().json()["faults"]
        return found

    async def book(self) -> dict[int, Book]:
        return read_books((await self._http.get("/book")).raise_for_status().json())

    async def aclose(self) -> None:
        await self._http.aclose()
