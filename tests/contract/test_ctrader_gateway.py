"""A gateway reads the fake of cTrader: everything that happens is told once, whatever the connection does."""

import asyncio
import fcntl
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from adapters.ctrader.feed import CTraderFeed
from adapters.ctrader.platform import CTraderPlatform
from domain.errors import RefusedForGood
from gateway.recording import read
from ports.platform import (
    AccountChanged,
    AccountState,
    BalanceOperation,
    PendingOrder,
    SymbolHalt,
    Tick,
)
from ports.platform import StopsChanged as Stops
from tests.contract.ctrader_fake import LOT, CTraderFake, ctrader_fake
from tests.contract.ctrader_watched import once, watched
from tests.contract.platform_contract import new_key


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CTraderFake]:
    with ctrader_fake(tmp_path_factory.mktemp("ctrader"), rows=3) as running:
        yield running


@pytest.fixture(autouse=True)
def _no_faults(fake: CTraderFake) -> Iterator[None]:
    yield
    fake.clear()


async def test_a_day_is_told_as_it_happens(fake: CTraderFake, tmp_path: Path) -> None:
    login = fake.account(balance=1000_00, commission_per_lot=3_50)
    fake.grant("day.json", login)
    fake.price("EURUSD", "1.10000", "1.10010")
    async with watched(fake, tmp_path, "day.json") as seen:
        await seen.until(lambda: fake.counts()["watched"])
        first = fake.order(login, volume=LOT, stop_loss="1.09", label="bot", comment="swing")
        fake.post(f"/accounts/{login}/positions/{first['position']}/stops", stop_loss="1.095", take_profit="1.12")
        fake.price("EURUSD", "1.10100", None)
        limit = fake.order(login, type="limit", price="1.05")
        fake.post(f"/accounts/{login}/orders/{limit['order']}/price", symbol="EURUSD", bid="1.06")
        fake.post(f"/accounts/{login}/orders/{limit['order']}/end", how="cancel")
        stop = fake.order(login, side="sell", type="stop", price="1.11")
        fake.post(f"/accounts/{login}/orders/{stop['order']}/end", how="fill")
        fake.close_position(login, first["position"], volume=LOT // 2)
        fake.close_position(login, first["position"], reason="take_profit")
        fake.close_position(login, stop["position"], reason="stop_out")
        fake.post(f"/accounts/{login}/cash", amount=-100_00, note="PropOS payout_hold pay_1/hold")
        fake.post(f"/accounts/{login}/rights", rights="CLOSE_ONLY")
        fake.post("/symbols/XAUUSD/mode", mode="CLOSE_ONLY_MODE")
        await seen.until(lambda: seen.events(SymbolHalt) and seen.events(AccountChanged))
        deals = once(seen.deals(login))
        assert [(deal.entry, deal.side, str(deal.lots), deal.reason) for deal in deals] == [
            ("in", "buy", "1", "client"),
            ("in", "sell", "0.01", "pending_fill"),
            ("out", "sell", "0.5", "client"),
            ("out", "sell", "0.5", "take_profit"),
            ("out", "buy", "0.01", "stop_out"),
        ]
        assert (deals[0].expert_id, deals[0].comment, deals[0].stop_loss) == ("bot", "swing", Decimal("1.09"))
        assert [deal.profit_minor for deal in deals] == [0, 0, 45_00, 45_00, 90]
        assert deals[2].commission_minor + deals[3].commission_minor == -7_00
        held = fake.get(f"/accounts/{login}")["balance"]
        assert deals[-1].balance_minor == held + 100_00
        orders = [(order.change, order.type, order.price) for order in seen.events(PendingOrder)]
        assert orders == [
            ("placed", "limit", Decimal("1.05")),
            ("changed", "limit", Decimal("1.06")),
            ("cancelled", "limit", Decimal("1.06")),
            ("placed", "stop", Decimal("1.11")),
            ("filled", "stop", Decimal("1.11")),
        ]
        (stops,) = seen.events(Stops)
        assert (stops.stop_loss, stops.take_profit) == (Decimal("1.095"), Decimal("1.12"))
        (moved,) = [each for each in seen.events(BalanceOperation) if each.key == "pay_1/hold"]
        assert (moved.operation, moved.amount_minor, moved.balance_minor) == ("payout_hold", -100_00, held)
        assert [(each.login, each.change) for each in seen.events(AccountChanged)][-1] == (login, "disabled")
        (halt,) = seen.events(SymbolHalt)
        assert (halt.symbol, halt.halted) == ("XAUUSD", True)
        assert [(tick.bid, tick.ask) for tick in seen.events(Tick) if tick.symbol == "EURUSD"] == [
            (Decimal("1.10000"), Decimal("1.10010")),
            (Decimal("1.10100"), Decimal("1.10010")),
        ]
        states = [state for state in seen.events(AccountState) if state.login == login]
        assert (states[-1].balance_minor, states[-1].equity_minor) == (held, held)
        assert 1000_00 + 90_00 - 3_50 in {state.equity_minor for state in states}, "the price moved by 90 points"
        await seen.balanced(login)
    fake.post("/symbols/XAUUSD/mode", mode="ENABLED")


async def test_what_happens_while_the_connection_is_down_is_told_afterwards(fake: CTraderFake, tmp_path: Path) -> None:
    login, other = fake.account(), fake.account(currency="USD", money_digits=2)
    fake.grant("down.json", login, other, together=False)
    async with watched(fake, tmp_path, "down.json") as seen:
        kept = fake.order(login)
        await seen.until(lambda: seen.deals(login))
        fake.fault("ProtoOAApplicationAuthReq", "busy")
        fake.post("/connections/drop")
        for _ in range(5):  # more than one page
            made = fake.order(login)
            fake.close_position(login, made["position"])
        fake.close_position(login, kept["position"], reason="stop_loss")
        fake.post(f"/accounts/{other}/cash", amount=50_00)
        fake.clear()
        await seen.until(lambda: len(seen.deals(login)) >= 12)
        await seen.balanced(login, other)
        deals = once(seen.deals(login))
        assert [deal.reason for deal in deals][-1] == "stop_loss"
        assert [deal.seq for deal in deals] == sorted(deal.seq for deal in deals)
        assert [each.amount_minor for each in seen.events(BalanceOperation) if each.login == other] == [50_00]
        assert seen.gateway.reader.trouble == "" and seen.gateway.sequencer.counts.reconnects >= 1


@pytest.mark.parametrize(
    ("request_kind", "fault"),
    [
        ("ProtoOAApplicationAuthReq", "garbage"),
        ("ProtoOAAccountAuthReq", "busy"),
        ("ProtoOASymbolsListReq", "wrong_type"),
        ("ProtoOATraderReq", "unknown_enum"),
        ("ProtoOAOrderListReq", "too_many"),
        ("ProtoOADealListReq", "cut_body"),
        ("ProtoOACashFlowHistoryListReq", "failed_after"),
        ("ProtoOAReconcileReq", "cut_after"),
        ("ProtoOAGetPositionUnrealizedPnLReq", "garbage"),
        ("ProtoOAv1PnLChangeSubscribeReq", "cut_before"),
        ("ProtoOASubscribeSpotsReq", "busy"),
    ],
)
async def test_an_answer_that_goes_wrong_while_it_connects_loses_nothing(
    fake: CTraderFake, tmp_path: Path, request_kind: str, fault: str
) -> None:
    login = fake.account()
    grants = f"{request_kind}.json"
    fake.grant(grants, login)
    async with watched(fake, tmp_path, grants) as seen:
        await seen.until(lambda: fake.counts()["watched"])
        fake.fault(request_kind, fault, times=2)
        fake.post("/connections/drop")
        made = fake.order(login)
        fake.close_position(login, made["position"])
        await seen.until(lambda: fake.counts()["faults"].get(fault, 0) >= 2)
        fake.clear()
        await seen.until(lambda: len(seen.deals(login)) >= 2)
        await seen.balanced(login)
        fake.order(login)
        await seen.until(lambda: len(seen.deals(login)) >= 3)
        assert [deal.entry for deal in once(seen.deals(login))] == ["in", "out", "in"]


async def test_a_halt_is_told_once_and_its_end_also_after_a_restart(fake: CTraderFake, tmp_path: Path) -> None:
    fake.grant("halt.json", fake.account())
    async with watched(fake, tmp_path, "halt.json") as seen:
        fake.post("/symbols/XAUUSD/mode", mode="DISABLED_WITH_PENDINGS_EXECUTION")
        await seen.until(lambda: len(seen.events(SymbolHalt)) == 1)
        fake.post("/connections/drop")
        await seen.until(lambda: seen.gateway.sequencer.counts.reconnects and seen.gateway.sequencer.live)
    fake.post("/symbols/XAUUSD/mode", mode="ENABLED")
    async with watched(fake, tmp_path, "halt.json") as seen:
        await seen.until(lambda: len(seen.events(SymbolHalt)) == 2)
        assert [halt.halted for halt in seen.events(SymbolHalt)] == [True, False]


async def test_prices_of_some_symbols_and_deals_of_all_are_read(fake: CTraderFake, tmp_path: Path) -> None:
    login = fake.account(balance=100_000_00)
    fake.grant("some.json", login)
    async with watched(fake, tmp_path, "some.json", symbols="EURUSD, GBPUSD") as seen:
        await seen.until(lambda: fake.counts()["watched"])
        fake.order(login, "XAUUSD", volume=100)
        fake.post("/symbols", name="GBPUSD", base="GBP", quote="USD")
        fake.price("GBPUSD", "1.30000", "1.30010")
        fake.order(login, "GBPUSD")
        await seen.until(
            lambda: len(seen.deals(login)) == 2 and "GBPUSD" in {tick.symbol for tick in seen.events(Tick)}
        )
        assert {tick.symbol for tick in seen.events(Tick)} == {"EURUSD", "GBPUSD"}
        await seen.balanced(login)


async def test_a_silent_venue_is_noticed(fake: CTraderFake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.ctrader.session._HEARTBEAT", 0.1)
    login = fake.account()
    fake.grant("silent.json", login)
    async with watched(fake, tmp_path, "silent.json", timeout=2) as seen:
        before = fake.counts()["heartbeats"]
        messages = seen.gateway.sequencer.counts.messages
        await seen.until(lambda: fake.counts()["heartbeats"] > before)
        await seen.until(lambda: seen.gateway.sequencer.counts.messages > messages)  # it asks when nothing comes
        fake.fault("ProtoOAVersionReq", "slow")
        await seen.until(lambda: seen.gateway.sequencer.counts.reconnects)
        fake.order(login)
        await seen.until(lambda: seen.deals(login))


async def test_a_gateway_that_starts_again_goes_on_where_it_was(fake: CTraderFake, tmp_path: Path) -> None:
    login = fake.account()
    fake.grant("again.json", login)
    async with watched(fake, tmp_path, "again.json") as seen:
        made = fake.order(login)
        await seen.until(lambda: seen.deals(login))
    fake.close_position(login, made["position"])
    async with watched(fake, tmp_path, "again.json") as seen:
        await seen.until(lambda: len(seen.deals(login)) >= 2)
        await seen.balanced(login)
        assert [deal.entry for deal in once(seen.deals(login))] == ["in", "out"]


async def test_a_token_that_expires_in_the_stream_is_renewed_there(fake: CTraderFake, tmp_path: Path) -> None:
    first, second = fake.account(), fake.account()
    fake.grant("token.json", first, second, together=False)
    before = (fake.folder / "token.json").read_text()
    async with watched(fake, tmp_path, "token.json") as seen:
        await seen.until(lambda: fake.counts()["watched"])
        for number in range(3):
            fake.post(f"/accounts/{first}/expire")
            made = fake.order(first)  # before the feed is authorised again
            fake.price("EURUSD", f"1.1002{number}", f"1.1003{number}")
            await seen.until(lambda: made["position"] in {int(deal.position_id) for deal in seen.deals(first)})  # noqa: B023
        fake.order(second)
        fake.price("EURUSD", "1.10000", "1.10010")
        await seen.until(lambda: seen.deals(second) and seen.events(Tick)[-1].bid == Decimal("1.10000"))
        await seen.balanced(first, second)
        assert len(once(seen.deals(first))) == 3
        assert seen.gateway.sequencer.counts.reconnects == 0
    text = (fake.folder / "token.json").read_text()
    assert text != before
    raw = b"".join(message.body for path in (tmp_path / "raw").iterdir() for message in read(path))
    assert b"access-" not in raw and b"refresh-" not in raw, "a token stands in the recording"


@pytest.mark.parametrize("fault", ["duplicate", "reorder", "delay", "drop", "garbage", "unknown_field", "unknown_enum"])
async def test_faulty_events_lose_and_repeat_nothing(fake: CTraderFake, tmp_path: Path, fault: str) -> None:
    login = fake.account()
    fake.grant(f"{fault}.json", login)
    async with watched(fake, tmp_path, f"{fault}.json") as seen:
        fake.post("/event-faults", faults={fault: 2}, kinds=["ProtoOAExecutionEvent"], delay_seconds=1.5)
        for _ in range(3):
            made = fake.order(login)
            fake.close_position(login, made["position"])
        await seen.balanced(login)
        await seen.until(lambda: len(seen.deals(login)) >= 6)
        once(seen.deals(login))
        assert len(seen.deals(login)) == 6
        assert fake.counts()["faults"][f"event_{fault}"] >= 2


async def test_a_lock_flattens_and_the_stream_says_so(fake: CTraderFake, tmp_path: Path) -> None:
    login = fake.account()
    fake.grant("lock.json", login)
    async with watched(fake, tmp_path, "lock.json") as seen:
        for _ in range(3):
            fake.order(login)
        fake.order(login, type="limit", price="1.05")
        await seen.until(lambda: len(seen.deals(login)) == 3)
        with pytest.raises(RefusedForGood, match="disables no trading"):
            await seen.gateway.locks.lock([(login, new_key())])
        await seen.until(lambda: len(seen.deals(login)) == 6)
        await seen.until(lambda: [order.change for order in seen.events(PendingOrder)] == ["placed", "cancelled"])
        await seen.balanced(login)
        assert seen.gateway.sequencer.books[login].positions == {}
        # the venue cannot keep the trader from going on: it is told
        fake.order(login)
        await seen.until(lambda: len(seen.deals(login)) == 7)


async def test_bytes_that_are_no_frame_end_one_connection_and_lose_nothing(fake: CTraderFake, tmp_path: Path) -> None:
    login = fake.account()
    fake.grant("bytes.json", login)
    async with watched(fake, tmp_path, "bytes.json") as seen:
        fake.post("/connections/raw", hex="ffffffff0000")
        fake.order(login)
        await seen.until(lambda: seen.deals(login))
        await seen.balanced(login)
        assert len(once(seen.deals(login))) == 1


def _set_refresh_token(path: Path, token: str) -> str:
    """Sets the refresh token of the second grant, as another process would: under the lock of the file. Returns the one
    of before."""
    with path.with_suffix(".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        file = json.loads(path.read_text())
        before: str = file["grants"][1]["refresh_token"]
        file["grants"][1]["refresh_token"] = token
        made = path.with_suffix(".made")
        made.write_text(json.dumps(file))
        made.chmod(0o600)
        made.replace(path)
        return before


async def test_an_account_whose_grant_is_taken_back_does_not_stop_the_others(fake: CTraderFake, tmp_path: Path) -> None:
    kept, login = fake.account(), fake.account()
    fake.grant("revoked.json", kept, login, together=False)
    platform = CTraderPlatform("ctrader", fake.settings("revoked.json"))
    async with watched(fake, tmp_path, "revoked.json") as seen:
        await seen.balanced(kept, login)  # both are signed in
        path = fake.folder / "revoked.json"
        taken = await asyncio.to_thread(_set_refresh_token, path, "revoked")
        fake.post(f"/accounts/{login}/expire")
        await seen.until(lambda: any(state.estimated for state in seen.events(AccountState)))
        assert {state.login for state in seen.events(AccountState) if state.estimated} == {login}
        assert await platform.healthy() == f"Open API 91, 2 accounts, 1 without access: {login}"
        fake.order(login)
        fake.order(kept)
        await seen.until(lambda: seen.deals(kept))
        assert seen.deals(login) == []
        await asyncio.to_thread(_set_refresh_token, path, taken)
        await seen.until(lambda: seen.deals(login))
        await seen.balanced(kept, login)
        assert seen.gateway.sequencer.counts.reconnects == 0
    await platform.aclose()


async def test_a_grant_that_is_taken_back_before_the_stream_begins_leaves_its_figures_as_not_certain(
    fake: CTraderFake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between what the account was worth and the subscription to it."""
    kept, login = fake.account(), fake.account()
    fake.grant("between.json", kept, login, together=False)
    subscribe, revoked = CTraderFeed._subscribe, asyncio.Event()

    async def revoke_before(self: CTraderFeed, wanted: int, *more: Any) -> None:
        if wanted == login and not revoked.is_set():
            revoked.set()
            await asyncio.to_thread(_set_refresh_token, fake.folder / "between.json", "revoked")
            fake.post(f"/accounts/{login}/expire")
        await subscribe(self, wanted, *more)

    monkeypatch.setattr(CTraderFeed, "_subscribe", revoke_before)
    async with watched(fake, tmp_path, "between.json") as seen:
        await seen.until(lambda: any(state.estimated for state in seen.events(AccountState)))
        assert {state.login for state in seen.events(AccountState) if state.estimated} == {login}
        fake.order(kept)
        await seen.until(lambda: seen.deals(kept))
        assert seen.gateway.sequencer.counts.reconnects == 0


async def test_an_account_that_is_granted_later_is_read_from_then_on(fake: CTraderFake, tmp_path: Path) -> None:
    first, second = fake.account(), fake.account(balance=77_00)
    fake.grant("later.json", first)
    async with watched(fake, tmp_path, "later.json") as seen:
        fake.order(second)
        fake.grant("later.json", first, second)
        await seen.until(lambda: second in seen.gateway.sequencer.books)
        fake.order(second)
        await seen.until(lambda: seen.deals(second))
        await seen.balanced(first, second)
        once(seen.deals(second))
