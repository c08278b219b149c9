"""What the adapter of DXtrade makes of its venue beside the contract: histories, anchors, sessions, limits, orders."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import httpx
import pytest

from adapters.dxtrade import wire
from adapters.dxtrade.platform import Dxtrade
from domain.day_ends import AnchorDrift, DayEnd, anchor_drifts
from domain.errors import BadInput, Conflict, IdempotencyMismatch, NotFound, OutcomeUnknown, RefusedForGood, Unavailable
from sandbox.dxtrade import rest, trading
from sandbox.dxtrade.faults import CallSwitch
from sandbox.dxtrade.state import Account, Venue
from tests.contract.dxtrade_thread import DxtradeThread, dxtrade_thread
from tests.contract.platform_contract import new_key, password_of


@pytest.fixture
def venue() -> Iterator[DxtradeThread]:
    with dxtrade_thread() as running:
        running.quote("EURUSD", "1.10000", "1.10010")
        yield running


@pytest.fixture
async def platform(venue: DxtradeThread) -> AsyncIterator[Dxtrade]:
    found = Dxtrade("live", venue.settings())
    yield found
    await found.aclose()


async def test_deals_have_their_money_and_the_balance_after_each(venue: DxtradeThread, platform: Dxtrade) -> None:
    login = venue.open_account("0")
    await platform.balance_operation(login, key="fee", operation="deposit", amount_minor=10_000_00)
    position = venue.order(login, "a", quantity=200_000)["legs"][0]["positionCode"]
    venue.control.post(f"/accounts/default:{login}/financing/-3.21").raise_for_status()
    venue.quote("EURUSD", "1.09900", "1.09910")
    close = {"side": "SELL", "positionEffect": "CLOSE", "positionCode": position}
    venue.order(login, "b", quantity=50_000, **close)
    await platform.close_positions(login, key="close/1", position_ids=[position])
    deals = await platform.deals(login)
    told = [(d.entry, d.side, d.lots, d.profit_minor, d.commission_minor, d.balance_minor, d.reason) for d in deals]
    assert told == [
        ("in", "buy", Decimal(2), 0, -14_00, 9_986_00, "client"),
        ("out", "sell", Decimal("0.5"), -55_00, -3_50, 9_986_00 - 3_21 - 58_50, "client"),
        ("out", "sell", Decimal("1.5"), -165_00, -10_50, 9_986_00 - 3_21 - 58_50 - 175_50, "dealer"),
    ]
    assert [deal.seq for deal in deals] == [1, 2, 3]
    assert (await platform.snapshot(login)).balance_minor == deals[-1].balance_minor


async def test_a_profit_in_another_currency_is_the_one_that_the_venue_settles(
    venue: DxtradeThread, platform: Dxtrade
) -> None:
    login = venue.open_account()
    venue.quote("USDJPY", "150.000", "150.010")
    venue.control.put("/rates/JPY/USD/0.00666667").raise_for_status()
    position = venue.order(login, "a", instrument="USDJPY", quantity=100_000)["legs"][0]["positionCode"]
    venue.quote("USDJPY", "150.110", "150.120")
    equity = (await platform.snapshot(login)).equity_minor
    await platform.close_positions(login, key="k", position_ids=[position])
    deals = await platform.deals(login)
    assert deals[-1].profit_minor == 66_67 and equity == 1066_67


async def test_the_end_of_a_day_is_compared_with_our_anchors(venue: DxtradeThread, platform: Dxtrade) -> None:
    first, second = venue.open_account(), venue.open_account("2000.00")
    venue.order(first, "a", quantity=100_000)
    with pytest.raises(NotFound):
        await platform.day_ends(date(2026, 11, 27))
    venue.control.post("/day-end/2026-11-27").raise_for_status()
    theirs = await platform.day_ends(date(2026, 11, 27))
    assert theirs[first] == DayEnd("USD", 993_00, 983_00)
    ours = {first: DayEnd("USD", 993_00, 983_01), second: DayEnd("USD", 2000_00, 2000_00), 7: DayEnd("USD", 1, 1)}
    assert anchor_drifts(ours, theirs) == [AnchorDrift(7, missing=True), AnchorDrift(first, 0, -1)]
    assert anchor_drifts(ours, theirs, tolerance_minor=1) == [AnchorDrift(7, missing=True)]
    assert anchor_drifts({second: DayEnd("EUR", 2000_00, 2000_00)}, theirs) == [AnchorDrift(second, missing=True)]


async def test_a_session_that_ended_is_opened_again(venue: DxtradeThread, platform: Dxtrade) -> None:
    login = venue.open_account()
    await platform.snapshot(login)
    venue.fake.venue.expire()
    await asyncio.gather(*(platform.snapshot(login) for _ in range(5)))
    await platform.balance_operation(login, key="k", operation="deposit", amount_minor=1_00)
    assert len(venue.fake.venue.sessions) == 2  # one for each interface


async def test_a_wrong_password_is_unavailable_and_never_told(venue: DxtradeThread) -> None:
    platform = Dxtrade("live", venue.settings(password="wrong-word"))
    venue.fake.faults.calls.append(CallSwitch(kind="unknown_field", match="/login", times=9))
    for _ in range(3):
        with pytest.raises(Unavailable, match="sign-in") as refused:
            await platform.healthy()
    assert venue.fake.faults.uses["unknown_field"] == 1, "a venue may lock out a user who tries again and again"
    assert "wrong-word" not in f"{refused.value!r} {refused.value.remedy}"
    assert "wrong-word" not in repr(venue.settings(password="wrong-word"))
    await platform.aclose()


async def test_a_pause_that_the_venue_asks_for_is_kept(venue: DxtradeThread, platform: Dxtrade) -> None:
    login = venue.open_account()
    await platform.snapshot(login)
    venue.fake.faults.calls.append(CallSwitch(kind="too_many", pause=60))
    for _ in range(3):
        with pytest.raises(Unavailable):
            await platform.snapshot(login)
    assert venue.fake.faults.uses["too_many"] == 1 and not venue.fake.faults.calls
    sent = venue.fake.faults.uses.total()
    assert sent == 1


async def test_a_closing_order_that_the_venue_rejects_is_followed_by_another(
    venue: DxtradeThread, platform: Dxtrade
) -> None:
    login = venue.open_account()
    position = venue.order(login, "a")["legs"][0]["positionCode"]
    venue.control.put("/orders-held/true").raise_for_status()
    closing = asyncio.create_task(platform.close_positions(login, key="k", position_ids=[position]))
    while len(venue.account(login).orders) < 2:
        await asyncio.sleep(0.01)
    venue.control.put("/orders-held/false").raise_for_status()
    held = [order.code for order in venue.account(login).orders.values() if order.effect == "CLOSE"]
    venue.control.post(f"/accounts/default:{login}/orders/{held[0]}/end/REJECTED").raise_for_status()
    await closing
    statuses = [order.status for order in venue.account(login).orders.values() if order.effect == "CLOSE"]
    assert statuses == ["REJECTED", "COMPLETED"]


async def test_orders_that_are_not_filled_in_time_are_unknown_and_not_sent_again(venue: DxtradeThread) -> None:
    platform = Dxtrade("live", venue.settings(settle_seconds=0.2))
    login = venue.open_account()
    position = venue.order(login, "a")["legs"][0]["positionCode"]
    venue.control.put("/orders-held/true").raise_for_status()
    for _ in range(2):
        with pytest.raises(OutcomeUnknown):
            await platform.lock(login, key="breach/1")
        assert venue.account(login).status == "CLOSE_ONLY"
    closing = [order for order in venue.account(login).orders.values() if order.effect == "CLOSE"]
    assert len(closing) == 1 and position in venue.account(login).positions
    venue.control.post(f"/accounts/default:{login}/orders/{closing[0].code}/fill", json={}).raise_for_status()
    await platform.lock(login, key="breach/1")
    assert venue.account(login).status == "NO_TRADING"
    await platform.aclose()


async def test_a_lock_cancels_pending_orders(venue: DxtradeThread, platform: Dxtrade) -> None:
    login = venue.open_account()
    for number in range(3):
        venue.order(login, f"limit-{number}", type="LIMIT", limitPrice=1.05)
    await platform.lock(login, key="breach/1")
    assert {order.status for order in venue.account(login).orders.values()} == {"CANCELED"}


async def test_a_late_enabling_does_not_undo_a_lock(venue: DxtradeThread, platform: Dxtrade) -> None:
    login = venue.open_account()
    await platform.set_trading(login, key="on", enabled=True)
    await platform.lock(login, key="breach/1")
    await platform.set_trading(login, key="on", enabled=True)
    assert not (await platform.snapshot(login)).trading_enabled
    with pytest.raises(IdempotencyMismatch):
        await platform.set_trading(login, key="on", enabled=False)


async def test_two_writers_do_not_undo_one_another(venue: DxtradeThread, platform: Dxtrade) -> None:
    login = venue.open_account()
    venue.account(login).metadata["ours"] = "of the firm"
    keys = [f"pay_{number}" for number in range(4)]
    settle = (platform.balance_operation(login, key=key, operation="payout_settled", amount_minor=0) for key in keys)
    await asyncio.gather(*settle, platform.set_trading(login, key="off", enabled=False))
    for key in keys:
        assert await platform.find_balance_operation(login, key=key, operation="payout_settled") == 0
    assert venue.account(login).metadata["ours"] == "of the firm"
    assert not (await platform.snapshot(login)).trading_enabled


async def test_a_code_that_another_account_has_is_passed_over(venue: DxtradeThread, platform: Dxtrade) -> None:
    key = new_key()
    taken = await platform.create_account(key=key, group="g", currency="USD", leverage=100)
    venue.account(taken).metadata["proposKey"] = "another"
    assert await platform.find_account(key) is None
    login = await platform.create_account(key=key, group="g", currency="USD", leverage=100)
    assert login != taken and await platform.find_account(key) == login


async def test_a_group_that_the_venue_does_not_know_is_refused_for_good(
    venue: DxtradeThread, platform: Dxtrade
) -> None:
    venue.fake.venue.known_categories = {"ProprietaryTrading=two-step/1"}
    with pytest.raises(RefusedForGood, match="category"):
        await platform.create_account(key=new_key(), group="no-such", currency="USD", leverage=100)


async def test_too_little_money_is_no_refusal_for_good_whatever_the_code(
    venue: DxtradeThread, platform: Dxtrade
) -> None:
    login = venue.open_account("10.00")
    with venue.failing("refused", "withdrawal"), pytest.raises(Conflict) as short:
        await platform.balance_operation(login, key="k", operation="payout_hold", amount_minor=-10_01)
    assert not isinstance(short.value, RefusedForGood)
    with venue.failing("refused", "withdrawal"), pytest.raises(RefusedForGood):
        await platform.balance_operation(login, key="k", operation="payout_hold", amount_minor=-9_99)


@pytest.mark.parametrize(("operation", "amount"), [("deposit", -1), ("payout_hold", 1), ("payout_settled", 5)])
async def test_an_amount_of_the_wrong_sign_is_refused(
    venue: DxtradeThread, platform: Dxtrade, operation: str, amount: int
) -> None:
    with pytest.raises(BadInput) as refused:
        await platform.balance_operation(
            venue.open_account(),
            key="k",
            operation=operation,  # type: ignore[arg-type]
            amount_minor=amount,
        )
    assert refused.value.field == "amount_minor"


async def test_an_amount_that_a_json_number_cannot_hold_is_refused(venue: DxtradeThread, platform: Dxtrade) -> None:
    login = venue.open_account("0")
    with pytest.raises(BadInput):
        await platform.balance_operation(login, key="k", operation="deposit", amount_minor=10**15 + 1)
    assert venue.account(login).balance == 0
    await platform.balance_operation(login, key="k", operation="deposit", amount_minor=123_456_789_012_34)
    assert (await platform.snapshot(login)).balance_minor == 123_456_789_012_34


async def test_a_balance_with_a_fraction_of_a_cent_is_not_rounded(venue: DxtradeThread, platform: Dxtrade) -> None:
    login = venue.open_account("10.005")
    with pytest.raises(Unavailable, match=r"10\.005"):
        await platform.snapshot(login)


async def test_the_password_of_a_client_is_kept_nowhere_here(venue: DxtradeThread, platform: Dxtrade) -> None:
    logins = [await platform.create_account(key=new_key(), group="g", currency="USD", leverage=100) for _ in range(2)]
    made = [venue.fake.venue.clients[f"default/{login}"]["password"] for login in logins]
    assert made[0] != made[1] and all(len(word) == 16 for word in made)


def test_the_fake_lets_nobody_in_without_a_session(venue: DxtradeThread) -> None:
    with httpx.Client(base_url=venue.url, trust_env=False) as bare:
        assert bare.get("/dxsca-web/accounts/metrics").status_code == 401
        assert bare.post("/dxweb/rest/login", json={"username": "x"}).status_code == 401


async def test_an_error_in_an_answer_with_status_200_is_a_refusal(venue: DxtradeThread, platform: Dxtrade) -> None:
    login = venue.open_account()
    position = venue.order(login, "a")["legs"][0]["positionCode"]
    for act in (
        platform.close_positions(login, key="k", position_ids=[position]),
        platform.set_trading(login, key="k", enabled=False),
        platform.balance_operation(login, key="k", operation="deposit", amount_minor=1_00),
    ):
        with venue.failing("error_in_200", "^(PUT|POST .*orders)"), pytest.raises(RefusedForGood, match="30099"):
            await act
    assert position in venue.account(login).positions


async def test_a_snapshot_is_of_one_version(
    venue: DxtradeThread, platform: Dxtrade, monkeypatch: pytest.MonkeyPatch
) -> None:
    login = venue.open_account()
    shown, moves = trading.shown_metrics, 2

    def while_it_trades(of: Venue, account: Account) -> dict[str, Any]:
        nonlocal moves
        if moves:
            moves -= 1
            of.book(account, "ADJUSTMENT", Decimal(1), "")
        return shown(of, account)

    monkeypatch.setattr(trading, "shown_metrics", while_it_trades)
    assert (await platform.snapshot(login)).balance_minor == 1002_00
    assert moves == 0
    moves = 10**6
    with pytest.raises(Unavailable, match="faster"):
        await platform.snapshot(login)


async def test_a_password_that_others_change_meanwhile_is_written_all_the_same(
    venue: DxtradeThread, platform: Dxtrade
) -> None:
    login = await platform.create_account(key=new_key(), group="g", currency="USD", leverage=100)
    keys = [new_key() for _ in range(3)]
    await asyncio.gather(*(platform.reset_credentials(login, key=key, password=password_of(key)) for key in keys))
    client = venue.fake.venue.clients[f"default/{login}"]
    assert client["password"] in [password_of(key).get_secret_value() for key in keys] and client["passwordReset"]


async def test_a_lock_that_was_interrupted_is_not_ended_by_the_end_of_a_stop(
    venue: DxtradeThread, platform: Dxtrade
) -> None:
    login, key = venue.open_account(), new_key()
    venue.order(login, "trader-1")
    with venue.failing("busy", "^POST .*/orders"), pytest.raises(OutcomeUnknown):
        await platform.lock(login, key=key)
    assert venue.account(login).status == "CLOSE_ONLY"
    await platform.set_close_only(login, key=new_key(), close_only=False)
    await platform.lock(login, key=key)
    assert venue.account(login).status == "NO_TRADING"


async def test_histories_of_several_pages_are_read_whole(
    venue: DxtradeThread, platform: Dxtrade, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "PAGE", 2)
    login = venue.open_account("0")
    for number in range(5):
        await platform.balance_operation(login, key=f"k{number}", operation="deposit", amount_minor=100_00 + number)
        venue.order(login, f"trader-{number}")
    assert [deal.balance_minor for deal in await platform.deals(login)][-1] == 500_10 - 35
    for number in range(5):
        found = await platform.find_balance_operation(login, key=f"k{number}", operation="deposit")
        assert found == 100_00 + number


async def test_a_list_that_does_not_end_is_unavailable(
    venue: DxtradeThread, platform: Dxtrade, monkeypatch: pytest.MonkeyPatch
) -> None:
    login = venue.open_account()
    for number in range(4):
        venue.order(login, f"trader-{number}")
    monkeypatch.setattr(wire, "PAGE", 2)
    monkeypatch.setattr(rest, "_page", lambda orders, query: orders[:2])
    with pytest.raises(Unavailable, match="end"):
        await platform.deals(login)
