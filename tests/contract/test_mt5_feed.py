"""A gateway reads the fake MT5 server: what it tells is what happened there, once, however the polls go wrong."""

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from adapters.journals.embedded import EmbeddedJournal
from adapters.mt5.feed import Mt5Feed
from cli.gateway.replay import replay
from domain.errors import Unavailable
from ports.platform import (
    AccountChanged,
    AccountState,
    BalanceOperation,
    Correction,
    Deal,
    PendingOrder,
    StopsChanged,
    Tick,
)
from sandbox.mt5 import values
from sandbox.mt5.faults import KINDS, Fault
from sandbox.mt5.server import FakeServer
from sandbox.mt5.wire import Reply, Request
from tests.contract.fake_mt5 import RunningFake, running_fake
from tests.contract.mt5_reading import POLLS, reading, trade
from tests.contract.sandbox_process import free_port


@pytest.fixture
def fake() -> Iterator[RunningFake]:
    with running_fake() as running:
        yield running


async def test_what_happens_at_the_server_is_told_once_and_in_order(fake: RunningFake) -> None:
    login = fake.account(enabled=True)
    async with reading(fake) as here:
        assert here.books() == here.truth(), "it begins with snapshots"
        trade(fake, login)
        await here.settled()
        await here.until(lambda: any(event.change == "filled" for event in here.events(PendingOrder)))
        deals = here.events(Deal)
        assert [(deal.entry, deal.side, str(deal.lots), deal.reason) for deal in deals] == [
            ("in", "buy", "0.1", "expert"),
            ("out", "sell", "0.04", "client"),
            ("out", "sell", "0.06", "client"),
            ("in", "sell", "0.01", "client"),
            ("out", "buy", "0.01", "stop_loss"),
            ("in", "buy", "0.02", "pending_fill"),
        ]
        assert (deals[0].expert_id, deals[1].profit_minor, deals[0].commission_minor) == ("77", 4_00, -50)
        assert (deals[1].bid, deals[1].ask) == (Decimal("1.10100"), Decimal("1.10110"))
        assert [event.operation for event in here.events(BalanceOperation)] == ["adjustment"]
        assert [event.seq for event in here.events()] == sorted(event.seq for event in here.events())
        assert here.gateway.sequencer.counts.unreadable == 0, here.gateway.reader.unreadable


async def test_our_own_steps_come_back_with_their_keys(fake: RunningFake) -> None:
    async with reading(fake) as here:
        pay = "pay_01k5n8q2r7s3t4v5w6x7y8z9ab"
        login = await here.platform.create_account(key="chl_1/1", group="two-step/1", currency="USD", leverage=100)
        for key, operation, amount in (
            ("acc_01k5n8q2r7s3t4v5w6x7y8z9ab/initial", "deposit", 1000_00),
            (f"{pay}/hold", "payout_hold", -200_00),
            (f"{pay}/settled", "payout_settled", 0),
        ):
            await here.platform.balance_operation(login, key=key, operation=operation, amount_minor=amount)  # type: ignore[arg-type]
        await here.platform.set_trading(login, key="on", enabled=True)
        await here.until(lambda: len(here.events(BalanceOperation)) == 3 and len(here.events(AccountChanged)) == 2)
        told = [(event.operation, event.amount_minor) for event in here.events(BalanceOperation)]
        assert sorted(told) == [("deposit", 1000_00), ("payout_hold", -200_00), ("payout_settled", 0)]
        keys = {event.operation: event.key for event in here.events(BalanceOperation)}
        assert keys["payout_hold"] == f"{pay}/hold"
        assert keys["deposit"] == "acc_01k5n8q2r7s3t4v5w6x7y8z9ab/initial"
        assert [event.change for event in here.events(AccountChanged)] == ["opened", "enabled"]


async def test_the_equity_is_the_servers_own(fake: RunningFake) -> None:
    login = fake.account(enabled=True)
    async with reading(fake) as here:
        fake.control("quote", quotes={"EURUSD": ["1.09000", "1.09010"]})
        await here.until(  # two longs of 0.01 lots lost 10.00 each
            lambda: (
                [
                    (event.balance_minor, event.equity_minor)
                    for event in here.events(AccountState)
                    if event.login == login
                ][-1:]
                == [(1000_00, 980_00)]
            )
        )
        assert here.events(Tick) == [], "judged by states, it is told no quotes"


async def test_with_quotes_the_polled_prices_are_told(fake: RunningFake) -> None:
    fake.account()
    async with reading(fake, marks="quotes") as here:
        fake.control("quote", quotes={"EURUSD": ["1.09000", "1.09010"]})
        await here.until(
            lambda: [(tick.symbol, str(tick.bid)) for tick in here.events(Tick)][-1:] == [("EURUSD", "1.09000")]
        )


async def test_stops_that_were_moved_are_told(fake: RunningFake) -> None:
    login = fake.account(enabled=True)
    async with reading(fake) as here:
        position = fake.control("order", login=login, symbol="EURUSD", side="buy", lots="0.01")["position"]
        await here.settled()
        for told, stop in enumerate(("1.05", "1.06", "0"), 1):
            fake.control("stops", position=position, stop_loss=stop)
            await here.until(lambda told=told: len(here.events(StopsChanged)) == told)  # type: ignore[misc]
        assert [event.stop_loss for event in here.events(StopsChanged)] == [Decimal("1.05"), Decimal("1.06"), None]


async def test_late_corrections_and_deleted_deals_are_told(fake: RunningFake) -> None:
    login = fake.account(enabled=True)
    async with reading(fake) as here:
        position = fake.control("order", login=login, symbol="EURUSD", side="buy", lots="0.10")["position"]
        deal = fake.control("close", position=position)["deal"]
        await here.settled()
        fake.control("correct", deal=deal, profit="-3.21")
        await here.until(lambda: [event.change_minor for event in here.events(Correction)] == [-3_21])
        fake.control("delete_deal", deal=deal)
        await here.until(lambda: [event.change_minor for event in here.events(Correction)] == [-3_21, None])
        await here.settled()


async def test_a_deal_that_the_server_writes_down_a_minute_late_is_told(fake: RunningFake) -> None:
    login = fake.account(enabled=True)
    async with reading(fake, compare_every=3600) as here:
        fake.control("order", login=login, symbol="EURUSD", side="buy", lots="0.01")
        await here.settled()

        def late(it: FakeServer) -> str:
            deal = it.state.open(login, "EURUSD", values.SELL, values.LOTS_EXACT)
            deal.at -= 60_000
            return str(deal.ticket)

        ticket = fake.run(late)
        await here.until(lambda: any(deal.deal_id == ticket and deal.late for deal in here.events(Deal)))
        await here.settled()
        assert here.gateway.sequencer.counts.gaps_found == 0, "the poll found it, and not the comparison"


def _age(fake: RunningFake, login: int, days: int) -> None:
    """An account and its deals are some days older."""

    def age(it: FakeServer) -> None:
        record = it.state.users[login].record
        record["Registration"] = str(int(record["Registration"]) - days * 86_400)
        for deal in it.state.deals.values():
            deal.at -= days * 86_400_000

    fake.run(age)


async def test_a_long_past_is_asked_for_a_day_at_a_time_and_not_told_as_new(fake: RunningFake) -> None:
    login = fake.account(enabled=True)
    trade(fake, login)
    _age(fake, login, 9)
    asked: list[Request] = []
    answer = fake.fake.api.answer

    async def listen(request: Request, session: Any) -> Reply:
        asked.append(request)
        return await answer(request, session)

    fake.fake.api.answer = listen  # type: ignore[method-assign]
    async with reading(fake) as here:
        assert here.books() == here.truth()
        windows = [
            (int(each.query["from"]), int(each.query["to"])) for each in asked if each.path == "/api/deal/get_batch"
        ]
        ends = [end - start for start, end in windows if start]
        assert len(ends) >= 9
        assert max(ends) <= 86_400 + 60
        assert windows[0][0] == 0, "nothing is left out"
        assert all(end >= start for (_, end), (start, _) in pairwise(windows))
        here.gateway.sequencer.wants_fills.add(login)
        await here.until(lambda: not here.gateway.sequencer.wants_fills)
        fake.control("order", login=login, symbol="EURUSD", side="buy", lots="0.01")
        await here.settled()
        assert len(here.events(Deal)) == 1, "the past is known and not told again"


async def test_what_happened_while_the_gateway_was_down_for_days_is_told_once(
    fake: RunningFake, tmp_path: Path
) -> None:
    login = fake.account(enabled=True)
    async with reading(fake, tmp_path) as here:
        await here.settled()
        await here.until(lambda: here.gateway.journal.last() > 0)  # market time was told: it is no fresh gateway
    journal = EmbeddedJournal(tmp_path / "journal.sqlite3")
    cursor = int(journal.get("cursor/deals") or 0) - 6 * 86_400
    journal.append(None, {"cursor/deals": str(cursor)})
    journal.close()
    trade(fake, login)
    _age(fake, login, 3)
    async with reading(fake, tmp_path) as here:
        await here.settled()
        told = [deal.deal_id for deal in here.events(Deal)]
        assert len(told) == len(set(told)) == 6


@pytest.mark.parametrize("kind", sorted(KINDS))
async def test_each_fault_at_each_poll_loses_and_doubles_nothing(
    fake: RunningFake, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.reader._LONGEST_PAUSE", 0.1)
    login = fake.account(enabled=True)
    seconds = 0.3 if kind in ("timeout_before", "timeout_after", "delay") else 0
    async with reading(fake) as here:
        for path in POLLS:
            with fake.faults(Fault(kind, path, times=2, seconds=seconds)):
                trade(fake, login)
                await here.until(lambda: not any(each.times for each in fake.fake.faults.planned))
        await here.settled()
        told = Counter(deal.deal_id for deal in here.events(Deal))
        happened = fake.run(
            lambda it: [str(d.ticket) for d in it.state.deals.values() if d.symbol and d.login == login]
        )
        assert set(told) == set(happened[2:]), "the first two were before it began"
        assert set(told.values()) == {1}
        assert [event.change_minor for event in here.events(Correction)] == []
        assert fake.fake.faults.uses[kind] == 2 * len(POLLS)


async def test_after_a_restart_it_goes_on_where_it_was(fake: RunningFake, tmp_path: Path) -> None:
    login = fake.account(enabled=True)
    async with reading(fake, tmp_path) as here:
        trade(fake, login)
        await here.settled()
        first = [deal.deal_id for deal in here.events(Deal)]
    trade(fake, login)
    async with reading(fake, tmp_path) as here:
        await here.settled()
        deals = [deal.deal_id for deal in here.events(Deal)]
        assert deals[: len(first)] == first
        assert len(deals) == len(set(deals)) == 2 * len(first)
        balances = {str(each): book[0] for each, book in here.books().items()}
    (recorded,) = tmp_path.glob("raw-*.jsonl")
    again = replay(Mt5Feed("mt5", fake.settings()), recorded, wall_clock=True)
    assert again["balances"] == balances
    assert again["counts"]["unreadable"] == 0, again["unreadable"]


async def test_secrets_of_users_are_not_recorded(fake: RunningFake) -> None:
    login = fake.account()
    fake.run(lambda it: it.state.users[login].record.update(PhonePassword='pho"ne\\1', Comment="kept"))
    feed = Mt5Feed("mt5", fake.settings())
    bodies = b"".join([message.body async for message in feed.snapshots([login])])
    await feed.aclose()
    assert b"pho" not in bodies
    assert b"kept" in bodies


async def test_a_server_that_is_not_there_or_not_ours_is_unavailable(fake: RunningFake) -> None:
    async def first(feed: Mt5Feed) -> None:
        try:
            await anext(feed.messages({}))
        finally:
            await feed.aclose()

    for given in ({"password": "wrong"}, {"url": f"http://127.0.0.1:{free_port()}"}):
        with pytest.raises(Unavailable):
            await first(Mt5Feed("mt5", fake.settings(**given)))
