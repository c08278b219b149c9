"""cTrader and its fake. Programs can only read and close there: people at the broker do the rest (`Staff`)."""

import asyncio
import fcntl
import json
import os
import random
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, get_args

import httpx

from adapters.ctrader.notes import note
from adapters.ctrader.platform import PLUGIN
from cli.chaos.venue.kinds import SPOT, Book, Control, Place, Position, read_books, refused
from ports.platform import Side
from sandbox.ctrader.faults import EventFault, RequestFault
from sandbox.own_ca import own_ca

_CLIENT, _SECRET, _TOKEN = "application", "of-the-application", "of-the-control"
_GRANTS: Final = "grants.json"
_TIMEOUT: Final = "2"
_STORMS: Final = ("too_many", "busy")
_CERTIFICATE: Final = "wrong_certificate"
_EVENT: Final = "event_"
# A refusal for good is the venue's last word on a lock: a person must act, and no chaos makes it good.
_REQUESTS: Final = tuple(kind for kind in get_args(RequestFault) if kind != "refused")
_EVENTS: Final = tuple(f"{_EVENT}{kind}" for kind in get_args(EventFault))
_CLOSE: Final = "ProtoOAClosePositionReq"
_CLOSES: Final = ("in_use", "closed_market", "accepted_only")  # what can befall orders only
# All but the renewal of a token: when its answer is lost, the trader has to grant access anew.
_KINDS: Final = (
    *("ProtoOAApplicationAuthReq", "ProtoOAAccountAuthReq", "ProtoOAVersionReq", "ProtoOATraderReq"),
    *("ProtoOAReconcileReq", "ProtoOAGetPositionUnrealizedPnLReq", "ProtoOADealListReq", "ProtoOAOrderListReq"),
    *("ProtoOACashFlowHistoryListReq", "ProtoOASubscribeSpotsReq", "ProtoOAv1PnLChangeSubscribeReq", _CLOSE),
)
_DELAYS: Final = (0.5, 2.0, 61.0)  # seconds
_LOT_SIZES: Final = {"XAUUSD": 10_000, "EURUSD": 10_000_000}  # in hundredths of a unit


class CTrader:
    """A Kind. Its clock is the machine's: the interface has no other."""

    name = "ctrader"
    plugin = PLUGIN
    market = SPOT
    faults: tuple[str, ...] = (*_REQUESTS, *_EVENTS, _CERTIFICATE)
    bad_input: Mapping[str, tuple[str, ...]] = {
        "cut": ("cut_body",),
        "duplicated": ("event_duplicate",),
        "reordered": ("event_reorder",),
        "delayed": ("event_delay", "slow"),
        "unknown_field": ("unknown_field", "event_unknown_field"),
        "unknown_enum": ("unknown_enum", "event_unknown_enum"),
        "wrong_type": ("wrong_type",),
        "zero_price": ("event_zero_price",),
        "unknown_login": ("event_unknown_login",),
        "token_expired": ("token_expired", "sessions_ended"),
        "wrong_certificate": (_CERTIFICATE,),
        "storm_of_429": ("too_many",),
        "storm_of_503": ("busy",),
        "disconnected": ("cut_before", "cut_after"),
    }

    def argv(self, place: Place) -> list[str]:
        right, wrong = own_ca(place.folder / "ca"), own_ca(place.folder / "other-ca")
        config = {
            "certificate": str(right.certificate),
            "key": str(right.key),
            "wrong_certificate": str(wrong.certificate),
            "wrong_key": str(wrong.key),
            "client_id": _CLIENT,
            "client_secret": _SECRET,
            "token": _TOKEN,
            "port": place.wire_port,
            "control_port": place.port,
        }
        file = place.folder / "fake.json"
        file.write_text(json.dumps(config))
        return [sys.executable, "-P", "-m", "sandbox.ctrader.server", str(file)]

    def fields(self, place: Place) -> dict[str, str]:
        return {
            "host": "127.0.0.1",
            "port": str(place.wire_port),
            "client_id": _CLIENT,
            "client_secret": _SECRET,
            "grants_file": str(place.folder / _GRANTS),
            "ca_file": str(place.folder / "ca" / "ca.pem"),
            "timeout": _TIMEOUT,
            "gateway_wall_clock": "true",
        }

    def control(self, place: Place) -> Control:
        return _Control(place.port, place.folder / _GRANTS)

    def fill_of(self, deal_id: str) -> str:
        return deal_id


class _Control:
    """A Control and a Staff."""

    def __init__(self, port: int, grants: Path) -> None:
        self._grants = grants
        self._known: set[str] = set()  # symbols that the fake has
        self._http = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}/control",
            headers={"Authorization": f"Bearer {_TOKEN}"},
            timeout=60,
            trust_env=False,
        )

    async def clock(self, at: datetime) -> None:
        """The clock is the machine's."""

    async def quote(self, prices: Mapping[str, tuple[Decimal, Decimal]]) -> None:
        for symbol, (bid, ask) in prices.items():
            if symbol not in self._known:
                self._known.add(symbol)
                kind = {"base": symbol[:3], "quote": symbol[3:], "lot_size": _LOT_SIZES[symbol]}
                await self._post("symbols", name=symbol, **kind)
            await self._post("prices", symbol=symbol, bid=str(bid), ask=str(ask))

    async def open(self, login: int, symbol: str, side: Side, units: int, *, forced: bool = False) -> Position | None:
        order = {"symbol": symbol, "side": side, "volume": units * 100, "forced": forced}
        answer = await self._http.post(f"/accounts/{login}/orders", json=order)
        if refused(answer):
            return None
        return Position(login, str(answer.json()["position"]), symbol, side, units)

    async def close(self, position: Position) -> bool:
        path = f"/accounts/{position.login}/positions/{position.name}/close"
        return not refused(await self._http.post(path, json={}))

    async def switch(self, faults: Sequence[str], rng: random.Random) -> None:
        (await self._http.delete("/faults")).raise_for_status()
        events: dict[str, int] = {}
        for fault in faults:
            if fault == _CERTIFICATE:
                await self._post("certificate", times=rng.randint(1, 3))
            elif fault.startswith(_EVENT):
                events[fault.removeprefix(_EVENT)] = rng.randint(1, 3)
            else:
                kind = _CLOSE if fault in _CLOSES else rng.choice(_KINDS)
                times = rng.randint(5, 12) if fault in _STORMS else rng.randint(1, 2)
                await self._post("faults", kind=kind, fault=fault, times=times)
        await self._post("event-faults", faults=events, delay_seconds=rng.choice(_DELAYS))

    async def end_sessions(self) -> None:
        for login in await self.book():
            await self._post(f"accounts/{login}/expire")

    async def uses(self) -> dict[str, int]:
        found: dict[str, int] = (await self._http.get("/counts")).raise_for_status().json()["faults"]
        return found

    async def book(self) -> dict[int, Book]:
        return read_books((await self._http.get("/book")).raise_for_status().json())

    # the broker's people

    async def open_account(self) -> int:
        login = int((await self._post("accounts", rights="NO_TRADING"))["account"])
        grant = await self._post("grants", accounts=[login])
        await asyncio.to_thread(self._add_grant, grant)
        return login

    def _add_grant(self, grant: Mapping[str, object]) -> None:
        """Under the lock that the adapters hold while they renew a token."""
        handle = os.open(self._grants.with_suffix(".lock"), os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            known = json.loads(self._grants.read_text())["grants"] if self._grants.exists() else []
            made = self._grants.with_suffix(".made")
            made.touch(mode=0o600)
            made.write_text(json.dumps({"grants": [*known, grant]}))
            made.replace(self._grants)
        finally:
            os.close(handle)

    async def pay_in(self, login: int, key: str, amount_minor: int) -> None:
        await self._post(f"accounts/{login}/cash", amount=amount_minor, note=note("deposit", key))

    async def set_trading(self, login: int, *, enabled: bool) -> None:
        await self._post(f"accounts/{login}/rights", rights="FULL_ACCESS" if enabled else "NO_TRADING")

    async def _post(self, path: str, **given: object) -> Any:
        answer = (await self._http.post(f"/{path}", json=given)).raise_for_status()
        return answer.json() if answer.content else None

    async def aclose(self) -> None:
        await self._http.aclose()
