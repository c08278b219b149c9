"""What the feed of Tradovate tells leads to the venue's own balances and positions, whatever happens on the way."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from decimal import Decimal

import pytest

from adapters.tradovate import pushes
from adapters.tradovate.platform import TradovatePlatform
from ports.venue import (
    Access,
    CaughtUp,
    Fact,
    Fill,
    FillCorrected,
    Money,
    Order,
    Quote,
    Snapshot,
    Unreadable,
)
from sandbox.tradovate.fake import FakeTradovate
from tests.contract.platform_contract import new_key
from tests.contract.tradovate_desk import Desk
from tests.contract.tradovate_reader import WAIT, Reader, World
from tests.contract.tradovate_thread import settings, tradovate_thread


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeTradovate]:
    with tradovate_thread(heartbeat=0.2) as running:
        yield running


@pytest.fixture
async def world(fake: FakeTradovate) -> AsyncIterator[World]:
    world = World(fake, TradovatePlatform("futures", settings(fake.config)), Desk(fake))
    await world.desk.quote("ESZ6", "5000.00", "5000.25")
    yield world
    await world.desk.faults()
    await world.platform.aclose()
    await world.desk.aclose()


async def test_an_account_is_told_from_its_opening_to_its_last_fill(world: World) -> None:
    async with world.reading() as reader:
        key = new_key()
        login = await world.platform.create_account(key=key, group="g", currency="USD", leverage=1)
        await world.platform.balance_operation(login, key=f"pay_{key}", operation="deposit", amount_minor=50_000_00)
        await world.platform.set_trading(login, key=new_key(), enabled=True)
        await world.desk.trade(login, "Buy", 2)
        await world.desk.quote("ESZ6", "5010.00", "5010.25")
        await world.desk.trade(login, "Sell", 2)
        await reader.until(lambda: len(reader.deals(login)) == 2 and bool(reader.of(Money, login)))
        assert [each.change for each in reader.of(Access, login)] == ["opened", "disabled", "enabled"]
        (deposit,) = reader.of(Money, login)
        assert (deposit.operation, deposit.key, deposit.amount_minor) == ("deposit", f"pay_{key}", 50_000_00)
        opened, closed = reader.deals(login)
        assert (opened.entry, opened.side, opened.lots, opened.price) == ("in", "buy", Decimal(2), Decimal("5000.25"))
        assert (closed.entry, closed.side, closed.position_id) == ("out", "sell", opened.position_id)
        assert closed.profit_minor == 975 * 100  # 9.75 points, two contracts, 50 dollars a point
        assert (opened.commission_minor, opened.fee_minor) == (-258, -276)
        last = _last_quote(reader)
        assert (last.symbol, last.bid, last.ask) == ("ESZ6", Decimal("5010.00"), Decimal("5010.25"))
        assert reader.agrees(await world.platform.snapshot(login))
        assert reader.unreadable == []


def _last_quote(reader: Reader) -> Quote:
    return next(fact for fact in reversed(reader.facts) if isinstance(fact, Quote))


async def test_partial_closes_and_a_reversal_are_exact(world: World) -> None:
    async with world.reading() as reader:
        login = await world.account()
        for ask, action, quantity in (
            ("5000.25", "Buy", 1),
            ("5003.25", "Buy", 2),
            ("5001.00", "Sell", 2),
            ("5002.50", "Sell", 3),
            ("4990.00", "Buy", 1),
        ):
            await world.desk.quote("ESZ6", str(Decimal(ask) - Decimal("0.25")), ask)
            await world.desk.trade(login, action, quantity)
        await reader.until(lambda: len(reader.positions(login)) == 1 and len(reader.deals(login)) == 7)
        venue = await world.platform.snapshot(login)
        await reader.until(lambda: reader.agrees(venue))
        (position,) = venue.positions
        assert (position.side, position.lots, position.open_price) == ("sell", Decimal(1), Decimal("5002.25"))
        deals = await world.platform.deals(login)
        assert [deal.deal_id for deal in deals] == [each.fill_id for each in reader.deals(login)]
        assert deals[-1].balance_minor == venue.balance_minor


@pytest.mark.parametrize(
    "fault",
    [
        *("duplicate", "reorder", "drop", "cut_frame", "wrong_type_frame", "unknown_field_frame", "unknown_enum"),
        *("unknown_entity", "late_fees", "disconnect"),
    ],
)
async def test_what_goes_wrong_on_a_socket_is_healed(world: World, fault: str) -> None:
    async with world.reading() as reader:
        login = await world.account()
        await reader.until(lambda: bool(reader.of(Money, login)))
        await world.desk.faults(**{fault: 1})
        await world.desk.trade(login, "Buy", 2)
        await world.desk.trade(login, "Sell", 1)
        assert (await world.desk.uses())[fault] >= 1
        venue = await world.platform.snapshot(login)
        assert len(venue.positions) == 1
        await reader.until(lambda: reader.agrees(venue))


async def test_what_happened_between_two_connections_is_told(world: World) -> None:
    login = await world.account()
    async with world.reading() as reader:
        assert reader.agrees(await world.platform.snapshot(login))
        await world.desk.post("disconnect")
        await world.desk.trade(login, "Buy", 1)
        await world.desk.trade(login, "Buy", 1)
        venue = await world.platform.snapshot(login)
        await reader.until(lambda: reader.connections >= 2 and reader.agrees(venue))


async def test_a_token_that_ends_in_the_middle_is_renewed(world: World) -> None:
    login = await world.account()
    async with world.reading() as reader:
        await world.desk.post("expire-tokens")
        await reader.until(lambda: reader.connections >= 2 and reader.facts.count(CaughtUp()) >= 2)
        await world.desk.trade(login, "Buy", 1)
        venue = await world.platform.snapshot(login)
        await reader.until(lambda: reader.agrees(venue))


async def test_a_silent_socket_is_given_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pushes, "_SILENCE", 1.0)
    async with world.reading() as reader:
        await world.desk.faults(silent=True)
        await reader.until(lambda: reader.connections >= 1)
        before = reader.connections
        async with asyncio.timeout(WAIT):
            while reader.connections == before:
                await asyncio.sleep(0.05)


async def test_accounts_are_spread_over_sockets(world: World) -> None:
    logins = [await world.account() for _ in range(6)]
    async with world.reading(sockets="3") as reader:
        for login in logins:
            await world.desk.trade(login, "Buy", 1)
        venues = [await world.platform.snapshot(login) for login in logins]
        await reader.until(lambda: all(map(reader.agrees, venues)))
    used = {each.channel for each in reader.messages if each.channel.startswith("user/") and b'"fill"' in each.body}
    assert used == {f"user/{login % 3}" for login in logins}


async def test_pending_orders_are_told_until_their_end(world: World) -> None:
    async with world.reading() as reader:
        login = await world.account()
        order = await world.desk.trade(login, "Buy", 1, kind="Limit", price="4990.00")
        await world.desk.post("fill", order_id=order, price="4990.00")
        other = await world.desk.trade(login, "Sell", 1, kind="Stop", price="4980.00")
        await world.platform.lock(login, key=new_key())
        await reader.until(lambda: len(reader.of(Order, login)) >= 4)
        told = [(each.order_id, each.change, each.type, each.price) for each in reader.of(Order, login)]
        assert told[:2] == [(str(order), change, "limit", Decimal(4990)) for change in ("placed", "filled")]
        assert told[2:4] == [(str(other), change, "stop", Decimal(4980)) for change in ("placed", "cancelled")]
        venue = await world.platform.snapshot(login)
        await reader.until(lambda: reader.agrees(venue))
        reasons = {each.fill_id: each.reason for each in reader.of(Fill, login)}
        assert list(reasons.values()) == ["pending_fill", "dealer"]


async def test_a_fill_that_the_venue_cancels_is_corrected(world: World) -> None:
    async with world.reading() as reader:
        login = await world.account()
        order = await world.desk.trade(login, "Buy", 1, kind="Limit", price="4990.00")
        fill = (await world.desk.post("fill", order_id=order, price="4990.00"))["fillId"]
        await reader.until(lambda: bool(reader.of(Fill, login)))
        await world.desk.post(f"bust/{fill}")
        await reader.until(lambda: bool(reader.of(FillCorrected, login)))
        (corrected,) = reader.of(FillCorrected, login)[:1]
        assert (corrected.fill_id, corrected.change_minor) == (str(fill), None)


async def test_the_same_messages_say_the_same_facts(world: World) -> None:
    async with world.reading() as reader:
        login = await world.account()
        await world.desk.faults(reorder=1, late_fees=1, duplicate=1)
        await world.desk.trade(login, "Buy", 3)
        await world.desk.trade(login, "Sell", 1)
        venue = await world.platform.snapshot(login)
        await reader.until(lambda: reader.agrees(venue))
        facts, messages = list(reader.facts), list(reader.messages)
    again, decoder = list[Fact](), reader.feed.decoder()
    for message in messages:
        with suppress(Unreadable):
            again += decoder.facts(message)
    assert again[: len(facts)] == facts


async def test_a_quote_without_a_sound_price_says_nothing(world: World) -> None:
    async with world.reading() as reader:
        for bid, ask in (("0", "0.25"), ("-5", "-4.75"), ("5000.25", "5000.00")):
            await world.desk.quote("ESZ6", bid, ask)
        await world.desk.quote("ESZ6", "5005.00", "5005.25")
        await reader.until(lambda: any(isinstance(each, Quote) and each.bid == 5005 for each in reader.facts))
        assert len([text for text in reader.unreadable if "quote" in text]) == 3
        assert all(each.bid > 0 and each.ask >= each.bid for each in reader.facts if isinstance(each, Quote))


async def test_snapshots_and_histories_can_be_asked_for(world: World) -> None:
    login = await world.account()
    await world.desk.trade(login, "Buy", 2)
    async with world.reading() as reader:
        decoder = reader.feed.decoder()
        for message in reader.messages:
            list(decoder.facts(message))
        *_, fact = [fact async for each in reader.feed.snapshots([login]) for fact in decoder.facts(each)]
        assert isinstance(fact, Snapshot)
        assert fact.account == await world.platform.snapshot(login)
        (history,) = [each async for each in reader.feed.fills(login, "")]
        assert [each.fill_id for each in decoder.facts(history) if isinstance(each, Fill)] == list(reader.fills)[-1:]
