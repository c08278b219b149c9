"""Tradovate and its fake."""

import json
import random
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import httpx

from adapters.tradovate.plugin import PLUGIN
from cli.chaos.venue.kinds import OPPOSITE, Book, Control, Market, Place, Position, read_books, refused
from ports.platform import Side
from sandbox.tradovate.config import ADMIN_ID, TEMPLATE_ID, TradovateConfig

_DESK: Final = "of-the-desk"
_TIMEOUT: Final = "2"
_HOLD: Final = 3.0  # longer than the time-out
_STORMS: Final = ("too_many", "busy")
_CALLS: Final = (
    *("error_text", "penalty", "timeout_before", "timeout_after", "cut_before", "cut_after", "too_many", "busy"),
    *("failed_after", "cut_body", "wrong_type", "unknown_field", "expired", "refuse_liquidations"),
)
_FRAMES: Final = (
    *("duplicate", "reorder", "drop", "cut_frame", "garbage", "wrong_type_frame", "unknown_field_frame"),
    *("unknown_enum", "unknown_entity", "late_fees", "delay", "disconnect", "other_zone", "unknown_login"),
    *("zero_price", "negative_price"),
)
_CHANGES: Final = ("order/liquidate", "accountRiskStatus/set", "fundTransaction/", "user/create")
_ONLY: Final[tuple[tuple[str, ...], ...]] = ((), (), _CHANGES)


class Tradovate:
    """A Kind."""

    name = "tradovate"
    plugin = PLUGIN
    market = Market(
        falling="MESZ6",
        start=Decimal(5000),
        fall=Decimal(100),
        tick=Decimal("0.25"),
        value=Decimal(5),
        calm="6EZ6",
        low=Decimal("1.09000"),
        range=Decimal("0.00050"),
        calm_tick=Decimal("0.00005"),
        unit=1,
    )
    faults: tuple[str, ...] = (*_CALLS, *_FRAMES)
    bad_input: Mapping[str, tuple[str, ...]] = {
        "cut": ("cut_body", "cut_frame"),
        "duplicated": ("duplicate",),
        "reordered": ("reorder",),
        "delayed": ("delay", "timeout_after"),
        "unknown_field": ("unknown_field", "unknown_field_frame"),
        "unknown_enum": ("unknown_enum",),
        "wrong_type": ("wrong_type", "wrong_type_frame"),
        "other_zone": ("other_zone",),
        "zero_price": ("zero_price",),
        "negative_price": ("negative_price",),
        "unknown_login": ("unknown_login",),
        "token_expired": ("expired", "sessions_ended"),
        "storm_of_429": ("too_many",),
        "storm_of_503": ("busy",),
        "error_in_200": ("error_text",),
        "disconnected": ("disconnect", "cut_before", "cut_after"),
    }

    def argv(self, place: Place) -> list[str]:
        config = json.dumps({"port": place.port, "desk_token": _DESK})
        return [sys.executable, "-P", "-m", "sandbox.tradovate.server", config]

    def fields(self, place: Place) -> dict[str, str]:
        given, host = TradovateConfig(port=place.port, desk_token=_DESK), f"127.0.0.1:{place.port}"
        return {
            "name": given.name,
            "password": given.password,
            "cid": given.cid,
            "sec": given.sec,
            "holder": str(ADMIN_ID),
            "templates": f"*={TEMPLATE_ID}",
            "symbols": f"{self.market.falling},{self.market.calm}",
            "url": f"http://{host}/v1",
            "users_url": f"http://{host}/v1",
            "quotes_url": f"ws://{host}/v1/websocket",
            "timeout": _TIMEOUT,
        }

    def control(self, place: Place) -> Control:
        return _Control(place.port)

    def fill_of(self, deal_id: str) -> str:
        """A fill that closes several others comes in parts."""
        return deal_id.partition(".")[0]


class _Control:
    def __init__(self, port: int) -> None:
        self._http = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}",
            headers={"Authorization": f"Bearer {_DESK}"},
            timeout=60,
            trust_env=False,
        )

    async def clock(self, at: datetime) -> None:
        (await self._http.put("/desk/clock", json={"at": at.isoformat()})).raise_for_status()

    async def quote(self, prices: Mapping[str, tuple[Decimal, Decimal]]) -> None:
        for symbol, (bid, ask) in prices.items():
            body = {"symbol": symbol, "bid": str(bid), "ask": str(ask)}
            (await self._http.post("/desk/quote", json=body)).raise_for_status()

    async def open(self, login: int, symbol: str, side: Side, units: int, *, forced: bool = False) -> Position | None:
        if not await self._trade(login, symbol, side, units, forced=forced):
            return None
        return Position(login, "", symbol, side, units)

    async def close(self, position: Position) -> bool:
        return await self._trade(position.login, position.symbol, OPPOSITE[position.side], position.units)

    async def _trade(self, login: int, symbol: str, side: Side, units: int, *, forced: bool = False) -> bool:
        body = {"account_id": login, "symbol": symbol, "action": side.capitalize(), "quantity": units, "forced": forced}
        return not refused(await self._http.post("/desk/trade", json=body))

    async def switch(self, faults: Sequence[str], rng: random.Random) -> None:
        body: dict[str, Any] = {"only": rng.choice(_ONLY), "hold_seconds": _HOLD}
        for fault in faults:
            if fault == "delay":
                body[fault] = round(rng.uniform(0.1, 1.0), 2)
            else:
                body[fault] = rng.randint(5, 12) if fault in _STORMS else rng.randint(1, 2)
        (await self._http.put("/desk/faults", json=body)).raise_for_status()

    async def end_sessions(self) -> None:
        (await self._http.post("/desk/expire-tokens")).raise_for_status()

    async def uses(self) -> dict[str, int]:
        found: dict[str, int] = (await self._http.get("/desk/uses")).raise_for_status().json()
        return found

    async def book(self) -> dict[int, Book]:
        return read_books((await self._http.get("/desk/book")).raise_for_status().json())

    async def aclose(self) -> None:
        await self._http.aclose()
