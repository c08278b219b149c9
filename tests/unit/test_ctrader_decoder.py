"""What messages of the cTrader Open API say, and that bad ones are said to be unreadable and nothing else."""

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from google.protobuf.message import Message as Wire
from hypothesis import given
from hypothesis import strategies as st

from adapters.ctrader import decoder as module
from adapters.ctrader import values
from adapters.ctrader.decoder import CAUGHT_UP, LIVE, REFERENCE, SNAPSHOT, CTraderDecoder, page_channel
from adapters.ctrader.messages import packed
from adapters.ctrader.notes import note, read_note
from adapters.ctrader.refusals import Refusal, outcome
from domain.errors import InProgress, NotFound, OutcomeUnknown, RefusedForGood, Unavailable
from ports.venue import CaughtUp, Cursor, Fact, Fill, Message, Money, Order, Quote, Snapshot, State, Stops, Unreadable
from wire.ctrader import OpenApiMessages_pb2 as api
from wire.ctrader import OpenApiModelMessages_pb2 as model
from wire.ctrader.OpenApiCommonMessages_pb2 import ProtoMessage

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
MS = int(NOW.timestamp() * 1000)
LOGIN, EURUSD = 7, 1
LOT = 10_000_000


def body(message: Wire) -> bytes:
    return packed(message, "")[4:]


def told(decoder: CTraderDecoder, message: Wire, channel: str = LIVE) -> list[Fact]:
    return list(decoder.facts(Message(channel, body(message), NOW)))


def trader(**changes: Any) -> api.ProtoOATraderRes:
    fields: dict[str, Any] = {
        "ctidTraderAccountId": LOGIN,
        "balance": 1000_00,
        "depositAssetId": 1,
        "moneyDigits": 2,
    }
    return api.ProtoOATraderRes(ctidTraderAccountId=LOGIN, trader=model.ProtoOATrader(**fields | changes))


def references() -> list[Wire]:
    assets = [model.ProtoOAAsset(assetId=1, name="USD"), model.ProtoOAAsset(assetId=2, name="EUR")]
    symbol = model.ProtoOALightSymbol(symbolId=EURUSD, symbolName="EURUSD", enabled=True, baseAssetId=2, quoteAssetId=1)
    whole = model.ProtoOASymbol(symbolId=EURUSD, digits=5, pipPosition=4, lotSize=LOT)
    return [
        api.ProtoOAAssetListRes(ctidTraderAccountId=LOGIN, asset=assets),
        api.ProtoOASymbolsListRes(ctidTraderAccountId=LOGIN, symbol=[symbol]),
        api.ProtoOASymbolByIdRes(ctidTraderAccountId=LOGIN, symbol=[whole]),
        trader(),
    ]


@pytest.fixture
def decoder() -> CTraderDecoder:
    made = CTraderDecoder()
    for message in references():
        assert told(made, message, REFERENCE) == []
    return made


def deal(number: int = 1, **changes: Any) -> model.ProtoOADeal:
    fields: dict[str, Any] = {
        "dealId": number,
        "orderId": 100 + number,
        "positionId": 5,
        "volume": LOT,
        "filledVolume": LOT,
        "symbolId": EURUSD,
        "createTimestamp": MS,
        "executionTimestamp": MS,
        "executionPrice": 1.1,
        "tradeSide": model.BUY,
        "dealStatus": model.FILLED,
        "moneyDigits": 2,
    }
    return model.ProtoOADeal(**fields | changes)


def closing(**changes: Any) -> model.ProtoOAClosePositionDetail:
    fields: dict[str, Any] = {
        "entryPrice": 1.1,
        "grossProfit": 50_00,
        "swap": -1_00,
        "commission": -7_00,
        "balance": 1042_00,
        "closedVolume": LOT,
        "moneyDigits": 2,
    }
    return model.ProtoOAClosePositionDetail(**fields | changes)


def order(**changes: Any) -> model.ProtoOAOrder:
    fields: dict[str, Any] = {
        "orderId": 101,
        "tradeData": model.ProtoOATradeData(symbolId=EURUSD, volume=LOT, tradeSide=model.BUY),
        "orderType": model.MARKET,
        "orderStatus": model.ORDER_STATUS_FILLED,
        "utcLastUpdateTimestamp": MS,
    }
    return model.ProtoOAOrder(**fields | changes)


def executed(kind: model.ProtoOAExecutionType = model.ORDER_FILLED, **parts: Any) -> api.ProtoOAExecutionEvent:
    return api.ProtoOAExecutionEvent(ctidTraderAccountId=LOGIN, executionType=kind, **parts)


def fills(facts: Iterable[Fact]) -> list[Fill]:
    return [fact for fact in facts if isinstance(fact, Fill)]


def spot(**sides: Any) -> api.ProtoOASpotEvent:
    return api.ProtoOASpotEvent(ctidTraderAccountId=LOGIN, symbolId=EURUSD, **sides)


def test_a_price_has_both_sides_once_each_has_been_named(decoder: CTraderDecoder) -> None:
    assert told(decoder, spot(bid=110_000)) == []
    assert told(decoder, spot(ask=110_010, timestamp=MS)) == [Quote("EURUSD", Decimal("1.1"), Decimal("1.1001"), NOW)]
    assert told(decoder, spot(bid=110_005)) == [Quote("EURUSD", Decimal("1.10005"), Decimal("1.1001"), None)]


@pytest.mark.parametrize("sides", [{"bid": 0}, {"ask": 0}, {"bid": 110_000, "timestamp": -1}])
def test_a_price_or_a_time_that_cannot_be_is_unreadable_and_leaves_the_last_one(
    decoder: CTraderDecoder, sides: dict[str, int]
) -> None:
    told(decoder, spot(bid=110_000, ask=110_010))
    with pytest.raises(Unreadable):
        told(decoder, spot(**sides))
    (quote,) = told(decoder, spot(ask=110_020))
    assert isinstance(quote, Quote) and quote.bid == Decimal("1.1")


def test_an_opening_deal_leaves_the_balance_and_a_closing_one_brings_all_costs(decoder: CTraderDecoder) -> None:
    (opened,) = fills(told(decoder, executed(deal=deal(1, commission=-3_50))))
    assert (opened.entry, opened.profit_minor, opened.commission_minor, opened.balance_minor) == ("in", 0, 0, None)
    (closed,) = fills(
        told(decoder, executed(deal=deal(2, closePositionDetail=closing(pnlConversionFee=10), tradeSide=model.SELL)))
    )
    assert (closed.entry, closed.side, closed.lots) == ("out", "sell", Decimal(1))
    assert (closed.profit_minor, closed.commission_minor, closed.swap_minor, closed.fee_minor) == (
        50_00, -7_00, -1_00, -10,
    )  # fmt: skip
    assert closed.balance_minor == 1042_00


def test_a_deal_through_zero_is_a_closing_and_an_opening(decoder: CTraderDecoder) -> None:
    through = deal(3, filledVolume=3 * LOT, closePositionDetail=closing(closedVolume=LOT))
    closed, opened = fills(told(decoder, executed(deal=through)))
    assert (closed.fill_id, closed.entry, closed.lots) == ("3", "out", Decimal(1))
    assert (opened.fill_id, opened.entry, opened.lots, opened.profit_minor) == ("3/in", "in", Decimal(2), 0)


@pytest.mark.parametrize("status", [model.REJECTED, model.INTERNALLY_REJECTED, model.ERROR, model.MISSED])
def test_a_deal_that_was_not_filled_is_none(decoder: CTraderDecoder, status: int) -> None:
    assert fills(told(decoder, executed(deal=deal(dealStatus=status)))) == []


@pytest.mark.parametrize(
    ("changes", "server", "reason"),
    [
        ({}, False, "client"),
        ({}, True, "dealer"),
        ({"isStopOut": True}, True, "stop_out"),
        ({"orderType": model.LIMIT, "limitPrice": 1.1}, False, "pending_fill"),
        ({"orderType": model.STOP_LIMIT, "stopPrice": 1.1}, False, "pending_fill"),
        ({"orderType": model.STOP_LOSS_TAKE_PROFIT, "stopPrice": 1.1}, True, "stop_loss"),
        ({"orderType": model.STOP_LOSS_TAKE_PROFIT, "limitPrice": 1.1}, True, "take_profit"),
        ({"orderType": model.STOP_LOSS_TAKE_PROFIT, "stopLoss": 1.0, "takeProfit": 1.101}, False, "take_profit"),
    ],
)
def test_the_order_says_what_brought_a_fill_about(
    decoder: CTraderDecoder, changes: dict[str, Any], server: bool, reason: str
) -> None:
    (fill,) = fills(told(decoder, executed(deal=deal(1), order=order(**changes), isServerEvent=server)))
    assert fill.reason == reason


def test_a_page_of_deals_reads_the_orders_that_came_before_it(decoder: CTraderDecoder) -> None:
    orders = api.ProtoOAOrderListRes(
        ctidTraderAccountId=LOGIN, order=[order(orderType=model.STOP, stopPrice=1.2)], hasMore=False
    )
    facts = told(decoder, orders, page_channel("orders", LOGIN, MS))
    assert [type(fact) for fact in facts] == [Order, Cursor]
    page = api.ProtoOADealListRes(ctidTraderAccountId=LOGIN, deal=[deal(2), deal(1)], hasMore=False)
    first, second, cursor = told(decoder, page, page_channel("deals", LOGIN, MS))
    assert isinstance(first, Fill) and isinstance(second, Fill)
    assert [(first.fill_id, first.reason), (second.fill_id, second.reason)] == [("1", "pending_fill"), ("2", "client")]
    assert cursor == Cursor(f"deals/{LOGIN}", str(MS))


@pytest.mark.parametrize(
    ("changes", "loss", "profit"),
    [
        ({"stopLoss": 1.05, "takeProfit": 1.2}, "1.05", "1.2"),
        ({"relativeStopLoss": 500, "relativeTakeProfit": 1_000}, "1.09500", "1.11000"),
        ({"stopLoss": 1.05, "relativeStopLoss": 500}, "1.05", None),
        ({"relativeStopLoss": 200_000}, None, None),
        ({"stopLoss": 1.05, "closingOrder": True}, None, None),
        ({"stopLoss": 1.05, "stopPrice": 1.05, "orderType": model.STOP_LOSS_TAKE_PROFIT}, None, None),
    ],
)
def test_a_listed_deal_has_the_stops_of_the_order_that_opened_its_position(
    decoder: CTraderDecoder, changes: dict[str, Any], loss: str | None, profit: str | None
) -> None:
    orders = api.ProtoOAOrderListRes(ctidTraderAccountId=LOGIN, order=[order(**changes)], hasMore=False)
    told(decoder, orders, page_channel("orders", LOGIN, MS))
    page = api.ProtoOADealListRes(ctidTraderAccountId=LOGIN, deal=[deal(1)], hasMore=False)
    (fill,) = fills(told(decoder, page, page_channel("deals", LOGIN, MS)))
    assert (fill.stop_loss, fill.take_profit) == (loss and Decimal(loss), profit and Decimal(profit))


def test_the_stops_of_a_sold_position_are_on_the_other_sides(decoder: CTraderDecoder) -> None:
    sold = order(relativeStopLoss=500, relativeTakeProfit=1_000)
    sold.tradeData.tradeSide = model.SELL
    details = api.ProtoOAOrderDetailsRes(ctidTraderAccountId=LOGIN, order=sold)
    assert told(decoder, details, REFERENCE) == []
    page = api.ProtoOADealListRes(ctidTraderAccountId=LOGIN, deal=[deal(1, tradeSide=model.SELL)], hasMore=False)
    (fill,) = fills(told(decoder, page, page_channel("deals", LOGIN, MS)))
    assert (fill.stop_loss, fill.take_profit) == (Decimal("1.10500"), Decimal("1.09000"))


def test_a_bad_row_leaves_the_others_and_the_cursor_stays(decoder: CTraderDecoder) -> None:
    rows = [deal(1, executionPrice=-1.0), deal(2), deal(3, symbolId=99)]
    page = api.ProtoOADealListRes(ctidTraderAccountId=LOGIN, deal=rows, hasMore=False)
    found = decoder.facts(Message(page_channel("deals", LOGIN, MS), body(page), NOW))
    (fill,) = fills([next(iter(found))])
    assert fill.fill_id == "2"
    with pytest.raises(Unreadable, match="executionPrice"):
        next(iter(found))


def test_an_account_without_positions_is_worth_its_balance(decoder: CTraderDecoder) -> None:
    position = model.ProtoOAPosition(
        positionId=5,
        tradeData=model.ProtoOATradeData(symbolId=EURUSD, volume=LOT, tradeSide=model.BUY, openTimestamp=MS),
        positionStatus=model.POSITION_STATUS_OPEN,
        swap=0,
        price=1.1,
    )
    told(decoder, api.ProtoOAReconcileRes(ctidTraderAccountId=LOGIN, position=[position]), SNAPSHOT)
    moved = api.ProtoOAv1PnLChangeEvent(
        ctidTraderAccountId=LOGIN, grossUnrealizedPnL=-5, netUnrealizedPnL=-12_345_678, moneyDigits=8
    )
    assert told(decoder, moved) == [State(LOGIN, 1000_00, 1000_00 - 12, None)]
    position.positionStatus = model.POSITION_STATUS_CLOSED
    facts = told(decoder, executed(deal=deal(9, closePositionDetail=closing()), position=position))
    assert facts[-1] == State(LOGIN, 1042_00, 1042_00, None)


def positions(*numbers: int, **changes: Any) -> list[model.ProtoOAPosition]:
    data = model.ProtoOATradeData(symbolId=EURUSD, volume=LOT, tradeSide=model.BUY, openTimestamp=MS)
    fields: dict[str, Any] = {"tradeData": data, "positionStatus": model.POSITION_STATUS_OPEN, "swap": 0, "price": 1.1}
    return [model.ProtoOAPosition(positionId=number, **fields | changes) for number in numbers]


def worth(**of_position: int) -> api.ProtoOAGetPositionUnrealizedPnLRes:
    rows = [
        model.ProtoOAPositionUnrealizedPnL(positionId=int(name[1:]), grossUnrealizedPnL=net, netUnrealizedPnL=net)
        for name, net in of_position.items()
    ]
    return api.ProtoOAGetPositionUnrealizedPnLRes(ctidTraderAccountId=LOGIN, positionUnrealizedPnL=rows, moneyDigits=2)


def moved_by(net: int) -> api.ProtoOAv1PnLChangeEvent:
    return api.ProtoOAv1PnLChangeEvent(
        ctidTraderAccountId=LOGIN, grossUnrealizedPnL=net, netUnrealizedPnL=net, moneyDigits=2
    )


def test_a_change_of_worth_counts_again_once_the_worth_was_asked_for_after_the_closing(decoder: CTraderDecoder) -> None:
    told(decoder, api.ProtoOAReconcileRes(ctidTraderAccountId=LOGIN, position=positions(5, 6)), SNAPSHOT)
    assert told(decoder, moved_by(50_00)) == [State(LOGIN, 1000_00, 1050_00, None)]
    (closed,) = positions(5, positionStatus=model.POSITION_STATUS_CLOSED)
    told(decoder, executed(deal=deal(2, closePositionDetail=closing()), position=closed))
    assert told(decoder, moved_by(50_00)) == [], "it may count what is in the balance"
    assert told(decoder, worth(p5=50_00, p6=1_00)) == [], "it still has the position that is closed"
    assert told(decoder, worth(p6=1_00)) == [State(LOGIN, 1042_00, 1043_00, None)]
    assert told(decoder, moved_by(2_00)) == [State(LOGIN, 1042_00, 1044_00, None)]


def test_a_change_of_worth_is_not_told_while_what_was_missed_is_listed(decoder: CTraderDecoder) -> None:
    told(decoder, api.ProtoOAReconcileRes(ctidTraderAccountId=LOGIN, position=positions(5)), SNAPSHOT)
    told(decoder, trader(balance=1042_00), REFERENCE)
    assert told(decoder, moved_by(42_00)) == []
    assert told(decoder, worth(p5=0)) == []
    told(decoder, trader(balance=1042_00), SNAPSHOT)
    told(decoder, api.ProtoOAReconcileRes(ctidTraderAccountId=LOGIN, position=positions(6)), SNAPSHOT)
    snapshot, state = told(decoder, worth(p6=3_00), SNAPSHOT)
    assert isinstance(snapshot, Snapshot) and state == State(LOGIN, 1042_00, 1045_00, None)


def test_every_list_of_positions_says_their_stops(decoder: CTraderDecoder) -> None:
    bare, guarded = positions(5), positions(6, stopLoss=1.05)
    listed = api.ProtoOAReconcileRes(ctidTraderAccountId=LOGIN, position=bare + guarded)
    stops = [Stops(LOGIN, "5", None, None, NOW), Stops(LOGIN, "6", Decimal("1.05"), None, NOW)]
    assert told(decoder, listed, SNAPSHOT) == told(decoder, listed, SNAPSHOT) == stops


def test_a_fill_that_adds_to_a_position_may_change_its_stops(decoder: CTraderDecoder) -> None:
    told(decoder, api.ProtoOAReconcileRes(ctidTraderAccountId=LOGIN, position=positions(5)), SNAPSHOT)
    (added,) = positions(5, stopLoss=1.05, utcLastUpdateTimestamp=MS)
    facts = told(decoder, executed(deal=deal(1), position=added))
    assert Stops(LOGIN, "5", Decimal("1.05"), None, NOW) in facts


def test_a_trailing_stop_of_a_closed_position_does_not_open_it_again(decoder: CTraderDecoder) -> None:
    told(decoder, api.ProtoOAReconcileRes(ctidTraderAccountId=LOGIN, position=positions(5)), SNAPSHOT)
    (closed,) = positions(5, positionStatus=model.POSITION_STATUS_CLOSED)
    told(decoder, executed(deal=deal(2, closePositionDetail=closing()), position=closed))
    trailing = api.ProtoOATrailingSLChangedEvent(
        ctidTraderAccountId=LOGIN, positionId=5, orderId=1, stopPrice=1.06, utcLastUpdateTimestamp=MS
    )
    assert told(decoder, trailing) == []
    facts = told(decoder, executed(model.DEPOSIT_WITHDRAW, depositWithdraw=flow()))
    assert facts[-1] == State(LOGIN, 900_00, 900_00, None)


def test_an_execution_between_the_answers_about_an_account_makes_no_snapshot(decoder: CTraderDecoder) -> None:
    worth = api.ProtoOAGetPositionUnrealizedPnLRes(ctidTraderAccountId=LOGIN, moneyDigits=2)
    told(decoder, api.ProtoOAReconcileRes(ctidTraderAccountId=LOGIN), SNAPSHOT)
    told(decoder, executed(deal=deal(1)))
    assert told(decoder, worth, SNAPSHOT) == []
    told(decoder, api.ProtoOAReconcileRes(ctidTraderAccountId=LOGIN), SNAPSHOT)
    (found,) = told(decoder, worth, SNAPSHOT)
    assert isinstance(found, Snapshot) and found.account.equity_minor == 1000_00


def test_a_trailing_stop_moves_and_the_other_level_stays(decoder: CTraderDecoder) -> None:
    position = model.ProtoOAPosition(
        positionId=5,
        tradeData=model.ProtoOATradeData(symbolId=EURUSD, volume=LOT, tradeSide=model.BUY),
        positionStatus=model.POSITION_STATUS_OPEN,
        swap=0,
        stopLoss=1.05,
        takeProfit=1.2,
        utcLastUpdateTimestamp=MS,
    )
    assert told(decoder, executed(model.ORDER_REPLACED, position=position)) == [
        Stops(LOGIN, "5", Decimal("1.05"), Decimal("1.2"), NOW)
    ]
    assert told(decoder, executed(model.ORDER_REPLACED, position=position)) == [], "nothing changed"
    trailing = api.ProtoOATrailingSLChangedEvent(
        ctidTraderAccountId=LOGIN, positionId=5, orderId=1, stopPrice=1.06, utcLastUpdateTimestamp=MS
    )
    assert told(decoder, trailing) == [Stops(LOGIN, "5", Decimal("1.06"), Decimal("1.2"), NOW)]


def flow(**changes: Any) -> model.ProtoOADepositWithdraw:
    fields: dict[str, Any] = {
        "operationType": model.BALANCE_WITHDRAW,
        "balanceHistoryId": 3,
        "balance": 900_00,
        "delta": 100_00,
        "changeBalanceTimestamp": MS,
        "moneyDigits": 2,
    }
    return model.ProtoOADepositWithdraw(**fields | changes)


@pytest.mark.parametrize("delta", [100_00, -100_00])
@pytest.mark.parametrize(
    ("kind", "note_text", "operation", "key", "amount"),
    [
        (model.BALANCE_WITHDRAW, "", "adjustment", "3", -100_00),
        (model.BALANCE_DEPOSIT, "", "deposit", "3", 100_00),
        (model.BALANCE_WITHDRAW_INACTIVITY_FEE, "", "adjustment", "3", -100_00),
        (model.BALANCE_WITHDRAW, "ok PropOS payout_hold pay_1/hold.", "payout_hold", "pay_1/hold.", -100_00),
        (model.BALANCE_DEPOSIT, "PropOS bonus pay_1/hold", "deposit", "3", 100_00),
    ],
)
def test_money_has_the_sign_of_its_kind_and_the_key_of_its_note(
    decoder: CTraderDecoder, kind: int, note_text: str, operation: str, key: str, amount: int, delta: int
) -> None:
    moved = flow(operationType=kind, externalNote=note_text, delta=delta)
    facts = told(decoder, executed(model.DEPOSIT_WITHDRAW, depositWithdraw=moved))
    (money,) = [fact for fact in facts if isinstance(fact, Money)]
    assert (money.operation, money.key, money.amount_minor, money.balance_minor) == (operation, key, amount, 900_00)


def test_all_tries_of_a_step_have_one_note() -> None:
    assert (
        note("payout_hold", "pay_1/hold") == note("payout_hold", "pay_1/hold/try/2") == "PropOS payout_hold pay_1/hold"
    )
    assert read_note(note("payout_hold", "pay_1/hold/try/3")) == ("payout_hold", "pay_1/hold")


def test_the_end_of_what_was_missed_is_said(decoder: CTraderDecoder) -> None:
    assert list(decoder.facts(Message(CAUGHT_UP, b"", NOW))) == [CaughtUp()]


def test_an_account_that_nobody_knows_is_unreadable(decoder: CTraderDecoder) -> None:
    stranger = executed(deal=deal(1))
    stranger.ctidTraderAccountId = 8
    with pytest.raises(Unreadable, match="account 8"):
        told(decoder, stranger)


@pytest.mark.parametrize(
    ("value", "digits", "currency", "minor"),
    [(10_053_000_000, 8, "USD", 100_53), (-100, 2, "USD", -100), (5_000, 1, "JPY", 500), (12, 0, "USD", 12)],
)
def test_money_is_in_minor_units(value: int, digits: int, currency: str, minor: int) -> None:
    assert values.booked(value, digits, currency, "balance") == minor


@pytest.mark.parametrize(
    ("value", "digits", "currency"), [(10_053_099_944, 8, "USD"), (5_001, 1, "JPY"), (1, 40, "USD")]
)
def test_money_that_is_no_whole_number_of_minor_units_is_unreadable(value: int, digits: int, currency: str) -> None:
    with pytest.raises(Unreadable):
        values.booked(value, digits, currency, "balance")


@pytest.mark.parametrize(("volume", "lot_size"), [(0, LOT), (-1, LOT), (LOT, 0), (LOT, 3)])
def test_a_volume_that_is_no_exact_number_of_lots_is_unreadable(volume: int, lot_size: int) -> None:
    with pytest.raises(Unreadable):
        values.lots(volume, lot_size, "volume")


@pytest.mark.parametrize("price", [0.0, -1.1, float("nan"), float("inf")])
def test_a_price_that_cannot_be_is_unreadable(price: float) -> None:
    with pytest.raises(Unreadable):
        values.price(price, "price")


WHOLE: list[tuple[str, Wire]] = [
    *((REFERENCE, message) for message in references()),
    (LIVE, spot(bid=110_000, ask=110_010, timestamp=MS)),
    (LIVE, executed(deal=deal(1, closePositionDetail=closing()), order=order(orderType=model.LIMIT, limitPrice=1.1))),
    (LIVE, executed(model.DEPOSIT_WITHDRAW, depositWithdraw=flow())),
    (SNAPSHOT, api.ProtoOAReconcileRes(ctidTraderAccountId=LOGIN, order=[order(orderType=model.STOP, stopPrice=1.2)])),
    (SNAPSHOT, api.ProtoOAGetPositionUnrealizedPnLRes(ctidTraderAccountId=LOGIN, moneyDigits=2)),
    (
        page_channel("deals", LOGIN, MS),
        api.ProtoOADealListRes(ctidTraderAccountId=LOGIN, deal=[deal(4)], hasMore=False),
    ),
    (
        page_channel("cash", LOGIN, MS),
        api.ProtoOACashFlowHistoryListRes(ctidTraderAccountId=LOGIN, depositWithdraw=[flow()]),
    ),
]


@pytest.mark.parametrize(("channel", "message"), WHOLE, ids=[type(message).DESCRIPTOR.name for _, message in WHOLE])
def test_a_message_cut_anywhere_says_its_beginning_or_is_unreadable(channel: str, message: Wire) -> None:
    whole = body(message)
    for length in range(len(whole)):
        made = CTraderDecoder()
        for reference in references():
            told(made, reference, REFERENCE)
        try:
            list(made.facts(Message(channel, whole[:length], NOW)))
        except Unreadable:
            continue


@given(st.binary(max_size=200), st.sampled_from([LIVE, SNAPSHOT, REFERENCE, "deals/7/1"]))
def test_any_bytes_are_unreadable_or_say_nothing_wrong(data: bytes, channel: str) -> None:
    made = CTraderDecoder()
    for reference in references():
        told(made, reference, REFERENCE)
    try:
        list(made.facts(Message(channel, data, NOW)))
    except Unreadable:
        return


def test_an_unknown_field_is_ignored_and_an_unknown_kind_and_value_are_not(decoder: CTraderDecoder) -> None:
    message = spot(bid=110_000, ask=110_010)
    with_field = api.ProtoOASpotEvent.FromString(message.SerializeToString() + b"\xfa\x3f\x03new")
    assert len(told(decoder, with_field)) == 1
    order_error = api.ProtoOAGetTickDataRes(ctidTraderAccountId=LOGIN, hasMore=False)
    with pytest.raises(Unreadable, match="is not expected"):
        told(decoder, order_error)
    payload = executed(deal=deal(1)).SerializeToString().replace(b"\x18\x03", b"\x18\x7f", 1)  # the executionType
    envelope = ProtoMessage(payloadType=model.PROTO_OA_EXECUTION_EVENT, payload=payload)
    with pytest.raises(Unreadable, match="lacks a required field"):
        list(decoder.facts(Message(LIVE, envelope.SerializeToString(), NOW)))


def test_orders_of_long_ago_are_forgotten(decoder: CTraderDecoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ORDERS_KEPT", 1)
    first = order(orderType=model.STOP, stopPrice=1.2)
    told(decoder, executed(model.ORDER_ACCEPTED, order=first))
    told(decoder, executed(model.ORDER_ACCEPTED, order=order(orderId=500)))
    (fill,) = fills(told(decoder, executed(deal=deal(1))))
    assert fill.reason == "client"


@pytest.mark.parametrize(
    ("code", "key", "error"),
    [
        ("RET_NO_SUCH_LOGIN", None, NotFound),
        ("REQUEST_FREQUENCY_EXCEEDED", "k", Unavailable),
        ("MARKET_CLOSED", "k", Unavailable),
        ("POSITION_LOCKED", "k", InProgress),
        ("TRADING_NOT_ALLOWED", "k", RefusedForGood),
        ("UNKNOWN_ERROR", "k", OutcomeUnknown),
        ("SOMETHING_NEW", "k", OutcomeUnknown),
        ("TRADING_NOT_ALLOWED", None, Unavailable),
        ("SOMETHING_NEW", None, Unavailable),
    ],
)
def test_each_code_is_one_of_the_outcomes(code: str, key: str | None, error: type[Exception]) -> None:
    assert type(outcome(Refusal(code), "cTrader", key=key)) is error
