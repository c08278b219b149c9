"""cTrader keeps the contract of platforms as far as its venue can, however its answers go wrong."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, Final

import pytest

from adapters.ctrader.platform import PLUGIN, CTraderPlatform
from domain.errors import IdempotencyMismatch, NotFound, OutcomeUnknown, PropOSError, RefusedForGood, Unavailable
from ports.platform import TradingPlatform
from tests.contract.ctrader_fake import CTraderFake, ctrader_fake
from tests.contract.faults import IMPATIENT_SECONDS, Fault, pytest_generate_tests
from tests.contract.platform_contract import PlatformContract, PlatformWorld, new_key

__all__ = ["pytest_generate_tests"]
# call -> the request that goes wrong
_REQUESTS: Final = {
    "lock": "ProtoOAClosePositionReq",
    "close_positions": "ProtoOAClosePositionReq",
    "cancel_orders": "ProtoOACancelOrderReq",
    "snapshot": "ProtoOAReconcileReq",
    "symbols": "ProtoOASymbolsListReq",
    "deals": "ProtoOADealListReq",
    "find_balance_operation": "ProtoOACashFlowHistoryListReq",
    "healthy": "ProtoOAVersionReq",
}
GRANTS: Final = "grants.json"


class CTraderWorld(PlatformWorld):
    def __init__(self, fake: CTraderFake) -> None:
        self.fake = fake
        self.number = fake.account()
        fake.grant(GRANTS, self.number)
        for _ in range(2):
            fake.order(self.number)
        self.rights("NO_TRADING")
        self.platform = CTraderPlatform("ctrader", fake.settings(GRANTS))
        self._impatient = CTraderPlatform("ctrader", fake.settings(GRANTS, timeout=IMPATIENT_SECONDS))

    async def account(self) -> int:
        return self.number

    def rights(self, rights: str) -> None:
        """A person sets them at the broker."""
        self.fake.post(f"/accounts/{self.number}/rights", rights=rights)

    def trades(self, **order: Any) -> int:
        """The trader opens a position, or places an order; returns its position."""
        self.rights("FULL_ACCESS")
        return self.fake.order(self.number, **order)["position"]

    @contextmanager
    def fault(self, fault: Fault, call: str) -> Iterator[TradingPlatform]:
        self.fake.fault(_REQUESTS[call], fault.replace(" ", "_"))
        try:
            yield self._impatient if fault == "slow" else self.platform
        finally:
            self.fake.clear()

    def count(self, call: str) -> int:
        counts = self.fake.counts()
        return int(counts["cancels"] if call == "cancel_orders" else counts["closes"] // 2)

    async def place_order(self, login: int) -> None:
        self.trades(type="limit", price="1.05")
        self.rights("NO_TRADING")

    def orders(self, login: int) -> int:
        return len(self.fake.get(f"/accounts/{login}")["orders"])

    async def aclose(self) -> None:
        await self.platform.aclose()
        await self._impatient.aclose()


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CTraderFake]:
    with ctrader_fake(tmp_path_factory.mktemp("ctrader")) as running:
        yield running


@pytest.fixture
async def world(fake: CTraderFake) -> AsyncIterator[CTraderWorld]:
    made = CTraderWorld(fake)
    yield made
    fake.clear()
    await made.aclose()


class TestCTraderPlatform(PlatformContract):
    """It opens no accounts, moves no money and disables no trading (`PLUGIN.capabilities`); its stream is the
    gateway's."""

    calls = ("lock", "close_positions", "cancel_orders")
    reads = ("snapshot", "symbols", "deals", "find_balance_operation", "healthy")
    impossible = MappingProxyType({})

    @pytest.fixture
    async def world(self, fake: CTraderFake) -> AsyncIterator[CTraderWorld]:
        made = CTraderWorld(fake)
        yield made
        fake.clear()
        await made.aclose()

    async def test_a_late_repeat_of_a_lock_does_not_lock_again(self, world: PlatformWorld) -> None:
        """Here a person enables trading, at the broker."""
        assert isinstance(world, CTraderWorld)
        key = new_key()
        await world.platform.lock(world.number, key=key)
        position = world.trades()
        await world.platform.lock(world.number, key=key)
        assert world.fake.get(f"/accounts/{world.number}")["positions"] == [position]


def test_its_capabilities_say_so() -> None:
    words = PLUGIN.capabilities.in_words()
    for said in (
        "This venue cannot create accounts.",
        "This venue cannot enable and disable the trading of an account.",
        "This venue cannot pay into an account or take out of it.",
        "This venue can cancel pending orders.",
    ):
        assert said in words


async def test_a_lock_cancels_the_pending_orders_too(world: CTraderWorld) -> None:
    world.trades(type="limit", price="1.05")
    world.trades(type="stop", price="1.20")
    world.rights("NO_TRADING")
    await world.platform.lock(world.number, key=new_key())
    assert world.fake.get(f"/accounts/{world.number}") == {
        "balance": 1000_00 - 2 * 10,  # a hundredth of a lot each, closed at the bid
        "positions": [],
        "orders": [],
    }


async def test_a_lock_closes_everything_and_asks_a_person_to_disable_trading(world: CTraderWorld) -> None:
    world.trades()
    key = new_key()
    for _ in range(2):
        with pytest.raises(RefusedForGood, match="access rights to no trading at the broker") as refused:
            await world.platform.lock(world.number, key=key)
        assert refused.value.key == key
        assert world.fake.get(f"/accounts/{world.number}")["positions"] == []
        world.trades()
    world.rights("CLOSE_ONLY")
    await world.platform.lock(world.number, key=key)
    assert world.fake.get(f"/accounts/{world.number}")["positions"] == []


async def test_an_order_that_is_only_accepted_is_watched_until_it_is_filled(world: CTraderWorld) -> None:
    world.fake.fault("ProtoOAClosePositionReq", "accepted_only")
    await world.platform.lock(world.number, key=new_key())
    assert world.fake.get(f"/accounts/{world.number}")["positions"] == []


async def test_a_position_that_is_gone_meanwhile_needs_no_closing(world: CTraderWorld) -> None:
    """Two processes lock at the same moment."""
    other = CTraderPlatform("ctrader", world.fake.settings(GRANTS))
    before = world.fake.counts()["closes"]
    await asyncio.gather(*(each.lock(world.number, key=new_key()) for each in (world.platform, other)))
    assert world.fake.counts()["closes"] == before + 2
    await other.aclose()


async def test_more_positions_than_the_venue_closes_in_a_second_are_all_closed(world: CTraderWorld) -> None:
    for _ in range(88):
        world.trades()
    world.rights("NO_TRADING")
    await world.platform.lock(world.number, key=new_key())
    assert world.fake.get(f"/accounts/{world.number}")["positions"] == []


@pytest.mark.parametrize(
    ("odd", "error", "closed"),
    [
        ("wrong_type", OutcomeUnknown, 2),
        ("unknown_enum", OutcomeUnknown, 2),
        ("cut_body", OutcomeUnknown, 2),
        ("silent_before", OutcomeUnknown, 0),
        ("closed_market", Unavailable, 0),
        ("unknown_field", None, 2),
        ("token_expired", None, 2),
    ],
)
async def test_other_answers_to_a_lock(
    world: CTraderWorld, odd: str, error: type[PropOSError] | None, closed: int
) -> None:
    platform = CTraderPlatform("ctrader", world.fake.settings(GRANTS, timeout=3))
    key, before = new_key(), world.fake.counts()["closes"]
    world.fake.fault("ProtoOAClosePositionReq", odd, times=2)
    if error is None:
        await platform.lock(world.number, key=key)
    else:
        with pytest.raises(error) as raised:
            await platform.lock(world.number, key=key)
        assert type(raised.value) is error
    assert world.fake.counts()["closes"] - before == closed
    world.fake.clear()
    await platform.lock(world.number, key=key)
    assert world.fake.counts()["closes"] - before == 2
    await platform.aclose()


async def test_only_the_positions_named_are_closed(world: CTraderWorld) -> None:
    first, second = world.fake.get(f"/accounts/{world.number}")["positions"]
    await world.platform.close_positions(world.number, key=new_key(), position_ids=[str(first), "gone"])
    assert world.fake.get(f"/accounts/{world.number}")["positions"] == [second]


async def test_a_token_that_expires_is_renewed_and_stored_and_the_call_goes_on(world: CTraderWorld) -> None:
    before = (world.fake.folder / GRANTS).read_text()
    await world.platform.snapshot(world.number)
    world.fake.post(f"/accounts/{world.number}/expire")
    await world.platform.lock(world.number, key=new_key())
    assert world.fake.get(f"/accounts/{world.number}")["positions"] == []
    after = world.fake.folder / GRANTS
    assert after.read_text() != before and after.stat().st_mode & 0o777 == 0o600
    later = CTraderPlatform("ctrader", world.fake.settings(GRANTS))
    assert (await later.snapshot(world.number)).positions == ()
    await later.aclose()


async def test_a_token_that_another_process_renewed_is_read_from_the_file(world: CTraderWorld) -> None:
    other = CTraderPlatform("ctrader", world.fake.settings(GRANTS))
    for platform in (world.platform, other):
        await platform.snapshot(world.number)
    before = world.fake.counts()["renewals"]
    world.fake.post(f"/accounts/{world.number}/expire")
    await asyncio.gather(*(each.snapshot(world.number) for each in (world.platform, other)))
    assert world.fake.counts()["renewals"] == before + 1
    assert (await world.platform.snapshot(world.number)).positions
    await other.aclose()


async def test_a_token_that_ends_soon_is_renewed_ahead(world: CTraderWorld) -> None:
    path = world.fake.folder / GRANTS
    file = json.loads(path.read_text())
    for hours, renewals in ((13, 0), (11, 1)):
        file["grants"][0]["expires_at"] = (datetime.now(UTC) + timedelta(hours=hours)).isoformat()
        path.write_text(json.dumps(file))
        before = world.fake.counts()["renewals"]
        platform = CTraderPlatform("ctrader", world.fake.settings(GRANTS))
        await platform.snapshot(world.number)
        await platform.aclose()
        assert world.fake.counts()["renewals"] == before + renewals


async def test_a_certificate_of_somebody_else_is_refused(world: CTraderWorld) -> None:
    stranger = CTraderPlatform("ctrader", world.fake.settings(GRANTS, ca_file=None))
    with pytest.raises(Unavailable, match="certificate"):
        await stranger.snapshot(world.number)


async def test_a_wrong_secret_of_the_application_is_said_and_not_shown(world: CTraderWorld) -> None:
    stranger = CTraderPlatform("ctrader", world.fake.settings(GRANTS, client_secret="s3cret"))
    with pytest.raises(Unavailable, match="CH_CLIENT_AUTH_FAILURE") as refused:
        await stranger.healthy()
    assert "s3cret" not in str(refused.value)


async def test_a_file_of_grants_that_others_may_read_is_refused(world: CTraderWorld) -> None:
    (world.fake.folder / GRANTS).chmod(0o644)
    with pytest.raises(Unavailable) as refused:
        await world.platform.snapshot(world.number)
    assert "chmod 600" in str(refused.value.remedy)
    (world.fake.folder / GRANTS).chmod(0o600)


async def test_what_a_person_books_at_the_broker_is_found_by_its_note(world: CTraderWorld) -> None:
    platform, number, key = world.platform, world.number, new_key()
    with pytest.raises(RefusedForGood) as refused:
        await platform.balance_operation(number, key=key, operation="payout_hold", amount_minor=-200_00)
    note = f"PropOS payout_hold {key}"
    assert refused.value.key == key and note in refused.value.message
    assert await platform.find_balance_operation(number, key=key, operation="payout_hold") is None
    world.fake.post(f"/accounts/{number}/cash", amount=-200_00, note=f"By hand. {note}")
    again = f"{key}/try/2"  # the key after a person has looked
    assert await platform.find_balance_operation(number, key=again, operation="payout_hold") == -200_00
    await platform.balance_operation(number, key=again, operation="payout_hold", amount_minor=-200_00)
    assert await platform.find_balance_operation(number, key=again, operation="payout_release") is None
    with pytest.raises(IdempotencyMismatch):
        await platform.balance_operation(number, key=again, operation="payout_hold", amount_minor=-100_00)


async def test_access_rights_that_a_person_set_are_seen(world: CTraderWorld) -> None:
    world.rights("FULL_ACCESS")
    await world.platform.set_trading(world.number, key=new_key(), enabled=True)
    with pytest.raises(RefusedForGood, match="no trading at the broker"):
        await world.platform.set_trading(world.number, key=new_key(), enabled=False)
    world.rights("NO_TRADING")
    await world.platform.set_trading(world.number, key=new_key(), enabled=False)
    assert not (await world.platform.snapshot(world.number)).trading_enabled


async def test_an_account_cannot_be_opened(world: CTraderWorld) -> None:
    with pytest.raises(RefusedForGood, match="open it at the broker"):
        await world.platform.create_account(key=new_key(), group="two-step/1", currency="USD", leverage=100)


async def test_an_account_without_a_grant_is_not_found(world: CTraderWorld) -> None:
    with pytest.raises(NotFound):
        await world.platform.snapshot(world.fake.account())


async def test_a_snapshot_has_money_in_minor_units_and_volume_in_lots(fake: CTraderFake) -> None:
    number = fake.account(balance=100_000_00000000, money_digits=8, commission_per_lot=3_50000000)
    fake.grant("eight.json", number)
    fake.order(number, "XAUUSD", volume=12_345)
    platform = CTraderPlatform("ctrader", fake.settings("eight.json"))
    shown = await platform.snapshot(number)
    assert (shown.currency, shown.balance_minor) == ("USD", 100_000_00)
    # 123.45 units down 0.20, and half of the commission of 1.2345 lots
    assert shown.equity_minor == 100_000_00 - 24_69 - 4_32
    (position,) = shown.positions
    assert (position.symbol, position.side, str(position.lots), str(position.open_price)) == (
        "XAUUSD", "buy", "1.2345", "2000.2",
    )  # fmt: skip
    await platform.aclose()


async def test_the_whole_history_has_the_balance_after_each_deal(fake: CTraderFake) -> None:
    number = fake.account(balance=1000_00)
    fake.grant("deals.json", number)
    for _ in range(3):
        made = fake.order(number, comment="scalp", label="bot 7")
        fake.close_position(number, made["position"], reason="take_profit")
    platform = CTraderPlatform("ctrader", fake.settings("deals.json"))
    deals = await platform.deals(number)
    assert [deal.entry for deal in deals] == ["in", "out"] * 3
    assert [deal.balance_minor for deal in deals] == [1000_00, 999_90, 999_90, 999_80, 999_80, 999_70]
    assert {deal.reason for deal in deals} == {"client", "take_profit"}
    assert (deals[0].expert_id, deals[0].comment, str(deals[0].lots)) == ("bot 7", "scalp", "0.01")
    (gold,) = [spec for spec in await platform.symbols() if spec.symbol == "XAUUSD"]
    assert (str(gold.contract_size), gold.quote_currency, gold.digits) == ("100.00", "USD", 2)
    await platform.aclose()


async def test_a_pause_that_the_venue_asks_for_is_kept(world: CTraderWorld) -> None:
    world.fake.fault("ProtoOAVersionReq", "too_many", times=1, retry_after=1)
    with pytest.raises(Unavailable, match="BLOCKED_PAYLOAD_TYPE"):
        await world.platform.healthy()
    assert "Open API" in await world.platform.healthy()
    world.fake.fault("ProtoOAVersionReq", "too_many", times=1, retry_after=600)
    with pytest.raises(Unavailable):
        await world.platform.healthy()
    with pytest.raises(Unavailable, match="takes no such request"):
        await world.platform.healthy()
    assert (await world.platform.snapshot(world.number)).positions
