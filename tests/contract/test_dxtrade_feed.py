"""The feed of DXtrade through a real gateway: every change at the venue is told once, whatever the wire does."""

from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from adapters.dxtrade.feed import DxtradeFeed
from cli.gateway.replay import replay
from gateway.recording import Recording
from ports.platform import (
    AccountChanged,
    AccountState,
    BalanceOperation,
    Batch,
    Deal,
    PendingOrder,
    StopsChanged,
    SymbolHalt,
    Tick,
)
from ports.venue import Message
from sandbox.dxtrade import trading
from sandbox.dxtrade.state import Account, Venue
from tests.contract.dxtrade_thread import DxtradeThread, dxtrade_thread
from tests.contract.dxtrade_watched import Watched, watching


@pytest.fixture
def venue() -> Iterator[DxtradeThread]:
    with dxtrade_thread() as running:
        running.quote("EURUSD", "1.10000", "1.10010")
        yield running


@pytest.fixture
async def watched(venue: DxtradeThread, tmp_path: Path) -> AsyncIterator[Watched]:
    async with watching(venue, tmp_path) as found:
        yield found


async def test_a_life_is_told_once_and_whole(watched: Watched) -> None:
    venue, login = watched.venue, await watched.account()
    await watched.until(lambda: watched.told(BalanceOperation, login))
    [deposit] = watched.told(BalanceOperation, login)
    assert (deposit.operation, deposit.amount_minor, deposit.balance_minor) == ("deposit", 1000_00, 1000_00)
    assert deposit.key.startswith("key-")

    opened = venue.order(login, "trader-1", quantity=100_000)
    position = opened["legs"][0]["positionCode"]
    await watched.until(lambda: watched.told(Deal, login))
    venue.control.put(f"/accounts/default:{login}/positions/{position}/stops", json={"stop_loss": "1.09"})
    await watched.until(lambda: watched.told(StopsChanged, login))
    venue.quote("EURUSD", "1.10110", "1.10120")
    venue.order(login, "trader-2", side="SELL", quantity=40_000, positionEffect="CLOSE", positionCode=position)
    await watched.until(lambda: len(watched.told(Deal, login)) == 2)
    await watched.agrees(login)

    first, second = watched.told(Deal, login)
    assert (first.entry, first.side, first.lots, first.price) == ("in", "buy", Decimal(1), Decimal("1.1001"))
    assert (first.commission_minor, first.balance_minor, first.reason) == (-7_00, 993_00, "client")
    assert (second.entry, second.side, second.lots, second.profit_minor) == ("out", "sell", Decimal("0.4"), 40_00)
    assert (second.position_id, second.balance_minor) == (position, 1030_20)
    [stops] = watched.told(StopsChanged, login)
    assert (stops.position_id, stops.stop_loss, stops.take_profit) == (position, Decimal("1.09"), None)
    assert watched.told(Tick)[-1].bid == Decimal("1.1011")
    assert [each.change for each in watched.told(AccountChanged, login)] == ["opened", "enabled"]


async def test_pending_orders_are_told(watched: Watched) -> None:
    venue, login = watched.venue, await watched.account()
    code = venue.order(login, "limit-1", type="LIMIT", limitPrice=1.09)["orderCode"]
    await watched.until(lambda: watched.told(PendingOrder, login))
    venue.control.post(f"/accounts/default:{login}/orders/{code}/end/EXPIRED").raise_for_status()
    await watched.until(lambda: len(watched.told(PendingOrder, login)) == 2)
    code = venue.order(login, "limit-2", type="LIMIT", limitPrice=1.09)["orderCode"]
    venue.control.post(f"/accounts/default:{login}/orders/{code}/fill", json={"price": "1.09"}).raise_for_status()
    await watched.until(lambda: watched.told(Deal, login))
    changes = [(each.change, each.type, each.price) for each in watched.told(PendingOrder, login)]
    assert changes[:2] == [("placed", "limit", Decimal("1.09")), ("expired", "limit", Decimal("1.09"))]
    assert changes[-1][0] == "filled"
    assert watched.told(Deal, login)[0].reason == "pending_fill"


async def test_the_worth_that_the_venue_states_is_told(watched: Watched) -> None:
    venue, login = watched.venue, await watched.account()
    venue.order(login, "trader-1", quantity=100_000)
    venue.quote("EURUSD", "1.09910", "1.09920")
    await watched.until(lambda: any(each.equity_minor == 893_00 for each in watched.told(AccountState, login)))


async def test_a_halt_is_told(venue: DxtradeThread, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.dxtrade.live._SWEEP", 0.2)
    venue.open_account()
    async with watching(venue, tmp_path) as watched:
        venue.control.put("/halts/EURUSD/true").raise_for_status()
        await watched.until(lambda: any(each.halted for each in watched.told(SymbolHalt)))
        venue.control.put("/halts/EURUSD/false").raise_for_status()
        await watched.until(lambda: not watched.told(SymbolHalt)[-1].halted)
        assert [each.halted for each in watched.told(SymbolHalt) if each.symbol == "EURUSD"] == [False, True, False]


async def test_a_lock_of_ours_is_told_as_dealer_and_disabled(watched: Watched) -> None:
    venue, login = watched.venue, await watched.account()
    venue.order(login, "trader-1")
    await watched.until(lambda: watched.told(Deal, login))
    await watched.platform.lock(login, key="breach/1")
    await watched.until(lambda: len(watched.told(Deal, login)) == 2)
    assert watched.told(Deal, login)[1].reason == "dealer"
    await watched.until(lambda: watched.told(AccountChanged, login)[-1].change == "disabled")


async def test_a_settled_payout_is_told_with_its_key(watched: Watched) -> None:
    login = await watched.account()
    platform = watched.platform
    await platform.balance_operation(login, key="pay_1", operation="payout_hold", amount_minor=-200_00)
    await platform.balance_operation(login, key="pay_1", operation="payout_settled", amount_minor=0)
    watched.venue.order(login, "trader-1")  # the next push; without one the sweep would tell it
    await watched.until(lambda: len(watched.told(BalanceOperation, login)) == 3)
    told = sorted((each.operation, each.key, each.amount_minor) for each in watched.told(BalanceOperation, login)[1:])
    assert told == [("payout_hold", "pay_1", -200_00), ("payout_settled", "pay_1", 0)]


@pytest.mark.parametrize(
    "kind", ["duplicate", "reorder", "delay", "drop", "cut", "wrong_type", "unknown_field", "unknown_type"]
)
@pytest.mark.parametrize("match", ["AccountPortfolios", "CashTransfers", "AccountMetrics"])
async def test_nothing_is_lost_or_told_twice_when_a_push_goes_wrong(watched: Watched, kind: str, match: str) -> None:
    venue, login = watched.venue, await watched.account()
    venue.amiss(kind=kind, match=match, times=2)
    opened = venue.order(login, "trader-1", quantity=10_000)
    await watched.platform.balance_operation(login, key="more", operation="adjustment", amount_minor=50_00)
    code = opened["legs"][0]["positionCode"]
    venue.order(login, "trader-2", side="SELL", quantity=10_000, positionEffect="CLOSE", positionCode=code)
    await watched.until(lambda: len(watched.told(Deal, login)) >= 2)
    await watched.until(lambda: len(watched.told(BalanceOperation, login)) >= 2)
    await watched.agrees(login)
    assert len(watched.told(Deal, login)) == 2
    assert [each.key for each in watched.told(BalanceOperation, login)][1:] == ["more"]
    assert venue.fake.faults.uses[f"push_{kind}"] > 0


async def test_what_happened_while_nobody_read_is_told_after(venue: DxtradeThread, tmp_path: Path) -> None:
    async with watching(venue, tmp_path) as first:
        login = await first.account()
        venue.order(login, "trader-1", quantity=10_000)
        await first.until(lambda: first.told(Deal, login))
    code = next(iter(venue.account(login).positions))
    venue.order(login, "trader-2", side="SELL", quantity=10_000, positionEffect="CLOSE", positionCode=code)
    venue.order(login, "trader-3", quantity=5_000)
    async with watching(venue, tmp_path) as second:
        await second.until(lambda: len(second.told(Deal, login)) >= 3)
        await second.agrees(login)
        assert [each.entry for each in second.told(Deal, login)] == ["in", "out", "in"]


async def test_a_recorded_day_runs_again(venue: DxtradeThread, tmp_path: Path) -> None:
    async with watching(venue, tmp_path, Recording(tmp_path, 7)) as live:
        login = await live.account()
        code = venue.order(login, "trader-1", quantity=10_000)["legs"][0]["positionCode"]
        venue.order(login, "trader-2", side="SELL", quantity=10_000, positionEffect="CLOSE", positionCode=code)
        await live.until(lambda: len(live.told(Deal, login)) == 2)
        await live.agrees(login)
        deals, moved = live.told(Deal, login), live.told(BalanceOperation, login)
    [file] = tmp_path.glob("raw-*.jsonl")
    feed = DxtradeFeed("live", venue.settings())
    out = tmp_path / "again.jsonl"
    said = replay(feed, file, wall_clock=True, out=out)
    await feed.aclose()
    events = [event for line in out.read_bytes().splitlines() for event in Batch.model_validate_json(line).events]
    again = [event for event in events if isinstance(event, Deal | BalanceOperation)]
    without_number = {"seq", "late", "at"}
    assert [each.model_dump(exclude=without_number) for each in again if isinstance(each, Deal)] == [
        each.model_dump(exclude=without_number) for each in deals
    ]
    assert [each.key for each in again if isinstance(each, BalanceOperation)] == [each.key for each in moved]
    assert said["balances"][str(login)] == venue.account(login).balance * 100 and said["unreadable"] == []


async def test_a_session_that_ends_is_opened_again(watched: Watched) -> None:
    venue, login = watched.venue, await watched.account()
    venue.control.post("/sessions/expire").raise_for_status()
    await watched.until(lambda: watched.gateway.sequencer.counts.reconnects > 0)
    await watched.until(lambda: watched.gateway.sequencer.live)
    venue.order(login, "trader-1")
    await watched.until(lambda: watched.told(Deal, login))


class Listening:
    """The feed alone, without a gateway that would heal what it misses. No sweep comes by itself."""

    def __init__(self, venue: DxtradeThread, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("adapters.dxtrade.live._SWEEP", 1e6)
        self._feed = DxtradeFeed("live", venue.settings())
        self._stream = self._feed.messages({})

    async def until(self, channel: str, text: str = "") -> list[Message]:
        """Returns all messages up to the first of this channel with this text."""
        seen = []
        async for message in self._stream:
            seen.append(message)
            if message.channel == channel and text.encode() in message.body:
                break
        return seen

    async def aclose(self) -> None:
        await self._stream.aclose()  # type: ignore[attr-defined]
        await self._feed.aclose()


@pytest.fixture
async def listening(venue: DxtradeThread, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Listening]:
    found = Listening(venue, monkeypatch)
    yield found
    await found.aclose()


@pytest.mark.parametrize("kind", ["cut", "wrong_type"])
async def test_a_push_that_cannot_be_read_is_made_up_for_at_once(
    venue: DxtradeThread, listening: Listening, kind: str
) -> None:
    login = venue.open_account()
    await listening.until("caught up")
    venue.amiss(
        kind=kind, match="AccountPortfolios" if kind == "wrong_type" else "CashTransfers|AccountPortfolios", times=9
    )
    venue.order(login, "trader-1", quantity=10_000)
    await listening.until("orders", "trader-1")
    if kind == "cut":
        await listening.until("transfers", "COMMISSION")


async def test_what_an_account_may_do_is_asked_when_it_trades(venue: DxtradeThread, listening: Listening) -> None:
    able, other = venue.open_account(), venue.open_account()
    venue.account(other).status = "CLOSE_ONLY"
    await listening.until("caught up")
    venue.account(other).status = "FULL_TRADING"
    venue.order(other, "trader-1")
    before = await listening.until("orders", "trader-1")
    assert any(each.channel == "accounts" and str(other).encode() in each.body for each in before)
    venue.order(able, "trader-2")
    venue.account(able).status = "NO_TRADING"
    await listening.until("accounts", "NO_TRADING")


async def test_pings_are_answered(venue: DxtradeThread, listening: Listening) -> None:
    """The venue ends a connection that leaves 20 unanswered."""
    venue.fake.push.pings = 0.05
    for _ in range(60):
        await listening.until("pushed", "PingRequest")


async def test_a_silent_venue_is_asked_for_a_sign_of_life(
    venue: DxtradeThread, listening: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.dxtrade.live._SILENCE", 0.2)
    venue.fake.push.pings = 1e6
    await listening.until("clock")


async def test_snapshots_are_of_one_version(
    venue: DxtradeThread, listening: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    quiet, busy = venue.open_account(), venue.open_account()
    shown, moves = trading.shown_metrics, 1

    def while_it_trades(of: Venue, account: Account) -> dict[str, Any]:
        nonlocal moves
        answer = shown(of, account)
        if moves and account.code == str(busy):
            moves -= 1
            of.book(account, "ADJUSTMENT", Decimal(1), "")
        return answer

    monkeypatch.setattr(trading, "shown_metrics", while_it_trades)
    seen = await listening.until("caught up")
    portfolios = [message.body for message in seen if message.channel == "portfolios"]
    assert len(portfolios) == 2
    assert str(quiet).encode() in portfolios[0] and str(quiet).encode() not in portfolios[1]
    assert str(busy).encode() in portfolios[1]


async def test_no_message_holds_a_token(venue: DxtradeThread) -> None:
    feed = DxtradeFeed("live", venue.settings())
    seen: set[str] = set()
    stream = feed.messages({})
    async for message in stream:
        seen.add(message.channel)
        for token in venue.fake.venue.sessions:
            assert token.encode() not in message.body
        if b"PingRequest" in message.body:
            break
    await stream.aclose()  # type: ignore[attr-defined]
    await feed.aclose()
    assert {"instruments", "accounts", "orders", "transfers", "caught up", "pushed"} <= seen
