"""Calls to Tradovate beyond the contract of platforms: its own kinds of failure, operations of several calls that fail
in the middle, limits at the venue, users."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

import pytest

from adapters.tradovate import platform as module
from adapters.tradovate.platform import TradovatePlatform
from adapters.tradovate.wire import (
    ADJUST_CASH,
    CANCEL,
    CREATE_ACCOUNTS,
    CREATE_USERS,
    LIQUIDATE,
    LOCK,
    SET_ACTION,
    UPDATE_LIMITS,
)
from domain.errors import (
    BadInput,
    Conflict,
    IdempotencyMismatch,
    NotFound,
    OutcomeUnknown,
    RefusedForGood,
    Unavailable,
)
from domain.products.second_wall import VenueFloors
from ports.credentials import Holder, SignIn
from sandbox.tradovate.fake import FakeTradovate
from sandbox.tradovate.faults import Faults
from tests.contract.platform_contract import new_key, password_of
from tests.contract.tradovate_thread import settings, tradovate_thread
from tests.contract.tradovate_world import TradovateWorld

_FAULTS: Final = ("too_many", "busy", "cut_before", "cut_after", "failed_after", "cut_body", "error_text")
_LIQUIDATED: Final = "AgreedOnLiquidationByAutoLiq"


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeTradovate]:
    with tradovate_thread() as running:
        yield running


@pytest.fixture
async def world(fake: FakeTradovate) -> AsyncIterator[TradovateWorld]:
    world = TradovateWorld(fake)
    yield world
    fake.set_faults(Faults())
    await world.aclose()


def set_faults(world: TradovateWorld, **values: Any) -> None:
    world.fake.set_faults(Faults.model_validate(values))


async def test_an_error_text_in_an_answer_of_status_200_is_a_failure(world: TradovateWorld) -> None:
    login, key = await world.account(), new_key()
    set_faults(world, error_text=1, only=(ADJUST_CASH,))
    with pytest.raises(Conflict, match="Something went wrong"):
        await world.platform.balance_operation(login, key=key, operation="deposit", amount_minor=100)
    assert await world.platform.find_balance_operation(login, key=key, operation="deposit") is None
    set_faults(world, error_text=1, only=("cashBalance/",))
    with pytest.raises(Unavailable, match="Something went wrong"):
        await world.platform.snapshot(login)


async def test_one_item_of_a_batch_is_refused_by_its_own_error_text(world: TradovateWorld) -> None:
    platform = TradovatePlatform("futures", settings(world.fake.config, holder="999"))
    with pytest.raises(Conflict, match="Invalid request"):
        await platform.create_account(key=new_key(), group="g", currency="USD", leverage=1)
    await platform.aclose()


@pytest.mark.parametrize(
    "fault", ["too_many", "busy", "cut_before", "cut_after", "failed_after", "cut_body", "error_text"]
)
@pytest.mark.parametrize("path", [CREATE_ACCOUNTS, SET_ACTION])
async def test_an_opening_that_fails_anywhere_is_finished_by_its_repeat(
    world: TradovateWorld, path: str, fault: str
) -> None:
    key = new_key()
    set_faults(world, **{fault: 1}, only=(path,))
    with pytest.raises((Unavailable, Conflict)) as raised:
        await world.platform.create_account(key=key, group="g", currency="USD", leverage=1)
    if path == SET_ACTION:
        assert isinstance(raised.value, OutcomeUnknown)
    found = await world.platform.find_account(key)
    login = await world.platform.create_account(key=key, group="g", currency="USD", leverage=1)
    assert found in (None, login)
    assert world.fake.trading.status(login)["adminAction"] == LOCK
    assert await world.platform.find_account(key) == login
    names = [row["name"] for row in world.fake.rows.all("account")]
    assert names.count(world.platform.account_name(key)) == 1


async def test_a_late_repeat_of_an_opening_does_not_lock_the_account(world: TradovateWorld) -> None:
    key = new_key()
    login = await world.platform.create_account(key=key, group="g", currency="USD", leverage=1)
    await world.platform.set_trading(login, key=new_key(), enabled=True)
    assert await world.platform.create_account(key=key, group="g", currency="USD", leverage=1) == login
    assert (await world.platform.snapshot(login)).trading_enabled


@pytest.mark.parametrize(
    "fault", ["too_many", "busy", "cut_before", "cut_after", "failed_after", "cut_body", "error_text"]
)
@pytest.mark.parametrize("path", [ADJUST_CASH, CANCEL, LIQUIDATE, "position/", "order/deps"])
async def test_a_lock_that_fails_after_it_locked_is_unknown_and_finished_by_its_repeat(
    world: TradovateWorld, path: str, fault: str
) -> None:
    login, key = await world.account(), new_key()
    await world.platform.set_trading(login, key=new_key(), enabled=True)
    with world.fake.rows.one_call():
        order = world.fake.trading.place(login, 302, "Buy", 1, "Limit", Decimal(4000))
    set_faults(world, **{fault: 1}, only=(path,))
    if (path, fault) == (CANCEL, "error_text"):
        await world.platform.lock(login, key=key)  # the order may have ended by itself
    else:
        with pytest.raises(OutcomeUnknown):
            await world.platform.lock(login, key=key)
    assert world.fake.trading.status(login)["adminAction"] == LOCK
    set_faults(world)
    await world.platform.lock(login, key=key)
    assert (await world.platform.snapshot(login)).positions == ()
    if (path, fault) != (CANCEL, "error_text"):
        assert order["ordStatus"] == "Canceled"
    await world.platform.set_trading(login, key=new_key(), enabled=True)
    await world.platform.lock(login, key=key)
    assert (await world.platform.snapshot(login)).trading_enabled


async def test_a_late_repeat_of_an_unlock_does_not_unlock_again(world: TradovateWorld) -> None:
    login, key = await world.account(), new_key()
    await world.platform.set_trading(login, key=key, enabled=True)
    await world.platform.lock(login, key=new_key())
    await world.platform.set_trading(login, key=key, enabled=True)
    assert not (await world.platform.snapshot(login)).trading_enabled


async def test_a_liquidation_that_the_venue_only_promises_is_unknown(
    world: TradovateWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_FIRST_LOOK", 0.001)
    monkeypatch.setattr(module, "_LONGEST_LOOK", 0.001)
    login, key = await world.account(), new_key()
    set_faults(world, refuse_liquidations=1000)
    with pytest.raises(OutcomeUnknown, match="1 positions are still open"):
        await world.platform.lock(login, key=key)
    set_faults(world, refuse_liquidations=1)
    await world.platform.lock(login, key=key)  # asked again within the call
    assert (await world.platform.snapshot(login)).positions == ()


async def test_a_short_penalty_is_waited_out_and_the_call_sent_with_its_ticket(world: TradovateWorld) -> None:
    login, key = await world.account(), new_key()
    set_faults(world, penalty=1, penalty_seconds=0, only=(ADJUST_CASH,))
    await world.platform.balance_operation(login, key=key, operation="deposit", amount_minor=100)
    assert world.fake.hub.faults.uses["penalty"] == 1
    assert await world.platform.find_balance_operation(login, key=key, operation="deposit") == 100


@pytest.mark.parametrize("fault", [{"penalty": 1, "penalty_seconds": 600}, {"captcha": 1}])
async def test_a_long_penalty_holds_every_call(world: TradovateWorld, fault: dict[str, int]) -> None:
    login = await world.account()
    set_faults(world, **fault, only=(ADJUST_CASH,))
    with pytest.raises(Unavailable) as raised:
        await world.platform.balance_operation(login, key=new_key(), operation="deposit", amount_minor=100)
    assert not isinstance(raised.value, OutcomeUnknown)
    with pytest.raises(Unavailable, match="asked again in"):
        await world.platform.snapshot(login)


async def test_a_token_that_ended_is_renewed_once_per_call(world: TradovateWorld) -> None:
    login, key = await world.account(), new_key()
    world.fake._tokens.clear()
    await world.platform.balance_operation(login, key=key, operation="deposit", amount_minor=100)
    set_faults(world, expired=2)
    with pytest.raises(Unavailable, match="does not allow"):
        await world.platform.snapshot(login)
    assert (await world.platform.snapshot(login)).balance_minor == 1001_00


async def test_a_wrong_password_is_said_and_not_tried_again_at_once(world: TradovateWorld) -> None:
    platform = TradovatePlatform("futures", settings(world.fake.config, password="wrong-secret-word"))
    for _ in range(2):
        with pytest.raises(Unavailable, match="does not accept our name") as raised:
            await platform.healthy()
        assert "wrong-secret-word" not in f"{raised.value}{raised.value.remedy}"
    await platform.aclose()
    assert "wrong-secret-word" not in repr(settings(world.fake.config, password="wrong-secret-word"))


@pytest.mark.parametrize("path", ["account/", "accountRiskStatus/", "position/", "cashBalance/"])
async def test_words_for_numbers_are_no_answer_and_new_fields_do_not_matter(world: TradovateWorld, path: str) -> None:
    login = await world.account()
    before = await world.platform.snapshot(login)
    set_faults(world, wrong_type=1, only=(path,))
    with pytest.raises(Unavailable):
        await world.platform.snapshot(login)
    set_faults(world, unknown_field=1000)
    assert await world.platform.snapshot(login) == before


async def test_a_venue_that_fails_again_and_again_is_left_alone_and_still_asked_to_lock(world: TradovateWorld) -> None:
    login = await world.account()
    set_faults(world, failed_after=1000, only=("account/", "position/"))
    for _ in range(5):
        with pytest.raises(Unavailable, match="answered 500"):
            await world.platform.snapshot(login)
    with pytest.raises(Unavailable, match="failed several times"):
        await world.platform.snapshot(login)
    set_faults(world)
    await world.platform.lock(login, key=new_key())
    assert world.fake.trading.open_positions(login) == []


async def test_a_large_amount_is_paid_in_parts_and_completed_by_a_repeat(world: TradovateWorld) -> None:
    login, key = await world.account(), new_key()
    amount = 250_000_00
    set_faults(world, cut_after=1, only=(ADJUST_CASH,))
    with pytest.raises(OutcomeUnknown):
        await world.platform.balance_operation(login, key=key, operation="deposit", amount_minor=amount)
    assert await world.platform.find_balance_operation(login, key=key, operation="deposit") is None
    with pytest.raises(IdempotencyMismatch):
        await world.platform.balance_operation(login, key=key, operation="deposit", amount_minor=amount + 1)
    for _ in range(2):
        await world.platform.balance_operation(login, key=key, operation="deposit", amount_minor=amount)
        assert await world.platform.find_balance_operation(login, key=key, operation="deposit") == amount
    assert (await world.platform.snapshot(login)).balance_minor == 1000_00 + amount
    comments = [row.get("comment") for row in world.fake.rows.where("cashBalanceLog", "accountId", {login})]
    assert [text for text in comments if text and "/" in text] == [f"D:{key} {part}/3" for part in (1, 2, 3)]


async def test_a_fault_between_two_parts_is_unknown(world: TradovateWorld) -> None:
    login, key = await world.account(), new_key()
    await world.platform.balance_operation(login, key=new_key(), operation="deposit", amount_minor=1)
    calls = 0
    real = world.platform.api.change

    async def second_fails(*args: Any, **more: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise Unavailable("Down for a moment.")
        return await real(*args, **more)

    world.platform.api.change = second_fails  # type: ignore[method-assign]
    with pytest.raises(OutcomeUnknown):
        await world.platform.balance_operation(login, key=key, operation="deposit", amount_minor=150_000_00)


async def test_closing_positions_closes_their_contracts_and_leaves_trading_on(world: TradovateWorld) -> None:
    login = await world.account()
    await world.platform.set_trading(login, key=new_key(), enabled=True)
    with world.fake.rows.one_call():
        world.fake.quote(302, Decimal(5000), Decimal(5000))
        world.fake.trading.fill(world.fake.trading.place(login, 302, "Sell", 3, "Market"))
    (first, second, other) = (await world.platform.snapshot(login)).positions
    assert (first.symbol, second.symbol, other.symbol, other.side) == ("ESZ6", "ESZ6", "MESZ6", "sell")
    key = new_key()
    await world.platform.close_positions(login, key=key, position_ids=[first.position_id])
    after = await world.platform.snapshot(login)
    assert (after.positions, after.trading_enabled) == ((other,), True)
    with world.fake.rows.one_call():
        world.fake.trading.fill(world.fake.trading.place(login, 301, "Buy", 1, "Market"))
    await world.platform.close_positions(login, key=key, position_ids=[first.position_id, second.position_id])
    assert len((await world.platform.snapshot(login)).positions) == 2  # the new one is another position


async def test_floors_are_held_by_the_venue(world: TradovateWorld) -> None:
    login, key = await world.account(), new_key()
    await world.platform.set_trading(login, key=new_key(), enabled=True)
    floors = VenueFloors(daily_loss_minor=500_00, trailing_loss_minor=900_00, trailing_stop_minor=1000_00)
    set_faults(world, cut_after=1, only=(UPDATE_LIMITS,))
    with pytest.raises(OutcomeUnknown):
        await world.platform.set_floors(login, key=key, floors=floors)
    before = world.fake.calls.effects[UPDATE_LIMITS]
    await world.platform.set_floors(login, key=key, floors=floors)
    assert world.fake.calls.effects[UPDATE_LIMITS] == before
    assert await world.platform.floors(login) == floors
    with world.fake.rows.one_call():
        world.fake.quote(301, Decimal("4990.75"), Decimal("4991.00"))
    assert world.fake.trading.status(login)["adminAction"] == _LIQUIDATED
    assert not (await world.platform.snapshot(login)).trading_enabled


async def test_the_fake_holds_each_kind_of_limit(world: TradovateWorld) -> None:
    """Each account has 100,000.00 and two contracts bought at 5,000: 100.00 a point."""
    trading = world.fake.trading
    floors = (
        VenueFloors(trailing_loss_minor=500_00),
        VenueFloors(trailing_loss_minor=500_00, trailing_stop_minor=99_800_00),
        VenueFloors(trailing_loss_minor=500_00, trail="end_of_day"),
        VenueFloors(daily_loss_minor=500_00),
    )
    logins = [await world.account() for _ in floors]
    for login, each in zip(logins, floors, strict=True):
        await world.platform.set_trading(login, key=new_key(), enabled=True)
        missing = 100_000_00 - await balance_of(world, login)
        await world.platform.balance_operation(login, key=new_key(), operation="deposit", amount_minor=missing)
        await world.platform.set_floors(login, key=new_key(), floors=each)

    def price(bid: str) -> list[bool]:
        with world.fake.rows.one_call():
            world.fake.quote(301, Decimal(bid), Decimal(bid))
        return [trading.status(login)["adminAction"] == "Normal" for login in logins]

    assert price("5020") == [True] * 4
    assert price("5014") == [False, True, True, True], "500.00 below the highest equity, unless the floor has stopped"
    assert price("4997.50") == [False, False, True, True]
    world.fake.rows.fixed_now = world.fake.rows.now() + timedelta(days=1)
    assert price("4995.50") == [False, False, True, True]
    assert price("4994") == [False] * 4


async def balance_of(world: TradovateWorld, login: int) -> int:
    return (await world.platform.snapshot(login)).balance_minor


@pytest.mark.parametrize("floors", [VenueFloors(daily_loss_minor=0), VenueFloors(trailing_stop_minor=1)])
async def test_floors_that_the_venue_cannot_hold_are_refused(world: TradovateWorld, floors: VenueFloors) -> None:
    login = await world.account()
    with pytest.raises(BadInput):
        await world.platform.set_floors(login, key=new_key(), floors=floors)
    with pytest.raises(NotFound):
        await world.platform.floors(77)


async def test_a_trader_has_one_user_for_all_accounts(world: TradovateWorld) -> None:
    first, second, key = await world.account(), await world.account(), new_key()
    holder = Holder(f"{key}@example.com", f"Jo {'D' * 80}")
    set_faults(world, cut_after=1, only=(CREATE_USERS,))
    with pytest.raises(OutcomeUnknown):
        await world.platform.create_credentials(first, key=key, password=password_of(key), holder=holder)
    made = await world.platform.create_credentials(first, key=key, password=password_of(key), holder=holder)
    again = replace(holder, username=made.username)
    for _ in range(2):
        other = new_key()
        found = await world.platform.create_credentials(second, key=other, password=password_of(other), holder=again)
        assert found == SignIn(made.username, new=False)
    row = world.fake.rows.find("user", made.username)
    assert row is not None
    permissions = world.fake.rows.where("tradingPermission", "userId", {row["id"]})
    assert [each["accountId"] for each in permissions] == [first, second]
    assert world.fake.calls.passwords[made.username] == password_of(key).get_secret_value()


async def test_a_trader_whom_the_venue_knows_otherwise_waits_for_a_person(world: TradovateWorld) -> None:
    login, key = await world.account(), new_key()
    holder = Holder(f"{key}@example.com", "Jo Doe")
    await world.platform.create_credentials(login, key=key, password=password_of(key), holder=holder)
    with pytest.raises(RefusedForGood, match="give it this account at the venue") as refused:
        await world.platform.create_credentials(login, key="other", password=password_of(key), holder=holder)
    assert refused.value.key == "other" and password_of(key).get_secret_value() not in refused.value.message
    with pytest.raises(NotFound):
        await world.platform.create_credentials(
            login, key=key, password=password_of(key), holder=replace(holder, username="gone")
        )


async def test_an_account_in_another_currency_or_group_is_refused(world: TradovateWorld) -> None:
    with pytest.raises(BadInput, match="USD"):
        await world.platform.create_account(key=new_key(), group="g", currency="EUR", leverage=1)
    platform = TradovatePlatform("futures", settings(world.fake.config, templates="two-step/1=11"))
    with pytest.raises(BadInput, match="template"):
        await platform.create_account(key=new_key(), group="other", currency="USD", leverage=1)
    await platform.aclose()


async def test_the_symbols_say_what_a_point_is_worth(world: TradovateWorld) -> None:
    es, mes = await world.platform.symbols()
    assert (es.symbol, es.contract_size, es.quote_currency, es.digits) == ("ESZ6", Decimal(50), "USD", 2)
    assert mes.contract_size == 5
    platform = TradovatePlatform("futures", settings(world.fake.config, symbols="ESU6"))
    with pytest.raises(BadInput, match="ESU6"):
        await platform.symbols()
    await platform.aclose()
