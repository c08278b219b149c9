"""What the decoder of DXtrade makes of good and bad messages: it needs no venue."""

import copy
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

import pytest

from adapters.dxtrade import decode
from adapters.dxtrade.decode import DxtradeDecoder
from ports.venue import (
    CONNECTED,
    SYMBOLS,
    Access,
    CaughtUp,
    Cursor,
    Fact,
    Fill,
    Halt,
    Message,
    Money,
    Order,
    Quote,
    Snapshot,
    State,
    Stops,
    Unreadable,
    VenueTime,
)
from tests.dxtrade_messages import (
    ACCOUNT,
    AT,
    CLOSING,
    DEPOSIT,
    INSTRUMENTS,
    LOGIN,
    MESSAGES,
    METRICS,
    NOW,
    PORTFOLIO,
    QUOTE,
    QUOTES,
    pushed,
)


class Reader:
    """A decoder that knows instruments and the account."""

    def __init__(self) -> None:
        self.decoder = DxtradeDecoder("default")
        self.unread: list[str] = []
        self.take(decode.INSTRUMENTS, INSTRUMENTS)
        self.take(decode.ACCOUNTS, [ACCOUNT])

    def take(self, channel: str, found: Any) -> list[Fact]:
        return self.raw(channel, json.dumps(found).encode())

    def raw(self, channel: str, body: bytes) -> list[Fact]:
        facts: list[Fact] = []
        try:
            facts.extend(self.decoder.facts(Message(channel, body, NOW)))
        except Unreadable as error:
            self.unread.append(str(error))
        return facts


def _collect(reader: Reader, channel: str, found: Any) -> Iterator[Fact]:
    """The facts before the error, if there is one."""
    try:
        yield from reader.decoder.facts(Message(channel, json.dumps(found).encode(), NOW))
    except Unreadable as error:
        reader.unread.append(str(error))


def test_a_closing_order_is_a_fill_with_all_its_money() -> None:
    [fill] = Reader().take(decode.ORDERS, {"orders": [CLOSING]})
    assert fill == Fill(
        fill_id="E41",
        login=LOGIN,
        position_id="31",
        symbol="EURUSD",
        side="sell",
        lots=Decimal("0.5"),
        price=Decimal("1.2"),
        entry="out",
        at=datetime(2026, 11, 27, 11, 59, 58, 250_000, tzinfo=UTC),
        profit_minor=5000_00,
        commission_minor=-3_50,
        swap_minor=-25,
        fee_minor=-1_00,
        reason="client",
        order_id="40",
    )


def test_a_snapshot_needs_metrics_of_its_version() -> None:
    reader = Reader()
    assert reader.take(decode.PORTFOLIOS, PORTFOLIO) == []
    reader.take(decode.METRICS, METRICS)
    [snapshot, stops] = reader.take(decode.PORTFOLIOS, PORTFOLIO)
    assert isinstance(snapshot, Snapshot) and snapshot.cursor == "5"
    assert (snapshot.account.balance_minor, snapshot.account.equity_minor) == (1000_00, 1010_01)
    assert snapshot.account.positions[0].lots == Decimal("1.5")
    assert isinstance(stops, Stops) and stops.stop_loss == Decimal("1.09")
    newer = copy.deepcopy(PORTFOLIO)
    newer["portfolios"][0]["version"] = 6
    assert reader.take(decode.PORTFOLIOS, newer) == []


def test_an_older_portfolio_or_worth_is_passed_over() -> None:
    reader = Reader()
    reader.take(decode.METRICS, METRICS)
    reader.take(decode.PORTFOLIOS, PORTFOLIO)
    newer = copy.deepcopy(PORTFOLIO)
    newer["portfolios"][0]["version"] = 9
    reader.take(decode.PUSHED, pushed("AccountPortfolios", newer))
    assert reader.take(decode.PUSHED, pushed("AccountMetrics", METRICS)) == []
    moved = copy.deepcopy(PORTFOLIO)
    moved["portfolios"][0]["positions"][0]["stopLossPrice"] = 1.05
    assert reader.take(decode.PUSHED, pushed("AccountPortfolios", moved)) == []
    assert reader.unread == []


def test_stops_of_a_position_that_no_fill_has_told_go_with_its_fill() -> None:
    reader = Reader()
    assert reader.take(decode.PUSHED, pushed("AccountPortfolios", PORTFOLIO)) == []
    [fill] = reader.take(decode.ORDERS, {"orders": [CLOSING]})
    assert isinstance(fill, Fill) and fill.stop_loss == Decimal("1.09")
    moved = copy.deepcopy(PORTFOLIO)
    moved["portfolios"][0]["positions"][0]["stopLossPrice"] = None
    [stops] = reader.take(decode.PUSHED, pushed("AccountPortfolios", moved))
    assert isinstance(stops, Stops) and stops.stop_loss is None


def test_the_stops_of_a_position_are_told_at_the_first_time_also_when_there_are_none() -> None:
    reader, bare = Reader(), copy.deepcopy(PORTFOLIO)
    del bare["portfolios"][0]["positions"][0]["stopLossPrice"]
    reader.take(decode.METRICS, METRICS)
    [_, stops] = reader.take(decode.PORTFOLIOS, bare)
    assert isinstance(stops, Stops) and (stops.stop_loss, stops.take_profit) == (None, None)
    assert [type(each) for each in reader.take(decode.PORTFOLIOS, bare)] == [Snapshot]


def test_a_snapshot_that_was_read_before_a_push_tells_no_older_stops() -> None:
    reader, newer = Reader(), copy.deepcopy(PORTFOLIO)
    newer["portfolios"][0] |= {"version": 6}
    newer["portfolios"][0]["positions"][0]["stopLossPrice"] = 1.05
    reader.take(decode.PUSHED, pushed("AccountPortfolios", newer))
    reader.take(decode.METRICS, METRICS)
    assert [type(each) for each in reader.take(decode.PORTFOLIOS, PORTFOLIO)] == [Snapshot]
    assert reader.take(decode.STOPS, PORTFOLIO) == []


def test_a_part_of_a_working_order_is_told_with_the_stops_of_its_portfolio() -> None:
    leg = {"instrument": "EURUSD", "positionEffect": "OPEN", "positionCode": "31", "side": "BUY", "quantity": 90000}
    working = {**CLOSING, "type": "LIMIT", "status": "WORKING", "side": "BUY", "legs": [leg], "cashTransactions": []}
    found = copy.deepcopy(PORTFOLIO)
    found["portfolios"][0]["orders"] = [working]
    fills = [
        each for each in Reader().take(decode.PUSHED, pushed("AccountPortfolios", found)) if isinstance(each, Fill)
    ]
    assert [fill.stop_loss for fill in fills] == [Decimal("1.09")]


def test_what_is_newer_than_a_snapshot_is_told_behind_all_that_was_before() -> None:
    reader = Reader()
    reader.take(decode.METRICS, METRICS)
    reader.take(decode.PORTFOLIOS, PORTFOLIO)
    older = {**CLOSING, "orderCode": "30", "executions": [{**CLOSING["executions"][0], "version": 5}]}
    assert len(reader.take(decode.ORDERS, {"orders": [older]})) == 1
    assert reader.take(decode.ORDERS, {"orders": [CLOSING]}) == []
    assert reader.take(decode.TRANSFERS, {"cashTransfers": [{**DEPOSIT, "version": 7}]}) == []
    assert [type(each) for each in reader.take(decode.CAUGHT_UP, {})] == [CaughtUp, Fill, Money]
    assert len(reader.take(decode.ORDERS, {"orders": [CLOSING]})) == 1


def test_an_answer_about_an_order_that_is_older_than_the_last_is_passed_over() -> None:
    """A push that is late does not say that an order is working which the list has told as filled."""
    reader = Reader()
    reader.take(decode.CAUGHT_UP, {})
    leg = {"instrument": "EURUSD", "positionEffect": "OPEN", "side": "BUY", "quantity": 20000, "price": 1.05}
    working = {**CLOSING, "type": "LIMIT", "status": "WORKING", "version": 5, "legs": [leg], "side": "BUY"}
    working |= {"executions": [], "cashTransactions": []}
    ended = {**working, "status": "CANCELED", "version": 6}
    [told] = reader.take(decode.ORDERS, {"orders": [ended]})
    assert isinstance(told, Order) and told.change == "cancelled"
    late = copy.deepcopy(PORTFOLIO)
    late["portfolios"][0] |= {"positions": [], "orders": [working]}
    assert reader.take(decode.PUSHED, pushed("AccountPortfolios", late)) == []


def _of_yen(**more: Any) -> dict[str, Any]:
    return {**CLOSING, "instrument": "USDJPY", "cashTransactions": [], **more}


def test_a_close_in_another_currency_waits_for_its_settlement_and_the_cursor_for_it() -> None:
    reader, later = Reader(), "2026-11-27T12:00:05.000Z"
    assert reader.take(decode.ORDERS, {"orders": [_of_yen()]}) == []
    other = [{**CLOSING["executions"][0], "executionCode": "E51"}]
    newer = {**CLOSING, "orderCode": "50", "transactionTime": later, "executions": other}
    reader.take(decode.ORDERS, {"orders": [newer]})
    assert reader.take(decode.ORDERS_END, {}) == [Cursor("orders", "2026-11-27T11:59:58.250+00:00")]
    money = CLOSING["cashTransactions"]
    [fill] = reader.take(decode.ORDERS, {"orders": [_of_yen(cashTransactions=money)]})
    assert isinstance(fill, Fill) and fill.profit_minor == 5000_00
    assert reader.take(decode.ORDERS_END, {}) == [Cursor("orders", "2026-11-27T12:00:05.000+00:00")]
    assert reader.take(decode.ORDERS, {"orders": [_of_yen()]}) == [], "an older answer takes no profit back"
    for _ in range(3):
        assert [type(each) for each in reader.take(decode.ORDERS_END, {})] == [Cursor]


def test_no_settlement_is_waited_for_twice_over_and_the_cursor_never_goes_back() -> None:
    reader = Reader()
    reader.take(decode.SINCE, {"orders": "2026-11-27T12:00:00.000+00:00"})
    assert reader.take(decode.ORDERS, {"orders": [_of_yen()]}) == []
    assert reader.take(decode.ORDERS_END, {}) == []
    [fill] = reader.take(decode.ORDERS_END, {})
    assert isinstance(fill, Fill) and fill.profit_minor == 0
    [again] = reader.take(decode.ORDERS, {"orders": [_of_yen()]})
    assert again == fill
    assert reader.take(decode.ORDERS_END, {}) == []


def test_what_a_fresh_journal_only_remembers_waits_for_no_settlement() -> None:
    reader = Reader()
    reader.take(decode.SINCE, {})
    assert len(reader.take(decode.ORDERS, {"orders": [_of_yen()]})) == 1
    reader.take(decode.CAUGHT_UP, {})
    other = _of_yen(orderCode="60", executions=[{**CLOSING["executions"][0], "executionCode": "E61"}])
    assert reader.take(decode.ORDERS, {"orders": [other]}) == []


def test_a_settlement_that_names_no_execution_is_that_of_the_whole_order() -> None:
    first = CLOSING["executions"][0]
    money = [{**CLOSING["cashTransactions"][0], "tradeCode": None}]
    order = _of_yen(executions=[first, {**first, "executionCode": "E42"}], cashTransactions=money)
    fills = Reader().take(decode.ORDERS, {"orders": [order]})
    assert [each.profit_minor for each in fills if isinstance(each, Fill)] == [0, 5000_00]


def test_money_has_our_key_or_the_id_of_the_venue() -> None:
    reader = Reader()
    at = datetime(2026, 11, 27, 11, 59, 58, 250_000, tzinfo=UTC)
    hold = Money("C9", LOGIN, "payout_hold", "pay_1", -200_00, at)
    assert reader.take(decode.TRANSFERS, {"cashTransfers": [DEPOSIT]}) == [hold]
    by_hand = {**DEPOSIT, "comment": "thanks", "transferCode": "C10"}
    [told] = reader.take(decode.TRANSFERS, {"cashTransfers": [by_hand]})
    assert isinstance(told, Money) and (told.operation, told.key) == ("adjustment", "C10")
    of_trade = {**DEPOSIT, "cashTransactions": [{**CLOSING["cashTransactions"][0], "orderCode": "40"}]}
    assert reader.take(decode.TRANSFERS, {"cashTransfers": [of_trade]}) == []
    overnight = {
        **DEPOSIT,
        "comment": "",
        "cashTransactions": [{**DEPOSIT["cashTransactions"][0], "type": "FINANCING"}],
    }
    [told] = reader.take(decode.TRANSFERS, {"cashTransfers": [overnight]})
    assert isinstance(told, Money) and told.operation == "adjustment"


def test_what_an_account_may_do_is_told_when_it_changes() -> None:
    reader = Reader()
    closed = {**ACCOUNT, "status": "NO_TRADING"}
    assert reader.take(decode.ACCOUNTS, closed) == [Access(LOGIN, "disabled", None)]
    assert reader.take(decode.ACCOUNTS, [closed]) == []
    new = {**ACCOUNT, "accountCode": "100000000000008"}
    told = reader.take(decode.ACCOUNTS, [closed, new])
    assert told == [Access(100000000000008, "opened", None), Access(100000000000008, "enabled", None)]


def test_a_settled_payout_is_told_once_in_a_connection() -> None:
    decoder = DxtradeDecoder("default")
    body = json.dumps([ACCOUNT]).encode()
    [told] = decoder.facts(Message(decode.ACCOUNTS, body, NOW))
    at = datetime(2026, 11, 26, 10, tzinfo=UTC)
    assert told == Money("settled pay_1", LOGIN, "payout_settled", "pay_1", 0, at)
    assert list(decoder.facts(Message(decode.ACCOUNTS, body, NOW))) == []


@pytest.mark.parametrize(
    ("status", "at", "change"),
    [
        ("WORKING", AT, "placed"),
        ("WORKING", "2026-11-27T12:00:00.000Z", "changed"),
        ("CANCELED", AT, "cancelled"),
        ("REJECTED", AT, "cancelled"),
        ("EXPIRED", AT, "expired"),
        ("COMPLETED", AT, "filled"),
    ],
)
def test_a_pending_order(status: str, at: str, change: str) -> None:
    leg = {"instrument": "EURUSD", "positionEffect": "OPEN", "side": "BUY", "quantity": 20000, "price": 1.05}
    order = {**CLOSING, "type": "LIMIT", "status": status, "transactionTime": at, "legs": [leg], "executions": []}
    [told] = Reader().take(decode.ORDERS, {"orders": [order]})
    assert isinstance(told, Order) and told.change == change
    assert (told.lots, told.price, told.type) == (Decimal("0.2"), Decimal("1.05"), "limit")
    closing = {**order, "legs": [{**leg, "positionEffect": "CLOSE", "positionCode": "31"}]}
    assert Reader().take(decode.ORDERS, {"orders": [closing]}) == [], "the stops of a position are no pending orders"


def test_the_small_ones() -> None:
    reader = Reader()
    at = datetime(2026, 11, 27, 11, 59, 58, 250_000, tzinfo=UTC)
    assert reader.take(decode.QUOTED, QUOTES) == [Quote("EURUSD", Decimal("1.1"), Decimal(2), at)]
    assert reader.take(decode.PUSHED, pushed("AccountMetrics", METRICS)) == [State(LOGIN, 1000_00, 1010_01, at)]
    assert reader.take(decode.PUSHED, pushed("PingRequest", None)) == [VenueTime(at)]
    assert reader.take(decode.CAUGHT_UP, {}) == [CaughtUp()]
    assert reader.raw(CONNECTED, b"") == [] and reader.raw(SYMBOLS, b"[]") == []
    assert reader.take(decode.ORDERS_END, {}) == []
    reader.take(decode.ORDERS, {"orders": [CLOSING]})
    assert reader.take(decode.ORDERS_END, {}) == [Cursor("orders", "2026-11-27T11:59:58.250+00:00")]


@pytest.mark.parametrize("name", MESSAGES)
def test_a_message_cut_anywhere_is_unreadable_and_does_no_harm(name: str) -> None:
    channel, found = MESSAGES[name]
    body = json.dumps(found).encode()
    for end in range(0, len(body), 7):
        reader = Reader()
        assert reader.raw(channel, body[:end]) == []
        assert len(reader.unread) == 1
        assert reader.raw(channel, body) == Reader().raw(channel, body)


def _leaves(found: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    if isinstance(found, dict):
        for key, value in found.items():
            yield from _leaves(value, (*path, key))
    elif isinstance(found, list):
        for place, value in enumerate(found):
            yield from _leaves(value, (*path, place))


def _put(found: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    changed = copy.deepcopy(found)
    inside = changed
    for step in path[:-1]:
        inside = inside[step]
    inside[path[-1]] = value
    return changed


_WRONG: Final[list[Any]] = [
    None,
    True,
    -1,
    10**15,
    1e-30,
    "many",
    [],
    {},
    10**40,
    "1E-999999",
    "WORD_OF_NEXT_YEAR",
    [[]],
]


@pytest.mark.parametrize("value", _WRONG, ids=repr)
@pytest.mark.parametrize("name", MESSAGES)
def test_a_wrong_type_or_word_anywhere_raises_nothing_but_unreadable(name: str, value: Any) -> None:
    channel, found = MESSAGES[name]
    for path in _leaves(found):
        Reader().take(channel, _put(found, path, value))


@pytest.mark.parametrize("name", MESSAGES)
def test_an_unknown_field_anywhere_changes_nothing(name: str) -> None:
    channel, found = MESSAGES[name]
    expected = Reader().take(channel, found)
    for path in _leaves(found):
        inside = found
        for step in path:
            inside = inside[step]
        if isinstance(inside, dict):
            reader = Reader()
            assert reader.take(channel, _put(found, path, {**inside, "fieldOfNextYear": {"a": [1]}})) == expected
            assert reader.unread == []


@pytest.mark.parametrize("price", [0, -1, -0.5, None, "1.1", True, 10**40])
def test_a_price_of_zero_or_less_is_no_quote(price: Any) -> None:
    reader = Reader()
    assert reader.take(decode.QUOTED, pushed("MarketData", {"events": [{**QUOTE, "bid": price}]})) == []
    assert len(reader.unread) == 1


def test_a_row_that_cannot_be_read_hides_no_other_and_holds_the_cursor() -> None:
    reader = Reader()
    bad = {**CLOSING, "side": "HOLD"}
    good = {**CLOSING, "orderCode": "50"}
    assert [type(each) for each in _collect(reader, decode.ORDERS, {"orders": [bad, good]})] == [Fill]
    assert len(reader.unread) == 1 and "side" in reader.unread[0]
    assert reader.take(decode.ORDERS_END, {}) == []


def test_a_halt_is_told_first_of_every_symbol_and_then_of_those_that_change() -> None:
    reader = Reader()

    def list_(first: str, second: str) -> dict[str, Any]:
        rows = [{"symbol": "EURUSD", "tradingStatus": first}, {"symbol": "USDJPY", "tradingStatus": second}]
        return {"instrumentDetails": rows}

    told = reader.take(decode.TRADABLE, list_("NO", "CLOSE_ONLY"))
    assert told == [Halt("EURUSD", True, None), Halt("USDJPY", False, None)]
    assert reader.take(decode.TRADABLE, list_("NO", "FULL")) == []
    assert reader.take(decode.TRADABLE, list_("FULL", "FULL")) == [Halt("EURUSD", False, None)]


def test_accounts_of_others_are_passed_over() -> None:
    reader = Reader()
    for name in ("another:7", "default:house", "default:007", "default:٧", "default:1" + "0" * 18):
        assert reader.take(decode.ORDERS, {"orders": [{**CLOSING, "account": name}]}) == []
    assert reader.unread == []


def test_an_account_that_no_list_has_told_is_opened_by_its_portfolio() -> None:
    reader = Reader()
    new = copy.deepcopy(PORTFOLIO)
    new["portfolios"][0] |= {"account": "default:100000000000009", "positions": []}
    assert reader.take(decode.PUSHED, pushed("AccountPortfolios", new)) == [Access(100000000000009, "opened", None)]
    first = {**DEPOSIT, "account": "default:100000000000009"}
    [money] = reader.take(decode.TRANSFERS, {"cashTransfers": [first]})
    assert isinstance(money, Money) and money.amount_minor == -200_00
    stated = {"metrics": [{**METRICS["metrics"][0], "account": "default:100000000000009"}]}
    assert reader.take(decode.PUSHED, pushed("AccountMetrics", stated)) == []
    assert reader.unread == []


def test_a_time_in_another_zone_is_the_same_moment_and_one_without_is_refused() -> None:
    reader = Reader()
    [quote] = reader.take(
        decode.QUOTED, pushed("MarketData", {"events": [{**QUOTE, "time": "2026-11-27T13:59:58.250+02:00"}]})
    )
    assert isinstance(quote, Quote) and quote.at == datetime(2026, 11, 27, 11, 59, 58, 250_000, tzinfo=UTC)
    assert quote.at.tzinfo is UTC
    assert reader.take(decode.QUOTED, pushed("MarketData", {"events": [{**QUOTE, "time": "2026-11-27T11:59"}]})) == []
    naive = {**CLOSING, "transactionTime": "2026-11-27T11:59:58"}
    assert reader.take(decode.ORDERS, {"orders": [naive]}) == []
    assert len(reader.unread) == 2


def test_money_that_fits_no_cent_is_refused_and_not_rounded() -> None:
    reader = Reader()
    odd = copy.deepcopy(CLOSING)
    odd["cashTransactions"][0]["value"] = 0.005
    assert reader.take(decode.ORDERS, {"orders": [odd]}) == []
    assert "0.005" in reader.unread[0]


def test_a_close_without_a_settlement_is_reckoned_by_the_gateway() -> None:
    order = {**CLOSING, "cashTransactions": []}
    [fill] = Reader().take(decode.ORDERS, {"orders": [order]})
    assert isinstance(fill, Fill) and fill.profit_minor is None


def test_numbers_may_be_texts_and_accounts_objects() -> None:
    reader = Reader()
    order = copy.deepcopy(CLOSING)
    order["account"] = {"clearing": "default", "account": str(LOGIN)}
    order["executions"][0] |= {"lastQuantity": "50000", "lastPrice": "1.2"}
    assert reader.take(decode.ORDERS, {"orders": [order]}) == Reader().take(decode.ORDERS, {"orders": [CLOSING]})
