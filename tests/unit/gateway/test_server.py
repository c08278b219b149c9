"""The gateway's HTTP interface where it has nothing to tell yet."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import httpx

from gateway.clock import VenueClock
from gateway.gateway import Gateway
from gateway.server import create_app
from ports.platform import ClockReading, SymbolSpec

START = datetime(2026, 3, 2, tzinfo=UTC)


async def test_symbols_are_unavailable_until_the_venue_has_told_them() -> None:
    """An empty list would say that there are none: a shard that reads it judges no position any more."""
    specs: dict[str, SymbolSpec] = {}
    stub: Any = SimpleNamespace(hub=None, sequencer=SimpleNamespace(specs=specs))
    transport = httpx.ASGITransport(create_app(cast(Gateway, stub), "token"))
    headers = {"Authorization": "Bearer token"}
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway", headers=headers) as client:
        assert (await client.get("/venue/symbols")).status_code == 503
        specs["EURUSD"] = SymbolSpec.model_validate(
            {"symbol": "EURUSD", "contract_size": "100000", "quote_currency": "USD", "digits": 5}
        )
        told = await client.get("/venue/symbols")
    assert [each["symbol"] for each in told.json()] == ["EURUSD"]


async def test_the_clock_of_the_venue_is_told_once_messages_have_told_it() -> None:
    clock = VenueClock(wall=True)
    assert clock.reading.ahead_us is None
    for n in range(30):  # the venue is two seconds ahead, the quickest message takes ten milliseconds
        clock.sample(START + timedelta(seconds=2), START + timedelta(milliseconds=10 + n))
    stub: Any = SimpleNamespace(hub=None, sequencer=None, clock=clock)
    transport = httpx.ASGITransport(create_app(cast(Gateway, stub), "token"))
    headers = {"Authorization": "Bearer token"}
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway", headers=headers) as client:
        told = await client.get("/venue/clock")
    assert told.json() == {"ahead_us": 1_990_000, "simulated": False, "samples": 30}
    assert VenueClock(wall=False).reading == ClockReading(ahead_us=0, simulated=True)
