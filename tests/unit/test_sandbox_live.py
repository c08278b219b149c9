"""A market in lockstep goes live: once, for good, at the prices where the recording left off."""

import asyncio
import json
import shutil
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from domain.errors import Conflict
from ports.platform import ClockMark, Deal, Tick
from sandbox.feed import find_file, read_file
from sandbox.instants import HOUR, MINUTE, SECOND, to_us
from sandbox.market import SimulatedMarket
from sandbox.model import PriceModel
from sandbox.server import SandboxConfig, create_app
from sandbox.synthetic import write_day
from tests.contract.sandbox_process import (
    DAY,
    SandboxProcess,
    at,
    running_sandbox,
    waves,
    write_recording,
)

SPREADS = {"EURUSD": Decimal("0.00010"), "XAUUSD": Decimal("0.300")}


@pytest.fixture
def market_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "prices"
    write_recording(folder, "EURUSD", waves(15, 138_000, 300, 10, 5))
    write_recording(folder, "XAUUSD", waves(15, 1_290_000, 900, 300, 3))
    return folder


def _config(market_dir: Path | None, folder: Path, **changes: Any) -> SandboxConfig:
    return SandboxConfig(data_dir=folder, token="t", webhook_secret="s", market_dir=market_dir, **changes)


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _ticks_after(sandbox: SandboxProcess, ticks: int) -> Callable[[], bool]:
    return lambda: bool(sandbox.market()["ticks"] >= ticks + 8)


def _time_of(answer: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(answer["market_time"])


def test_it_goes_on_live_from_the_last_prices_and_stays_live(market_dir: Path, tmp_path: Path) -> None:
    with running_sandbox(tmp_path, market_dir=market_dir, date=DAY) as sandbox:
        sandbox.advance(at(0, 10))
        replayed = sandbox.market()
        assert (replayed["mode"], replayed["feed_ends_at"]) == ("lockstep", "2024-01-05T00:14:59.000000Z")
        login = sandbox.funded("chl_1")

        answer = sandbox.post("/market/live", {})
        assert answer.status_code == 200 and answer.json()["mode"] == "live"
        assert abs(_time_of(answer.json()) - datetime.now(UTC)) < timedelta(seconds=20)
        _until(_ticks_after(sandbox, replayed["ticks"]))
        live = sandbox.market()
        assert (live["mode"], live["feed_ends_at"], live["running"]) == ("live", None, True)
        _stays_near(replayed["last_quotes"], live["last_quotes"])
        refused = sandbox.post("/market/advance", {"until": at(23).isoformat()})
        assert refused.status_code == 409
        assert sandbox.post("/market/live", {}).json()["mode"] == "live"
        assert sandbox.order(login, "o", symbol="XAUUSD", side="buy", lots="1").status_code == 200

        before = sandbox.market()
        sandbox.kill()
        shutil.rmtree(market_dir)
        sandbox.start()
        after = sandbox.market()
        assert after["mode"] == "live" and after["batch"] >= before["batch"]
        assert _time_of(after) >= _time_of(before)
        _until(_ticks_after(sandbox, after["ticks"]))
        _stays_near(before["last_quotes"], sandbox.market()["last_quotes"])

        events = sandbox.all_events()
        assert [e.seq for e in events] == list(range(1, len(events) + 1))
        times = [e.at for e in events if isinstance(e, Tick | ClockMark)]
        assert times == sorted(times)
        assert [e.kind for e in events].count("deal") == 1


def _stays_near(before: dict[str, Any], after: dict[str, Any]) -> None:
    for symbol, spread in SPREADS.items():
        moved = Decimal(after[symbol]["bid"]) - Decimal(before[symbol]["bid"])
        assert abs(moved) < 8 * spread, symbol


async def test_time_does_not_go_back(tmp_path: Path) -> None:
    ahead = date(2999, 1, 4)
    write_recording(tmp_path / "prices", "EURUSD", waves(1, 110_000, 300, 10, 5), ahead)
    market: SimulatedMarket = create_app(_config(tmp_path / "prices", tmp_path / "a", symbols=("EURUSD",))).state.market
    with pytest.raises(Conflict, match="time cannot go back") as refused:
        await market.go_live(7)
    assert refused.value.remedy and market.mode == "lockstep"
    market.journal.close()


async def test_a_replay_that_runs_by_itself_cannot_go_live(market_dir: Path, tmp_path: Path) -> None:
    market: SimulatedMarket = create_app(_config(market_dir, tmp_path / "a", speed=10)).state.market
    with pytest.raises(Conflict, match="own speed"):
        await market.go_live(7)
    market.journal.close()


async def test_hosted_traders_go_on_trading(market_dir: Path, tmp_path: Path) -> None:
    market: SimulatedMarket = create_app(_config(market_dir, tmp_path / "a")).state.market
    tempers = ("careful", "gambler", "martingale", "steady", "news", "gambler")
    for number in range(36):
        market.desk.bind(f"chl_{number}", tempers[number % len(tempers)], number, None)
        login = market.venue.create_account(f"chl_{number}/1", "test/1", "USD", 100)
        market.venue.balance_operation(login, "d", "deposit", 10_000_000)
        market.venue.set_trading(login, "on", True)
        market.desk.adopt(market.venue.account(login))
    await market.go_live(7)
    began = market.market_us
    live = asyncio.create_task(market.run_live(1200))
    deadline = time.monotonic() + 120
    while market.market_us < began + 40 * MINUTE and time.monotonic() < deadline:
        await asyncio.sleep(0.05)
    market.stop()
    await live
    bodies = [json.loads(market.journal.batch(number) or "{}") for number in range(1, market.number + 1)]
    deals = [event for body in bodies for event in body["events"] if event["kind"] == "deal"]
    minutes = (market.market_us - began) / MINUTE
    assert minutes >= 40 and 1.5 < len(deals) / minutes < 20
    assert all(Deal.model_validate(deal).at.timestamp() * SECOND >= began for deal in deals)
    assert len({deal["login"] for deal in deals}) > 15
    market.journal.close()


def test_the_model_moves_as_much_in_a_day_as_markets_do() -> None:
    start = to_us(at(0))
    for symbol in ("EURUSD", "XAUUSD"):
        model, prices = PriceModel(7, (symbol,), start), list[float]()
        for minute in range(10, 12 * 60, 10):
            prices.append(float(model.take(start + minute * MINUTE, 100_000)[-1].bid))
        squares = [(now / before - 1) ** 2 for before, now in pairwise(prices)]
        assert 0.004 < (sum(squares) * 2) ** 0.5 < 0.025, symbol


def test_a_made_up_day_repeats_by_seed_and_has_a_burst_that_traders_notice(tmp_path: Path) -> None:
    day = date(2026, 3, 6)
    first, second = tmp_path / "a", tmp_path / "b"
    for folder in (first, second):
        write_day(folder, ("XAUUSD",), day, 7, end_ms=13 * 3_600_000)
    quotes, again = (list(read_file(find_file(folder, "XAUUSD", day))) for folder in (first, second))
    assert quotes == again
    news = 12 * HOUR + 30 * MINUTE
    assert sum(news <= at_us < news + MINUTE for at_us, _ in quotes) > 12 * 60
    assert sum(news - MINUTE <= at_us < news for at_us, _ in quotes) < 2 * 60
