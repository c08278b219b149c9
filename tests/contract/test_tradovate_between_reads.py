"""What happens between two reads of Tradovate's lists is told rightly: once, with its money and its reason."""

import asyncio
import copy
from collections.abc import AsyncIterator, Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from adapters.tradovate import reading
from adapters.tradovate.platform import TradovatePlatform
from adapters.tradovate.wire import CASH_SNAPSHOT, LOCK
from domain.errors import PropOSError, Unavailable
from ports.platform import Deal
from ports.venue import Access, Fill, FillCorrected, Message, Order, Snapshot
from sandbox.tradovate.fake import FakeTradovate
from sandbox.tradovate.rows import Change, Row
from tests.contract.tradovate_desk import Desk
from tests.contract.tradovate_reader import WAIT, World
from tests.contract.tradovate_shard import Shard, running_gateway
from tests.contract.tradovate_thread import settings, tradovate_thread

_ES, _MES = 301, 302


@pytest.fixture
def fake() -> Iterator[FakeTradovate]:
    with tradovate_thread(heartbeat=0.2) as running:
        yield running


@pytest.fixture
async def world(fake: FakeTradovate) -> AsyncIterator[World]:
    world = World(fake, TradovatePlatform("futures", settings(fake.config)), Desk(fake))
    await world.desk.quote("ESZ6", "5000.00", "5000.25")
    await world.desk.quote("MESZ6", "5000.00", "5000.25")
    yield world
    await world.platform.aclose()
    await world.desk.aclose()


class Between:
    """Does something once in the loop of the fake: when the answer to a call is made and not sent yet."""

    def __init__(self, fake: FakeTradovate, monkeypatch: pytest.MonkeyPatch) -> None:
        self._fake = fake
        self._path, self._left = "", 0
        self._then: Callable[[], object] = lambda: None
        for name in ("get", "post"):
            monkeypatch.setattr(fake.calls, name, self._watched(getattr(fake.calls, name)))

    def after(self, path: str, then: Callable[[], object], *, time: int = 1) -> None:
        """`time`: after which of the calls of that path."""
        self._path, self._left, self._then = path, time, then

    @property
    def done(self) -> bool:
        return self._left == 0

    def _watched(self, call: Callable[[str, Any], Any]) -> Callable[[str, Any], Any]:
        def watched(path: str, given: Any) -> Any:
            answer = copy.deepcopy(call(path, given))  # the rows of the fake change
            if path == self._path and self._left:
                self._left -= 1
                if not self._left:
                    self._then()
            return answer

        return watched


@pytest.fixture
def between(fake: FakeTradovate, monkeypatch: pytest.MonkeyPatch) -> Between:
    return Between(fake, monkeypatch)


def fill(fake: FakeTradovate, order: Row | int) -> None:
    with fake.rows.one_call():
        row = fake.rows.get("order", order) if isinstance(order, int) else order
        assert row is not None
        fake.trading.fill(row)


def trade(fake: FakeTradovate, login: int, action: str, contract: int = _ES) -> None:
    with fake.rows.one_call():
        fake.trading.fill(fake.trading.place(login, contract, action, 1, "Market"))


async def messages(told: AsyncIterator[Message]) -> list[Message]:
    return [each async for each in told]


# fills that a history lacks


@pytest.mark.parametrize("path", ["order/deps", "fill/ldeps"])
async def test_a_fill_that_came_between_two_lists_of_a_history_stays_told(
    world: World, between: Between, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "_IN_ONE_CALL", 1)
    async with world.reading() as reader:
        login = await world.account()
        pending = [await world.desk.trade(login, "Buy", 1, kind="Limit", price="5000.25") for _ in range(2)]
        await reader.until(lambda: len(reader.of(Order, login)) == 2 and len(reader.of(Access, login)) == 3)

        def fills() -> None:
            fill(world.fake, pending[0])
            trade(world.fake, login, "Sell")
            fill(world.fake, pending[1])

        between.after(path, fills)
        history = await messages(reader.feed.fills(login, ""))
        assert between.done
        await reader.until(lambda: len(reader.of(Fill, login)) == 3)
        for message in history:
            reader.take(message)
        assert reader.of(FillCorrected, login) == []
        assert reader.agrees(await world.platform.snapshot(login))
        assert {each.fill_id: each.reason for each in reader.of(Fill, login)} == {
            each.fill_id: reason
            for each, reason in zip(reader.deals(login), ["pending_fill", "client", "pending_fill"], strict=True)
        }


@pytest.mark.parametrize("path", ["order/list", "fill/list"])
async def test_a_fill_that_came_between_two_lists_of_a_new_connection_is_not_left_out_of_a_later_one(
    world: World, between: Between, path: str
) -> None:
    login = await world.account()
    pending = await world.desk.trade(login, "Sell", 1, kind="Limit", price="5000.00")
    async with world.reading() as reader:

        def fills() -> None:
            trade(world.fake, login, "Buy")
            fill(world.fake, pending)

        between.after(path, fills)
        await world.desk.post("disconnect")
        await reader.until(lambda: between.done and len(reader.deals(login)) == 2)
        venue = await world.platform.snapshot(login)
        await reader.until(lambda: reader.agrees(venue))
        assert [each.entry for each in reader.of(Fill, login)][:2] == ["in", "out"]
        assert reader.of(FillCorrected, login) == []


_LISTS = ["fill/list", "order/list", "fillFee/list", "cashBalanceLog/ldeps", "position/list"]
_OF_ONE = ["order/deps", "fill/ldeps", "position/deps", CASH_SNAPSHOT, "cashBalanceLog/deps", "fillFee/ldeps"]


@pytest.mark.parametrize(
    ("path", "held", "contract"),
    [
        *((path, False, _ES) for path in _LISTS),
        *((path, True, _ES) for path in _OF_ONE),
        ("cashBalanceLog/deps", True, _MES),  # a contract that nobody knew of
    ],
)
async def test_a_gateway_that_begins_while_an_account_trades_counts_every_fill_once(
    world: World, between: Between, tmp_path: Path, path: str, held: bool, contract: int
) -> None:
    login = await world.account()
    pending = await world.desk.trade(login, "Sell", 1, kind="Limit", price="5010.00")
    await world.desk.trade(login, "Buy", 1)
    if not held:
        await world.desk.trade(login, "Sell", 1)
    await world.desk.quote("ESZ6", "5010.00", "5010.25")

    def fills() -> None:
        trade(world.fake, login, "Buy", contract)
        fill(world.fake, pending)
        if contract != _ES:
            trade(world.fake, login, "Sell", contract)

    between.after(path, fills)
    async with running_gateway(settings(world.fake.config, symbols="ESZ6"), tmp_path) as platform:
        shard = Shard(platform)
        try:
            async with asyncio.timeout(WAIT):
                while not await asyncio.to_thread(_has_begun, shard, login):
                    await asyncio.sleep(0.05)
            assert between.done
            marker = await world.desk.trade(login, "Buy", 3)  # behind all that was pushed before
            made = max(row["id"] for row in world.fake.rows.where("fill", "orderId", {marker}))
            await asyncio.to_thread(_wait_for_deal, shard, str(made))
            venue = await platform.snapshot(login)
            told = await asyncio.to_thread(shard.stream.snapshot, login)
        finally:
            await shard.stop()
    assert told.balance_minor == venue.balance_minor
    assert [(each.position_id, each.lots) for each in told.positions] == sorted(
        (each.position_id, each.lots) for each in venue.positions
    )


async def test_an_account_that_trades_between_all_reads_is_not_read_exactly(
    world: World, between: Between, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "_MOST_TRIES", 4)
    login, trades = await world.account(), list[int]()

    def again() -> None:
        trade(world.fake, login, "Buy")
        trades.append(login)
        between.after("position/deps", again)

    between.after("position/deps", again)
    with pytest.raises(Unavailable, match="trades too fast"):
        await reading.read_whole(world.platform.api, login, exactly=True)
    assert len(trades) == 4
    history, _ = await reading.read_whole(world.platform.api, login, exactly=False)
    assert len(history["fills"]) == 6  # of seven: the newest may have one before it that is not listed


def _has_begun(shard: Shard, login: int) -> bool:
    try:
        shard.stream.snapshot(login)
    except PropOSError:
        return False
    return True


def _wait_for_deal(shard: Shard, id: str) -> None:
    """Waits for a deal of this fill: a fill that closes others is several."""

    def told() -> bool:
        return any(isinstance(each, Deal) and each.deal_id.partition(".")[0] == id for each in shard.events)

    with shard.changed:
        assert shard.changed.wait_for(told, WAIT), shard.events[-20:]


# fills that are pushed before their orders are described


@pytest.mark.parametrize(
    ("versions", "reason"), [("late", "pending_fill"), ("lost", "pending_fill"), ("nowhere", "client")]
)
async def test_a_fill_waits_until_its_order_is_described(
    world: World, monkeypatch: pytest.MonkeyPatch, versions: str, reason: str
) -> None:
    send, get, held = world.fake.hub.send_changes, world.fake.calls.get, list[Change]()

    def without_versions(told: list[Change]) -> None:
        held.extend(change for change in told if change[0] == "orderVersion")
        send([change for change in told if change[0] != "orderVersion"])
        if versions == "late" and any(change[0] == "fill" for change in told):
            send(held)

    def no_versions(path: str, query: Any) -> Any:
        return [] if path.startswith("orderVersion/") else get(path, query)

    async with world.reading() as reader:
        login = await world.account()
        await reader.until(lambda: len(reader.of(Access, login)) == 3)
        monkeypatch.setattr(world.fake.hub, "send_changes", without_versions)
        if versions == "nowhere":
            monkeypatch.setattr(world.fake.calls, "get", no_versions)
        order = await world.desk.trade(login, "Buy", 1, kind="Limit", price="5000.25")
        await world.desk.post("fill", order_id=order)
        await reader.until(lambda: bool(reader.deals(login)))
        venue = await world.platform.snapshot(login)
        await reader.until(lambda: reader.agrees(venue))
        assert {each.reason for each in reader.of(Fill, login)} == {reason}


# states that are older than what was pushed


async def test_an_order_that_has_ended_is_not_told_as_open_again(world: World, between: Between) -> None:
    async with world.reading() as reader:
        login = await world.account()
        await reader.until(lambda: len(reader.of(Access, login)) == 3)
        await world.desk.faults(drop=1)
        order = await world.desk.trade(login, "Buy", 1, kind="Limit", price="5000.25")
        row = world.fake.rows.get("order", order)
        assert row is not None
        between.after("order/deps", lambda: world.fake.rows.change("order", row, ordStatus="Canceled"))
        history = await messages(reader.feed.fills(login, ""))
        await reader.until(lambda: bool(reader.decoder._ledgers[login].orders))
        for message in history:
            reader.take(message)
        assert [each.change for each in reader.of(Order, login)] == ["cancelled"]


async def test_an_account_that_was_locked_after_its_status_was_read_is_not_told_as_enabled(
    world: World, between: Between
) -> None:
    async with world.reading() as reader:
        login = await world.account()
        await reader.until(lambda: len(reader.of(Access, login)) == 3)
        between.after("accountRiskStatus/deps", lambda: world.fake.trading.set_action(login, LOCK))
        snapshot = await messages(reader.feed.snapshots([login]))
        await reader.until(lambda: len(reader.of(Access, login)) == 4)
        for message in snapshot:
            reader.take(message)
        last = reader.facts[-1]
        assert isinstance(last, Snapshot) and last.account.login == login
        assert not last.account.trading_enabled


async def test_the_positions_of_a_snapshot_are_named_by_fills_of_the_same_moment(
    world: World, between: Between
) -> None:
    login = await world.account()
    await world.desk.trade(login, "Buy", 1)
    await world.desk.trade(login, "Buy", 1)
    first, second = (f"{_ES}.{row['id']}" for row in world.fake.rows.all("fill"))
    between.after("position/deps", lambda: trade(world.fake, login, "Sell"))
    snapshot = await world.platform.snapshot(login)
    assert between.done
    assert [(each.position_id, each.lots) for each in snapshot.positions] == [(second, Decimal(1))], first
