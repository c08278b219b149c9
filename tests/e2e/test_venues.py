"""A firm on two venues of different kind, at the same market time: each account is judged and locked where it is, and a
venue that is killed goes on as it was."""

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from cli.demo.outside import VenueDesk
from cli.stack.venues import SANDBOX, TRADOVATE, Venue, platform_of, product_at
from tests.e2e.firm import DAY, Firm, minutes, open_for_business

_PLATFORM = platform_of(TRADOVATE)
_FALLING = minutes([(m, "2650.000") for m in range(32)] + [(m, f"{2650 - (m - 32) * 4}.000") for m in range(32, 50)])


@asynccontextmanager
async def _desk(venue: Venue) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": f"Bearer {venue.desk_token}"}
    async with httpx.AsyncClient(base_url=venue.url, headers=headers, timeout=60, trust_env=False) as desk:
        yield desk


async def _book(venue: Venue, login: int) -> dict[str, Any]:
    async with _desk(venue) as desk:
        books = (await desk.get("/desk/book")).raise_for_status().json()
    found: dict[str, Any] = next(book for book in books if book["login"] == login)
    return found


async def _net_lots(firm: Firm, platform: str) -> dict[str, Decimal]:
    rosa = await firm.operator("rosa")
    rows = await rosa.get("/v1/exposure", platform=platform)
    return {row["symbol"]: Decimal(row["net_lots"]) for row in rows["items"]}


@pytest.mark.timeout(900)
async def test_accounts_on_two_venues_are_judged_where_they_are(data_dir: Path) -> None:
    async with open_for_business(data_dir, _FALLING, (TRADOVATE,)) as firm:
        [venue] = firm.stack.venues
        await firm.advance(DAY + timedelta(minutes=1))
        here = await firm.trader(1, "instant")
        there = await firm.trader(2, product_at(TRADOVATE, "instant"))
        hosted = await firm.trader(3, product_at(TRADOVATE, "two-step"), "martingale")
        desk = VenueDesk(venue)
        await desk.bind_trader(hosted.challenge_id, hosted.persona, None)
        await desk.aclose()
        mine, theirs = await firm.account(here), await firm.account(there)
        assert (mine["platform"], theirs["platform"]) == (SANDBOX, _PLATFORM)
        assert Decimal((await _book(venue, theirs["login"]))["balance"]) == 100_000

        await firm.order(mine["login"], "open", "buy", "2")
        async with _desk(venue) as trading:
            body = {"account_id": theirs["login"], "symbol": "MGCZ6", "action": "Buy", "quantity": 20}
            (await trading.post("/desk/trade", json=body)).raise_for_status()
        await firm.advance(DAY + timedelta(minutes=3))
        assert await _net_lots(firm, SANDBOX) == {"XAUUSD": 2}
        assert (await _net_lots(firm, _PLATFORM)).keys() == {"MGCZ6"}

        pid = firm.stack.pid(_PLATFORM)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await firm.advance(DAY + timedelta(minutes=30))
        assert firm.stack.restarts(_PLATFORM) == 1
        assert (await _book(venue, theirs["login"]))["open"], "the killed venue remembers the position"
        deals = await hosted.api.items(f"/v1/accounts/{(await firm.account(hosted))['id']}/deals")
        assert deals, "a trader that is hosted there trades, after the kill too"
        assert all(Decimal(deal["lots"]) % 1 == 0 for deal in deals), "in whole contracts"

        await firm.advance(DAY + timedelta(minutes=45))
        for trader, account in ((here, mine), (there, theirs)):
            [breach] = await trader.api.items(f"/v1/accounts/{account['id']}/breaches")
            assert breach["rule_id"] == "daily_loss"
            assert breach["occurred_at"].startswith("2026-03-06T00:36:00"), "at the same market time"
        book = await _book(venue, theirs["login"])
        assert (book["enabled"], book["open"]) == (False, [])
        at_sandbox = await firm.sandbox.account(mine["login"])
        assert (at_sandbox["trading_enabled"], at_sandbox["positions"]) == (False, [])
