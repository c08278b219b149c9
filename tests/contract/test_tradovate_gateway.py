"""Tradovate through the real gateway: shards read one ordered stream and lock through it, whatever the sockets do."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from ports.platform import AccountChanged, BalanceOperation, Deal, Tick
from sandbox.tradovate.fake import FakeTradovate
from tests.contract.platform_contract import new_key
from tests.contract.tradovate_desk import Desk
from tests.contract.tradovate_shard import Shard, running_gateway
from tests.contract.tradovate_thread import settings, tradovate_thread

_WAIT = 180  # seconds


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeTradovate]:
    with tradovate_thread(heartbeat=0.2) as running:
        yield running


@pytest.fixture
async def desk(fake: FakeTradovate) -> AsyncIterator[Desk]:
    desk = Desk(fake)
    await desk.quote("ESZ6", "5000.00", "5000.25")
    yield desk
    await desk.faults()
    await desk.aclose()


async def test_a_day_through_the_gateway(fake: FakeTradovate, desk: Desk, tmp_path: Path) -> None:
    values = settings(fake.config)
    async with running_gateway(values, tmp_path) as platform:
        shard = Shard(platform)
        try:
            login = await platform.create_account(key=new_key(), group="g", currency="USD", leverage=1)
            paid = new_key()
            await platform.balance_operation(login, key=paid, operation="deposit", amount_minor=50_000_00)
            (deposit,) = await shard.until(login, BalanceOperation, 1)
            assert isinstance(deposit, BalanceOperation) and (deposit.key, deposit.operation) == (paid, "deposit")
            await platform.set_trading(login, key=new_key(), enabled=True)
            await shard.until(login, AccountChanged, 1)
            for fault in ("duplicate", "reorder", "drop", "cut_frame", "late_fees", "disconnect"):
                await desk.faults(**{fault: 1})
                await desk.trade(login, "Buy", 2)
                await desk.trade(login, "Sell", 1)
            await desk.quote("ESZ6", "5001.00", "5001.25")
            venue = await platform.snapshot(login)
            async with asyncio.timeout(_WAIT):
                while (await asyncio.to_thread(shard.stream.snapshot, login)).balance_minor != venue.balance_minor:
                    await asyncio.sleep(0.1)
            told = await asyncio.to_thread(shard.stream.snapshot, login)
            assert [(each.position_id, each.lots) for each in told.positions] == sorted(
                (each.position_id, each.lots) for each in venue.positions
            )
            key = new_key()
            await asyncio.to_thread(shard.stream.lock_many, [(login, key), (login, key)])
            assert (await platform.snapshot(login)).positions == ()
            deals = [each for each in await shard.until(login, Deal, 15) if isinstance(each, Deal)]
            assert len({deal.deal_id for deal in deals}) == len(deals)
            assert {deal.reason for deal in deals} == {"client", "dealer"}
            net = sum((deal.lots if deal.side == "buy" else -deal.lots for deal in deals), Decimal(0))
            assert net == 0
            assert any(isinstance(each, Tick) and each.bid == 5001 for each in shard.events)
            assert shard.numbers == list(range(shard.numbers[0], shard.numbers[0] + len(shard.numbers)))
        finally:
            await shard.stop()


async def test_a_gateway_that_was_down_tells_what_it_missed_once(
    fake: FakeTradovate, desk: Desk, tmp_path: Path
) -> None:
    async with running_gateway(settings(fake.config), tmp_path) as platform:
        login = await platform.create_account(key=new_key(), group="g", currency="USD", leverage=1)
        await platform.balance_operation(login, key=new_key(), operation="deposit", amount_minor=50_000_00)
        await platform.set_trading(login, key=new_key(), enabled=True)
        await desk.trade(login, "Buy", 2)
        shard = Shard(platform)
        try:
            told = await shard.until(login, Deal, 1)
        finally:
            await shard.stop()
        read = shard.numbers[-1]
    await desk.trade(login, "Sell", 1)
    await desk.trade(login, "Buy", 3)
    async with running_gateway(settings(fake.config), tmp_path) as platform:
        shard = Shard(platform, after=read)
        try:
            missed = await shard.until(login, Deal, 2)
            venue = await platform.snapshot(login)
            async with asyncio.timeout(_WAIT):
                while (await asyncio.to_thread(shard.stream.snapshot, login)).balance_minor != venue.balance_minor:
                    await asyncio.sleep(0.1)
        finally:
            await shard.stop()
    assert shard.numbers[0] == read + 1
    ids = [deal.deal_id for deal in (*told, *missed) if isinstance(deal, Deal)]
    assert len(ids) == len(set(ids)) == 3
