"""An account as the venue states it in three answers: itself, its positions, and what they are worth."""

from collections.abc import Sequence

from google.protobuf.message import Message

from adapters.ctrader import values
from adapters.ctrader.messages import expect
from adapters.ctrader.symbols import Symbols
from ports.platform import AccountSnapshot, PositionState
from wire.ctrader.OpenApiMessages_pb2 import (
    ProtoOAGetPositionUnrealizedPnLReq,
    ProtoOAGetPositionUnrealizedPnLRes,
    ProtoOAReconcileReq,
    ProtoOAReconcileRes,
    ProtoOATraderReq,
    ProtoOATraderRes,
)
from wire.ctrader.OpenApiModelMessages_pb2 import FULL_ACCESS, POSITION_STATUS_OPEN, ProtoOAPosition, ProtoOATrader


def questions(account: int) -> list[Message]:
    """What is asked about an account: itself, its positions and pending orders, what the positions are worth."""
    return [
        ProtoOATraderReq(ctidTraderAccountId=account),
        ProtoOAReconcileReq(ctidTraderAccountId=account),
        ProtoOAGetPositionUnrealizedPnLReq(ctidTraderAccountId=account),
    ]


def snapshot(answers: Sequence[Message], symbols: Symbols) -> AccountSnapshot:
    """`answers`: to the questions. Raises Unreadable."""
    trader, positions, worth = answers
    return snapshot_of(
        expect(trader, ProtoOATraderRes).trader,
        expect(positions, ProtoOAReconcileRes),
        expect(worth, ProtoOAGetPositionUnrealizedPnLRes),
        symbols,
    )


def currency_of(trader: ProtoOATrader, symbols: Symbols) -> str:
    """Raises Unreadable."""
    return values.known(symbols.currency(trader.depositAssetId))


def balance_of(trader: ProtoOATrader, symbols: Symbols) -> int:
    """Raises Unreadable."""
    return values.booked(trader.balance, trader.moneyDigits, currency_of(trader, symbols), "balance")


def snapshot_of(
    trader: ProtoOATrader,
    positions: ProtoOAReconcileRes,
    worth: ProtoOAGetPositionUnrealizedPnLRes,
    symbols: Symbols,
) -> AccountSnapshot:
    """The equity is the balance and what the positions are worth now, after swap and commission so far. Raises
    Unreadable."""
    currency, balance = currency_of(trader, symbols), balance_of(trader, symbols)
    net = sum(each.netUnrealizedPnL for each in worth.positionUnrealizedPnL)
    return AccountSnapshot(
        login=trader.ctidTraderAccountId,
        currency=currency,
        balance_minor=balance,
        equity_minor=balance + values.floating(net, worth.moneyDigits, currency, "netUnrealizedPnL"),
        trading_enabled=trader.accessRights == FULL_ACCESS,
        positions=tuple(_position(each, symbols) for each in positions.position if is_open(each)),
        seq=0,
    )


def is_open(position: ProtoOAPosition) -> bool:
    return position.positionStatus == POSITION_STATUS_OPEN and position.tradeData.volume > 0


def _position(position: ProtoOAPosition, symbols: Symbols) -> PositionState:
    data = position.tradeData
    return PositionState(
        position_id=str(position.positionId),
        symbol=symbols.name(data.symbolId),
        side=values.side(data.tradeSide),
        lots=values.lots(data.volume, symbols.lot_size(data.symbolId), "volume"),
        open_price=values.price(position.price, "price"),
        opened_at=values.at(data.openTimestamp, "openTimestamp"),
    )
