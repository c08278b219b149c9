"""Tradovate through the real gateway: shards read one ordered stream and lock through it, whatever the sockets do."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import pytest

from adapters.journals.embedded import EmbeddedJournal
from adapters.tradovate.plugin import PLUGIN
from adapters.tradovate.settings import TradovateSettings
from cli.gateway.process import serve
from domain.errors import Unavailable
from gateway.recording import Recording
from ports.platform import AccountChanged, BalanceOperation, Deal, Event, GapInStream, Tick, TradingPlatform
from sandbox.tradovate.fake import FakeTradovate
from tests.contract.platform_contract import new_key
from tests.contract.tradovate_desk import Desk
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


class Shard:
    """Reads the stream in a thread, as shards do."""

    def __init__(self, platform: TradingPlatform, after: int = 0) -> None:
        self._after = after
        self.stream = platform.open_stream()
        self.events: list[Event] = []
        self.changed = threading.Condition()
        self.numbers: list[int] = []
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        """A new gateway numbers from the time of its start: a reader that knows nothing begins at the first batch. A
        connection that ends, or is silent on a slow machine, is opened again."""
        while not self._stopped.is_set():
            try:
                self._follow()
            except GapInStream as gap:
                self._after = gap.first - 1
            except Unavailable:
                self._stopped.wait(0.2)

    def _follow(self) -> None:
        for batch in self.stream.batches(self._after):
            if batch is not None:
                self._after = batch.number
                with self.changed:
                    self.events += batch.events
                    self.numbers.append(batch.number)
                    self.changed.notify_all()
            if self._stopped.is_set():
                return

    async def until(self, login: int, kind: type[Event], count: int) -> list[Event]:
        def found() -> list[Event]:
            return [each for each in self.events if isinstance(each, kind) and getattr(each, "login", login) == login]

        def wait() -> list[Event]:
            with self.changed:
                assert self.changed.wait_for(lambda: len(found()) >= count, _WAIT), (kind, self.events[-20:])
                return found()

        return await asyncio.to_thread(wait)

    async def stop(self) -> None:
        self._stopped.set()
        await asyncio.to_thread(self._thread.join)
        self.stream.close()


@asynccontextmanager
async def running_gateway(values: TradovateSettings, folder: Path) -> AsyncIterator[TradingPlatform]:
    assert PLUGIN.feed is not None
    platform, feed, stop = PLUGIN.build("futures", values), PLUGIN.feed("futures", values), asyncio.Event()
    journal = EmbeddedJournal(folder / "journal.sqlite3")
    task = asyncio.create_task(serve(platform, feed, journal, Recording(folder, 7), values, stop))
    try:
        async with asyncio.timeout(_WAIT):
            while not await asyncio.to_thread(_answers, platform):
                await asyncio.sleep(0.05)
        yield platform
    finally:
        stop.set()
        await task
        await feed.aclose()
        await platform.aclose()


def _answers(platform: TradingPlatform) -> bool:
    stream = platform.open_stream()
    try:
        return bool(stream.symbols())
    except Unavailable:
        return False
    finally:
        stream.close()


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
