"""Tradovate's fills as deals, its amounts, its settings, and a decoder that bad input cannot break."""

import json
from collections import deque
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from adapters.tradovate.cash import split
from adapters.tradovate.decoder import CAUGHT_UP, HISTORY, LIBRARY, SNAPSHOT, TradovateDecoder
from adapters.tradovate.feed import calls_in_a_pass, chosen
from adapters.tradovate.history import add_versions
from adapters.tradovate.ledger import Ledger
from adapters.tradovate.library import Listed
from adapters.tradovate.lots import Lot, Lots, contract_of, explained, open_lots
from adapters.tradovate.settings import TradovateSettings
from adapters.tradovate.wire import Fill, OrderVersion, Position, digits_of, loads, minor
from adapters.venue.limits import Rate
from ports import venue
from ports.venue import Message, Unreadable

_AT = datetime(2026, 11, 2, 15, tzinfo=UTC)
_STAMP = "2026-11-02T15:00:00.000Z"


def fill(id: int, action: Any, quantity: int, price: str) -> Fill:
    values = {"id": id, "orderId": id, "contractId": 301, "timestamp": _STAMP, "action": action}
    return Fill.model_validate({**values, "qty": quantity, "price": Decimal(price)})


def _market_order(id: int) -> OrderVersion:
    return OrderVersion(id=id, orderId=id, orderQty=1, orderType="Market")


def position(net: int, price: str) -> Position:
    values = {"id": 1, "accountId": 5, "contractId": 301, "timestamp": _STAMP, "netPos": net}
    return Position.model_validate({**values, "netPrice": Decimal(price)})


_TRADES = st.lists(
    st.tuples(st.sampled_from(["Buy", "Sell"]), st.integers(1, 5), st.integers(4000, 4100)), min_size=1, max_size=30
)


@given(_TRADES)
def test_deals_keep_money_and_quantity(trades: list[tuple[str, int, int]]) -> None:
    """Realised points and the worth of what is open add up to what the fills cost, at any last price."""
    lots, realised, cost, net, last = Lots(), Decimal(0), Decimal(0), 0, Decimal(4050)
    for id, (action, quantity, price) in enumerate(trades, 1):
        parts = lots.take(fill(id, action, quantity, str(price)))
        assert sum(part.lots for part in parts) == quantity
        assert [part.first for part in parts] == [True] + [False] * (len(parts) - 1)
        assert len({part.deal_id for part in parts}) == len(parts)
        realised += sum((part.points for part in parts), Decimal(0))
        sign = 1 if action == "Buy" else -1
        net += sign * quantity
        cost += sign * quantity * price
        assert lots.net() == net
        assert len({lot.action for lot in lots.open}) <= 1
    floating = sum(
        ((last - lot.price if lot.action == "Buy" else lot.price - last) * lot.left for lot in lots.open), Decimal(0)
    )
    assert realised + floating == net * last - cost


def test_the_oldest_fill_is_closed_first() -> None:
    lots = Lots()
    lots.take(fill(1, "Buy", 1, "5000"))
    lots.take(fill(2, "Buy", 2, "5010"))
    closed = lots.take(fill(3, "Sell", 2, "5020"))
    assert [(part.deal_id, part.position_id, part.points) for part in closed] == [
        ("3.1", "301.1", Decimal(20)),
        ("3.2", "301.2", Decimal(10)),
    ]
    reversed_ = lots.take(fill(4, "Sell", 3, "5000"))
    assert [(part.entry, part.lots) for part in reversed_] == [("out", 1), ("in", 2)]


def test_what_the_listed_fills_do_not_explain_is_one_lot_more() -> None:
    fills = [fill(7, "Buy", 1, "5010")]
    lots = open_lots(position(3, "5000"), fills)
    assert [(lot.fill_id, lot.left, lot.price) for lot in lots] == [(0, 2, Decimal(4995)), (7, 1, Decimal(5010))]
    assert open_lots(position(1, "5010"), fills)[0].fill_id == 7
    more = [Lot(7, "Buy", 5, Decimal(1), _AT)]
    assert [(lot.fill_id, lot.left, lot.price) for lot in explained(position(2, "5000"), more)] == [
        (0, 2, Decimal(5000))
    ]
    assert explained(position(0, "0"), more) == []
    assert (contract_of("301.7"), contract_of("7"), contract_of("x.1")) == (301, None, None)


@pytest.mark.parametrize(
    ("text", "units"), [("1234.5", 123450), ("1234.5600000000001", 123456), ("-0.01", -1), ("5e2", 50000), ("7", 700)]
)
def test_amounts_are_exact_but_for_the_noise_of_doubles(text: str, units: int) -> None:
    assert minor(Decimal(loads(text)), "USD") == units


@pytest.mark.parametrize("text", ["1234.565", "0.001", "1e400", "123456789012345678"])
def test_an_amount_that_does_not_fit_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"amount|digits"):
        minor(Decimal(text), "USD")
    with pytest.raises(ValueError, match="not known"):
        minor(Decimal(1), "XXY")


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity"])
def test_a_number_that_is_none_is_no_json(text: str) -> None:
    with pytest.raises(ValueError, match="no number"):
        loads(f'{{"amount": {text}}}')


@given(st.integers(-(10**12), 10**12), st.integers(1, 10**7))
def test_parts_add_up_and_are_small_enough(amount: int, most: int) -> None:
    if abs(amount) // most > 200:
        return
    parts = split(amount, most)
    assert sum(parts) == amount
    assert all(abs(part) <= most for part in parts)
    assert all(parts) or parts == [0]


def test_digits_of_a_tick() -> None:
    assert [digits_of(Decimal(tick)) for tick in ("0.25", "0.00005", "1", "10", "0.50")] == [2, 5, 0, 0, 1]


_GOOD = {
    "name": "n",
    "password": "p",
    "cid": "8",
    "sec": "s",
    "holder": "1",
    "templates": "two-step/1=11, *=12",
    "symbols": "ESZ6, MESZ6",
    "gateway": "http://127.0.0.1:4100",
    "gateway_token": "t",
}


def test_settings_are_read_from_texts() -> None:
    read = TradovateSettings.model_validate(_GOOD)
    assert (read.template("two-step/1"), read.template("other")) == (11, 12)
    assert read.symbol_names() == ("ESZ6", "MESZ6")
    assert read.socket_url == "wss://demo.tradovateapi.com/v1/websocket"


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "http://demo.tradovateapi.com/v1"},
        {"quotes_url": "ws://md.tradovateapi.com/v1/websocket"},
        {"templates": "two-step"},
        {"templates": ""},
        {"prefix": "Propos"},
        {"cid": "eight"},
        {"sockets": "0"},
        {"calls_per_hour": "0"},
        {"currency": "usd"},
        {"surprise": "1"},
    ],
)
def test_wrong_settings_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError) as raised:
        TradovateSettings.model_validate({**_GOOD, "sec": "hidden-word", **wrong})
    assert "hidden-word" not in str(raised.value)


# the decoder


def message(channel: str, body: Any, prefix: str = "") -> Message:
    return Message(channel, f"{prefix}{json.dumps(body)}".encode(), _AT)


def props(kind: str, entity: dict[str, Any], how: str = "Created") -> dict[str, Any]:
    return {"e": "props", "d": {"entityType": kind, "eventType": how, "entity": entity}}


def a_snapshot(balance: int) -> dict[str, Any]:
    account = {"id": 5, "name": "PROPOS1", "riskCategoryId": 1, "timestamp": _STAMP}
    worth = {"totalCashValue": balance, "netLiq": balance}
    return {"account": account, "status": None, "positions": [], "worth": worth}


def started() -> TradovateDecoder:
    decoder = TradovateDecoder("PROPOS", "USD")
    library = {
        "contracts": [{"id": 301, "name": "ESZ6", "contractMaturityId": 201}],
        "maturities": [{"id": 201, "productId": 101}],
        "products": [{"id": 101, "currencyId": 1, "valuePerPoint": 50, "tickSize": 0.25}],
        "currencies": [{"id": 1, "name": "USD"}],
    }
    account = {"id": 5, "name": "PROPOS1", "riskCategoryId": 1, "timestamp": _STAMP}
    snapshot: dict[str, Any] = {
        "account": account,
        "status": None,
        "positions": [],
        "worth": {"totalCashValue": 1000, "netLiq": 1000},
    }
    for each in (message(LIBRARY, library), message(SNAPSHOT, snapshot), message(CAUGHT_UP, {"fill": 0, "cash": 0})):
        list(decoder.facts(each))
    return decoder


def trade(id: int, action: str, quantity: int, net: int, at: datetime = _AT) -> list[dict[str, Any]]:
    stamp = at.isoformat()
    order = {"id": id + 1000, "accountId": 5, "contractId": 301, "timestamp": stamp, "action": action}
    filled = {"id": id, "orderId": id + 1000, "contractId": 301, "timestamp": stamp, "action": action}
    held = {"id": 9, "accountId": 5, "contractId": 301, "timestamp": stamp, "netPos": net, "netPrice": 5000}
    return [
        props("order", {**order, "ordStatus": "Filled"}),
        props("orderVersion", {"id": id + 2000, "orderId": id + 1000, "orderQty": quantity, "orderType": "Market"}),
        props("fill", {**filled, "qty": quantity, "price": 5000.25}),
        props("position", held, "Updated"),
    ]


def test_a_fill_waits_for_one_before_it_that_the_position_shows() -> None:
    decoder = started()
    second = trade(20, "Sell", 1, 0, _AT + timedelta(seconds=1))
    assert list(decoder.facts(message("user/0", second, "a"))) == []
    assert decoder.differing == {5}
    told = list(decoder.facts(message("user/0", trade(10, "Buy", 1, 1), "a")))
    assert [(each.fill_id, each.entry) for each in told if isinstance(each, venue.Fill)] == [
        ("10", "in"),
        ("20.10", "out"),
    ]
    assert decoder.differing == set()


def test_a_fill_of_another_account_is_nothing_to_us() -> None:
    decoder = started()
    foreign = trade(10, "Buy", 1, 1)
    foreign[0]["d"]["entity"]["accountId"] = foreign[3]["d"]["entity"]["accountId"] = 6
    assert list(decoder.facts(message("user/0", foreign, "a"))) == []
    assert list(decoder.facts(message("user/0", [props("fillFee", {"id": 10, "commission": 1.29})], "a"))) == []
    assert not decoder._early and not decoder._early_fees


def test_costs_that_come_late_are_told_with_the_same_fill_again() -> None:
    decoder = started()
    (first,) = decoder.facts(message("user/0", trade(10, "Buy", 1, 1), "a"))
    (again,) = decoder.facts(message("user/0", [props("fillFee", {"id": 10, "commission": 1.29})], "a"))
    assert isinstance(first, venue.Fill) and isinstance(again, venue.Fill)
    assert (first.commission_minor, again.commission_minor) == (0, -129)
    assert first.fill_id == again.fill_id


def a_history(*trades: list[dict[str, Any]]) -> Message:
    """A history of these trades, whose costs the venue does not list yet."""
    rows: dict[str, list[Any]] = {
        name: [each[place]["d"]["entity"] for each in trades]
        for place, name in enumerate(("orders", "versions", "fills"))
    }
    return message(HISTORY, {"accountId": 5, "fees": [], "cash": [], **rows})


def test_fills_that_the_venue_lists_no_longer_stay_told() -> None:
    decoder = started()
    second = trade(20, "Buy", 1, 2)
    for each in (trade(10, "Buy", 1, 1), second):
        list(decoder.facts(message("user/0", each, "a")))
    assert not any(isinstance(each, venue.FillCorrected) for each in decoder.facts(a_history(second)))
    (closed,) = decoder.facts(message("user/0", trade(30, "Sell", 1, 1), "a"))
    assert isinstance(closed, venue.Fill) and closed.fill_id == "30.10"


def test_costs_that_were_pushed_are_not_taken_back_by_an_older_list() -> None:
    decoder = started()
    bought = trade(10, "Buy", 1, 1)
    list(decoder.facts(message("user/0", [*bought, props("fillFee", {"id": 10, "commission": 1.29})], "a")))
    (again,) = decoder.facts(a_history(bought))
    assert isinstance(again, venue.Fill) and again.commission_minor == -129


def test_an_order_that_has_ended_stays_so_when_an_earlier_state_comes_late() -> None:
    decoder = started()
    order = {"id": 7, "accountId": 5, "contractId": 301, "timestamp": _STAMP, "action": "Buy"}
    version = {"id": 8, "orderId": 7, "orderQty": 1, "orderType": "Limit", "price": 5000}
    told: list[venue.Fact] = []
    for state in ("Canceled", "Working"):
        changes = [props("orderVersion", version), props("order", {**order, "ordStatus": state})]
        told += decoder.facts(message("user/0", changes, "a"))
    assert [each.change for each in told if isinstance(each, venue.Order)] == ["cancelled"]


def status(action: str) -> Message:
    entity = {"id": 5, "adminAction": action, "adminTimestamp": _STAMP}
    return message("user/0", [props("accountRiskStatus", entity, "Updated")], "a")


def test_that_an_account_may_trade_is_told_behind_the_money_that_was_paid_before() -> None:
    decoder = started()
    (locked,) = decoder.facts(status("LockTradingImmediately"))
    assert isinstance(locked, venue.Access) and locked.change == "disabled"
    assert list(decoder.facts(status("Normal"))) == []
    assert decoder.differing == {5}
    paid = {"id": 7, "accountId": 5, "timestamp": _STAMP, "currencyId": 1, "cashChangeType": "FundTransaction"}
    cash = [{**paid, "amount": 1000, "delta": 1000}]
    history = {"accountId": 5, "orders": [], "versions": [], "fees": [], "fills": [], "cash": cash}
    told = list(decoder.facts(message(HISTORY, history)))
    assert [type(each) for each in told] == [venue.Money, venue.Access]
    assert decoder.differing == set()


def test_a_lock_by_the_venues_own_limit_is_told_as_one_live_and_after_a_break() -> None:
    decoder = started()
    (ours,) = decoder.facts(status("LockTradingImmediately"))
    (theirs,) = decoder.facts(status("AgreedOnLiquidationByAutoLiq"))
    assert isinstance(ours, venue.Access) and isinstance(theirs, venue.Access)
    assert (ours.by_limit, theirs.by_limit) == (False, True)
    account = {"id": 5, "name": "PROPOS1", "riskCategoryId": 1, "timestamp": _STAMP}
    body = {"account": account, "status": {"id": 5, "adminAction": "AgreedOnLiquidationByAutoLiq"}, "positions": []}
    told, snapshot = decoder.facts(message(SNAPSHOT, {**body, "worth": {"totalCashValue": 1, "netLiq": 1}}))
    assert isinstance(told, venue.Access) and told.by_limit
    assert isinstance(snapshot, venue.Snapshot) and not snapshot.account.trading_enabled


def test_that_an_account_may_trade_is_not_told_when_it_is_locked_before_its_history_came() -> None:
    decoder = started()
    list(decoder.facts(status("Normal")))
    (locked,) = decoder.facts(status("LockTradingImmediately"))
    assert isinstance(locked, venue.Access) and locked.change == "disabled"
    history = {"accountId": 5, "orders": [], "versions": [], "fees": [], "fills": [], "cash": []}
    assert not any(isinstance(each, venue.Access) for each in decoder.facts(message(HISTORY, history)))


@pytest.mark.parametrize(("balance", "may_trade"), [(0, False), (1000, True)])
def test_a_new_account_without_money_may_not_trade_though_the_venue_has_not_locked_it(
    balance: int, may_trade: bool
) -> None:
    account = {"id": 6, "name": "PROPOS2", "riskCategoryId": 1, "timestamp": _STAMP}
    worth = {"totalCashValue": balance, "netLiq": balance}
    body = {"account": account, "status": {"id": 6, "adminAction": "Normal"}, "positions": [], "worth": worth}
    (told,) = started().facts(message(SNAPSHOT, body))
    assert isinstance(told, venue.Snapshot)
    assert told.account.trading_enabled is may_trade


_WORDS = st.sampled_from(
    [
        *("id", "accountId", "orderId", "contractId", "timestamp", "action", "qty", "price", "netPos", "ordStatus"),
        *("e", "d", "i", "s", "entityType", "entity", "props", "md", "quotes", "entries", "Bid", "fill", "order"),
    ]
)
_VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), _WORDS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_WORDS, inner, max_size=5)),
    max_leaves=12,
)


def test_the_clock_of_a_replay_stands_at_speed_zero() -> None:
    decoder = started()
    clocks = [{"e": "clock", "d": json.dumps({"t": _STAMP, "s": speed})} for speed in (400, 0)]
    assert list(decoder.facts(message("user/0", clocks, "a"))) == [
        venue.VenueTime(_AT),
        venue.VenueTime(_AT, stands=True),
    ]
    for wrong in ("{", '{"t": "noon", "s": 0}', '{"t": 5}', "[" * 100_000):
        with pytest.raises(Unreadable):
            list(decoder.facts(message("user/0", [{"e": "clock", "d": wrong}], "a")))


def changed(value: Any, path: deque[int], to: Any) -> Any:
    """Returns a JSON value with one part of it, found by following `path`, replaced."""
    if not path or not isinstance(value, dict | list) or not value:
        return to
    place = path.popleft() % len(value)
    if isinstance(value, list):
        return [changed(each, path, to) if number == place else each for number, each in enumerate(value)]
    name = list(value)[place]
    return {**value, name: changed(value[name], path, to)}


@example([0, 1], {"quotes": None}, "quotes")
@given(
    st.lists(st.integers(0, 20), min_size=1, max_size=6),
    _VALUES,
    st.sampled_from(["user/0", "quotes", HISTORY, SNAPSHOT]),
)
def test_bad_input_is_unreadable_and_never_another_error(path: list[int], value: Any, channel: str) -> None:
    decoder = started()
    history = {"accountId": 5, "orders": [], "versions": [], "fees": [], "fills": [], "cash": []}
    account = {"id": 5, "name": "PROPOS1", "riskCategoryId": 1, "timestamp": _STAMP}
    snapshot: dict[str, Any] = {
        "account": account,
        "status": None,
        "positions": [],
        "worth": {"totalCashValue": 1, "netLiq": 1},
    }
    quote = {"timestamp": _STAMP, "contractId": 301, "entries": {"Bid": {"price": 1}, "Offer": {"price": 2}}}
    bodies: dict[str, Any] = {
        "user/0": trade(10, "Buy", 1, 1),
        "quotes": [{"e": "md", "d": {"quotes": [quote]}}],
        HISTORY: history,
        SNAPSHOT: snapshot,
    }
    body = changed(bodies[channel], deque(path), value)
    with suppress(Unreadable):
        for fact in decoder.facts(message(channel, body, "a" if channel in ("user/0", "quotes") else "")):
            assert not isinstance(fact, venue.Quote) or 0 < fact.bid <= fact.ask
    with suppress(Unreadable):
        list(decoder.facts(message("user/0", trade(30, "Buy", 1, 1), "a")))


@given(st.binary(max_size=60), st.sampled_from(["user/0", "quotes", LIBRARY, HISTORY, SNAPSHOT, CAUGHT_UP, "else"]))
def test_bytes_that_are_no_message_are_unreadable(body: bytes, channel: str) -> None:
    try:
        list(started().facts(Message(channel, body, _AT)))
    except Unreadable:
        return
    assert channel in ("user/0", "quotes")


@pytest.mark.parametrize("accounts", [1, 3, 4, 20, 21, 5_000])
def test_comparing_keeps_within_half_of_the_venues_hour(accounts: int) -> None:
    """Also when every account has open positions."""
    seconds = 60.0
    calls, logins = calls_in_a_pass(seconds, (Rate(1000, 1.0), Rate(5000, 3600.0))), list(range(accounts))
    for told in (set[int](), set(logins)):
        alone, listed = chosen(logins, told, calls)
        cost = 11 * len(alone) + (4 + min(len(listed), calls - 4) if listed else 0)
        assert cost <= calls + 11 * bool(listed)
        assert set(alone) | listed or not logins
    assert calls * 3600 / seconds <= 2_500


def test_a_new_account_is_told_alone_before_it_is_listed() -> None:
    alone, listed = chosen(list(range(30)), set(range(20)), 41)
    assert alone == [20, 21, 22] and listed == set(range(20))


def test_a_fill_that_does_not_lead_to_the_position_waits_until_the_missing_one_is_there() -> None:
    """Also when a message about something else comes: told too early, it opens what it closes, and is told twice."""
    contracts = {301: Listed(301, "MESZ6", Decimal(5), "USD", Decimal("0.25"))}
    ledger = Ledger(5, "USD")
    add_versions(ledger.versions, [_market_order(11), _market_order(12)])

    def settled(*positions: Position) -> list[tuple[str, str]]:
        found = ledger.settle(contracts, {each.contractId: each for each in positions})
        return [(each.fill_id, each.entry) for each in found if isinstance(each, venue.Fill)]

    assert list(ledger.take_fill(fill(12, "Buy", 1, "4001"))) == []  # closes 11, which was lost
    assert settled(position(0, "0")) == []
    assert settled() == []
    assert list(ledger.take_fill(fill(11, "Sell", 1, "4000"))) == []
    assert settled() == [("11", "in"), ("12.11", "out")]
