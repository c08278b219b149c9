"""The same seed gives the same stream, whatever the order of accounts and through any kill."""

import asyncio
import json
import threading
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from domain.errors import BadInput, Conflict, Unavailable
from sandbox.instants import to_us
from sandbox.market import SimulatedMarket
from sandbox.server import SandboxConfig, create_app
from tests.contract.sandbox_process import SandboxProcess, at, reading, running_sandbox, write_recording

TEMPERS = ("careful", "gambler", "martingale", "news", "copier", "steady", "idle", "gambler")


def _restless(start: int, points: int, spread: int, digits: int, minutes: int) -> list[str]:
    """From noon on, two ticks a second on a crooked path, with a burst of forty a second now and then."""
    lines, price, noon = list[str](), start, 12 * 3_600_000
    for half in range(minutes * 120):
        count = 20 if 1800 < half % 3600 < 1860 else 1
        for step in range(count):
            price += ((half * 7919 + step * 104_729) % 201 - 100) * points // 100
            bid, ask = (f"{p // 10**digits}.{p % 10**digits:0{digits}d}" for p in (price, price + spread))
            lines.append(f"{noon + half * 500 + step * 20},{bid},{ask}")
    return lines


@pytest.fixture(scope="module")
def market_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prices")
    write_recording(folder, "EURUSD", _restless(110_000, 25, 10, 5, 90))
    write_recording(folder, "XAUUSD", _restless(2_000_000, 900, 300, 3, 90))
    return folder


def _config(market_dir: Path, folder: Path, **changes: Any) -> SandboxConfig:
    return SandboxConfig(data_dir=folder, token="t", webhook_secret="s", market_dir=market_dir, **changes)


def _populate(market: SimulatedMarket, order: Sequence[int]) -> None:
    for number in order:
        reference, temper = f"chl_{number}", TEMPERS[number % len(TEMPERS)]
        leader = f"chl_{number - 1}" if temper == "copier" else None
        market.desk.bind(reference, temper, number, leader)
        login = market.venue.create_account(f"{reference}/1", "test/1", "USD", 100)
        market.venue.balance_operation(login, "d", "deposit", 10_000_000)
        market.venue.set_trading(login, "on", True)
        market.desk.adopt(market.venue.account(login))
        market.commit()


async def _acknowledge(market: SimulatedMarket) -> None:
    async for line in market.stream(market.readers.acked):
        if line.strip():
            market.acknowledge(int(json.loads(line)["number"]), 0)


async def _run(market: SimulatedMarket, *until: datetime) -> None:
    reader = asyncio.create_task(_acknowledge(market))
    for moment in until:
        await market.advance(to_us(moment))
    market.stop()
    reader.cancel()
    with suppress(asyncio.CancelledError):
        await reader


def _batches(market: SimulatedMarket) -> list[str]:
    bodies = [market.journal.batch(number) for number in range(1, market.number + 1)]
    assert None not in bodies
    return [body for body in bodies if body]


async def _stream(config: SandboxConfig, order: Sequence[int], *until: datetime) -> list[str]:
    market: SimulatedMarket = create_app(config).state.market
    _populate(market, order)
    await _run(market, *until)
    bodies = _batches(market)
    market.journal.close()
    return bodies


def _deals_by_owner(bodies: list[str], order: Sequence[int]) -> dict[int, list[tuple[Any, ...]]]:
    deals: dict[int, list[tuple[Any, ...]]] = {}
    for body in bodies:
        for event in json.loads(body)["events"]:
            if event["kind"] == "deal":
                fields = ("at", "symbol", "side", "lots", "price", "entry", "profit_minor", "reason")
                owner = order[event["login"] - 10_001]
                deals.setdefault(owner, []).append(tuple(event[name] for name in fields))
    return deals


async def test_two_runs_of_a_seed_are_identical(market_dir: Path, tmp_path: Path) -> None:
    accounts = range(40)
    first = await _stream(_config(market_dir, tmp_path / "a"), accounts, at(14))
    second = await _stream(_config(market_dir, tmp_path / "b"), accounts, at(14))
    assert first == second
    deals = _deals_by_owner(first, accounts)
    assert len(deals) >= 15 and sum(map(len, deals.values())) > 60

    backwards = list(reversed(accounts))
    third = await _stream(_config(market_dir, tmp_path / "c"), backwards, at(14))
    assert _deals_by_owner(third, backwards) == deals


async def test_traders_are_flat_before_the_recording_ends(market_dir: Path, tmp_path: Path) -> None:
    market: SimulatedMarket = create_app(_config(market_dir, tmp_path / "a")).state.market
    _populate(market, range(40))
    await _run(market, at(14))
    held = [account for account in market.venue.accounts.values() if account.positions]
    assert len(held) < 8
    assert all(len(account.positions) == 1 for account in held)  # those who keep their losers
    market.journal.close()


def _eight_traders(sandbox: SandboxProcess) -> None:
    for number in range(8):
        temper = TEMPERS[number]
        body = {"reference": f"chl_{number}", "temper": temper, "seed": number}
        leader = {"leader": f"chl_{number - 1}"} if temper == "copier" else {}
        sandbox.post("/traders", body | leader).raise_for_status()
        sandbox.funded(f"chl_{number}")


@pytest.fixture(scope="module")
def undisturbed(market_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """The stream of a sandbox that nobody kills."""
    with running_sandbox(tmp_path_factory.mktemp("whole") / "a", market_dir=market_dir) as whole:
        _eight_traders(whole)
        whole.advance(at(13))
        return list(whole.all_batches())


@pytest.mark.parametrize("dies_at", [1, 150, 437])
def test_a_killed_sandbox_goes_on_where_it_was(
    market_dir: Path, tmp_path: Path, undisturbed: list[Any], dies_at: int
) -> None:
    with running_sandbox(tmp_path / "b", market_dir=market_dir) as sandbox:
        _eight_traders(sandbox)
        with reading(sandbox, 0, stop_at=lambda batch: batch.number == dies_at) as reader:
            until = {"until": at(13).isoformat()}
            asking = threading.Thread(target=lambda: _ask_in_vain(sandbox, until))
            asking.start()
            reader.join(timeout=60)
            sandbox.kill()
            asking.join(timeout=60)
        sandbox.start()
        assert (sandbox.market()["batch"], sandbox.market()["acked"]) == (dies_at, dies_at - 1)
        sandbox.advance(at(13))
        assert sandbox.all_batches() == undisturbed


def _ask_in_vain(sandbox: SandboxProcess, until: dict[str, str]) -> None:
    with suppress(Exception):
        sandbox.post("/market/advance", until)


def test_an_answered_call_survives_a_kill(market_dir: Path, tmp_path: Path) -> None:
    with running_sandbox(tmp_path, market_dir=market_dir) as sandbox:
        sandbox.advance(at(12, 1))
        login = sandbox.funded("chl_1")
        assert sandbox.order(login, "o", symbol="XAUUSD", side="buy", lots="1").status_code == 200
        transfer = {"reference": "p", "amount_minor": 5, "currency": "USD", "beneficiary": "b"}
        made = sandbox.http.post("/provider/transfers", json=transfer, headers={"Idempotency-Key": "k"}).json()
        path = f"/venue/accounts/{login}"
        before = [sandbox.http.get(path).json(), sandbox.http.get(f"{path}/deals").json()]
        sandbox.kill()
        sandbox.start()
        assert [sandbox.http.get(path).json(), sandbox.http.get(f"{path}/deals").json()] == before
        assert sandbox.order(login, "o", symbol="XAUUSD", side="buy", lots="1").status_code == 200
        assert sandbox.http.get(path).json() == before[0]
        assert sandbox.http.get("/provider/transfers", params={"key": "k"}).json() == [made]
        sandbox.advance(at(12, 2))
        events = sandbox.all_events()
        assert [e.seq for e in events] == list(range(1, len(events) + 1))
        assert [e.kind for e in events].count("deal") == 1


def test_a_data_folder_belongs_to_one_sandbox_and_one_market(market_dir: Path, tmp_path: Path) -> None:
    config = _config(market_dir, tmp_path)
    market: SimulatedMarket = create_app(config).state.market
    with pytest.raises(Unavailable, match="cannot open"):
        create_app(config)
    market.journal.close()
    with pytest.raises(BadInput, match="other settings") as refused:
        create_app(config.model_copy(update={"seed": 8}))
    assert refused.value.field == "data_dir"


def test_a_binding_is_checked(market_dir: Path, tmp_path: Path) -> None:
    market: SimulatedMarket = create_app(_config(market_dir, tmp_path)).state.market
    market.desk.bind("chl_1", "news", 1, None)
    market.desk.bind("chl_1", "news", 1, None)
    with pytest.raises(Conflict):
        market.desk.bind("chl_1", "news", 2, None)
    with pytest.raises(BadInput, match="no temper 'angry'"):
        market.desk.bind("chl_2", "angry", 1, None)
    for temper, leader in (("copier", None), ("news", "chl_1")):
        with pytest.raises(BadInput, match="leader"):
            market.desk.bind("chl_2", temper, 1, leader)
    market.journal.close()


async def _at_least(market: SimulatedMarket, ticks: int) -> None:
    while market.ticks < ticks:
        await asyncio.sleep(0.05)


async def test_a_live_replay_and_the_model_run_by_themselves(market_dir: Path, tmp_path: Path) -> None:
    symbols = ("EURUSD", "USDJPY", "NAS100")
    model = SandboxConfig(data_dir=tmp_path / "m", token="t", webhook_secret="s", symbols=symbols)
    for config in (_config(market_dir, tmp_path / "r", speed=600, start=at(12)), model):
        market: SimulatedMarket = create_app(config).state.market
        _populate(market, range(8))
        before = market.market_us
        live = asyncio.create_task(market.run_live(config.speed))
        async with asyncio.timeout(20):
            await _at_least(market, ticks=8)
        market.stop()
        await live
        bodies = [json.loads(body) for body in _batches(market)]
        events = [event for body in bodies for event in body["events"]]
        assert [e["seq"] for e in events] == list(range(1, len(events) + 1))
        assert any(e["kind"] == "clock" and e["flush"] for e in events)
        assert market.market_us > before
        with pytest.raises(Unavailable):
            create_app(config)
        market.journal.close()
