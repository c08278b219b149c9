"""Hosted traders on the fake Tradovate: whole contracts, netted positions, and a state that outlives the process."""

from decimal import Decimal
from pathlib import Path

import pytest

from domain.errors import BadInput, Conflict
from sandbox.feed import Quote
from sandbox.instants import MINUTE
from sandbox.tradovate.config import ADMIN_ID, TEMPLATE_ID, USD_ID, TradovateConfig
from sandbox.tradovate.fake import FakeTradovate
from sandbox.tradovate.floor import TradingFloor
from sandbox.tradovate.keeping import Keeper

_GOLD = "XAUUSD"
_NOON = 1_772_798_400_000_000  # a Friday


def _floor() -> tuple[FakeTradovate, TradingFloor, int]:
    fake = FakeTradovate(TradovateConfig(port=1, desk_token="t"))
    floor = TradingFloor(fake, (_GOLD, "EURUSD", "USDJPY"))
    floor.bind("chl_1", "idle", 1, None, {"PROPOS1": "chl_1/1"})
    account = {"userId": ADMIN_ID, "templateAccountId": TEMPLATE_ID, "name": "PROPOS1", "initialBalance": 0}
    login = fake.calls.post("user/createevaluationaccounts", {"accounts": [account]})["results"][0]["accountId"]
    for part in ("D:acc_1/initial 1/2", "D:acc_1/initial 2/2"):
        cash = {"accountId": login, "cashChange": 50_000, "cashChangeType": "FundTransaction", "currencyId": USD_ID}
        fake.calls.post("fundTransaction/adjustcash", {**cash, "comment": part})
    return fake, floor, login


def _play(floor: TradingFloor, bid: str, ask: str, minute: int = 1) -> None:
    at = _NOON + minute * MINUTE
    floor.play([Quote(at, _GOLD, Decimal(bid), Decimal(ask))], at - MINUTE, at, None)


def test_lots_are_whole_contracts_and_prices_are_ticks() -> None:
    fake, floor, login = _floor()
    _play(floor, "2650.123", "2650.373")
    assert floor.quotes[_GOLD] == (Decimal("2650.1"), Decimal("2650.4"))
    floor.order(login, _GOLD, "buy", Decimal("0.44"))
    [position] = fake.trading.open_positions(login)
    assert (position["netPos"], position["netPrice"]) == (4, Decimal("2650.4")), "0.44 lots are 4 contracts of 10 oz"
    account = floor.accounts[login]
    assert account.deposited_minor == 10_000_000
    assert floor.equity_minor(account) == int(fake.trading.worth(login) * 100)


def test_an_order_the_other_way_is_refused_and_a_stop_closes_at_market() -> None:
    fake, floor, login = _floor()
    _play(floor, "2650.0", "2650.2")
    floor.order(login, _GOLD, "buy", Decimal(1), stop_loss=Decimal("2649.0"))
    with pytest.raises(Conflict, match="nets"):
        floor.order(login, _GOLD, "sell", Decimal(1))
    _play(floor, "2648.5", "2648.7", minute=2)
    assert not fake.trading.open_positions(login)
    assert not floor.accounts[login].positions


def test_a_lock_ends_what_the_trader_holds_and_is_news() -> None:
    fake, floor, login = _floor()
    _play(floor, "2650.0", "2650.2")
    floor.order(login, _GOLD, "sell", Decimal(1), stop_loss=Decimal(2655))
    fake.trading.set_action(login, "LockTradingImmediately")
    _play(floor, "2660.0", "2660.2", minute=2)
    assert fake.trading.open_positions(login), "the stop is the trader's own, and the account is locked"
    fake.trading.liquidate([row["id"] for row in fake.trading.open_positions(login)])
    assert (floor.accounts[login].positions, floor.accounts[login].enabled, floor.news) == ({}, False, 1)
    with pytest.raises(Conflict, match="disabled"):
        floor.order(login, _GOLD, "sell", Decimal(1))


def test_more_than_the_margin_is_refused() -> None:
    _, floor, login = _floor()
    _play(floor, "2650.0", "2650.2")
    with pytest.raises(Conflict, match="margin"):
        floor.order(login, _GOLD, "buy", Decimal(60))


def test_time_is_never_behind_the_sandbox() -> None:
    fake, floor, _ = _floor()
    floor.play([], _NOON, _NOON + 1, None)
    assert fake.rows.now().microsecond == 1000


def test_symbols_without_a_contract_are_refused() -> None:
    with pytest.raises(BadInput, match="USDJPY"):
        TradingFloor(FakeTradovate(TradovateConfig(port=1, desk_token="t")), ("USDJPY",))


def test_a_killed_venue_goes_on_as_it_was(tmp_path: Path) -> None:
    fake, floor, login = _floor()
    keeper = Keeper(tmp_path, fake, floor)
    _play(floor, "2650.0", "2650.2")
    floor.order(login, _GOLD, "buy", Decimal(1), stop_loss=Decimal("2600.0"))
    floor.order(login, _GOLD, "buy", Decimal(1))
    keeper.keep_market()
    position = next(iter(floor.accounts[login].positions.values()))
    floor.order(
        login, _GOLD, "sell", position.lots, position_id=position.position_id
    )  # after the last prices were kept
    keeper.close()

    again = FakeTradovate(TradovateConfig(port=1, desk_token="t"))
    traders = TradingFloor(again, (_GOLD, "EURUSD"))
    kept = Keeper(tmp_path, again, traders)
    assert again.rows.tables == fake.rows.tables
    assert again.trading.quotes == fake.trading.quotes
    account = traders.accounts[login]
    assert (account.key, account.deposited_minor) == ("chl_1/1", 10_000_000)
    assert account.balance_minor == int(fake.trading.cash(login)["amount"] * 100)
    assert [held.lots for held in account.positions.values()] == [1], "one of two was closed after they were kept"
    made = again.rows.add("user", {"name": "new"})
    assert made["id"] == max(row["id"] for rows in fake.rows.tables.values() for row in rows.values()) + 1
    kept.close()
