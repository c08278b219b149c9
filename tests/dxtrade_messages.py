"""One good message of each kind that the feed of DXtrade tells."""

from datetime import UTC, datetime
from typing import Any, Final

from adapters.dxtrade import decode

NOW: Final = datetime(2026, 11, 27, 12, tzinfo=UTC)
LOGIN: Final = 100000000000007
NAME: Final = f"default:{LOGIN}"
AT: Final = "2026-11-27T11:59:58.250Z"

INSTRUMENTS: Final = {
    "instruments": [
        {"symbol": "EURUSD", "currency": "USD", "lotSize": 100000.0, "multiplier": 1.0, "priceIncrement": 0.00001},
        {"symbol": "USDJPY", "currency": "JPY", "lotSize": 100000.0, "priceIncrement": 0.001},
    ]
}
ACCOUNT: Final[dict[str, Any]] = {
    "clearingCode": "default",
    "accountCode": str(LOGIN),
    "status": "FULL_TRADING",
    "currency": "USD",
    "metadata": {"proposSettled": "pay_1@2026-11-26T10:00:00.000+00:00"},
}
METRICS: Final = {"metrics": [{"account": NAME, "version": 5, "equity": 1010.005, "balance": 1000.0}]}
POSITION: Final[dict[str, Any]] = {
    "account": NAME,
    "version": 4,
    "positionCode": "31",
    "symbol": "EURUSD",
    "quantity": 150000.0,
    "side": "BUY",
    "openTime": AT,
    "lastUpdateTime": AT,
    "openPrice": 1.1,
    "stopLossPrice": 1.09,
}
PORTFOLIO: Final[dict[str, Any]] = {
    "portfolios": [
        {
            "account": NAME,
            "version": 5,
            "balances": [{"account": NAME, "version": 5, "value": 1000.0, "currency": "USD"}],
            "positions": [POSITION],
            "orders": [],
        }
    ]
}
CLOSING: Final[dict[str, Any]] = {
    "account": NAME,
    "version": 6,
    "orderId": 40,
    "orderCode": "40",
    "clientOrderId": "web-1",
    "type": "MARKET",
    "instrument": "EURUSD",
    "status": "COMPLETED",
    "side": "SELL",
    "legs": [{"instrument": "EURUSD", "positionEffect": "CLOSE", "positionCode": "31", "side": "SELL", "quantity": 1}],
    "issueTime": AT,
    "transactionTime": AT,
    "executions": [
        {"executionCode": "E41", "version": 6, "lastQuantity": 50000.0, "lastPrice": 1.2, "transactionTime": AT}
    ],
    "cashTransactions": [
        {"transactionCode": "T1", "tradeCode": "E41", "type": "SETTLEMENT", "value": 5000.0, "currency": "USD"},
        {"transactionCode": "T2", "tradeCode": "E41", "type": "COMMISSION", "value": -3.5, "currency": "USD"},
        {"transactionCode": "T3", "tradeCode": "E41", "type": "FINANCING", "value": -0.25, "currency": "USD"},
        {"transactionCode": "T4", "tradeCode": "E41", "type": "COST", "value": -1, "currency": "USD"},
    ],
}
DEPOSIT: Final[dict[str, Any]] = {
    "account": NAME,
    "transferCode": "C9",
    "comment": "PH:pay_1",
    "transactionTime": AT,
    "cashTransactions": [{"transactionCode": "T9", "type": "WITHDRAWAL", "value": -200.0, "currency": "USD"}],
}


def pushed(kind: str, payload: Any, **more: Any) -> dict[str, Any]:
    return {"type": kind, "requestId": "1", "timestamp": AT, "session": "-", "payload": payload, **more}


QUOTE: Final[dict[str, Any]] = {"type": "Quote", "symbol": "EURUSD", "bid": 1.1, "ask": 2, "time": AT}
QUOTES: Final = pushed("MarketData", {"events": [QUOTE]})
EVENT: Final = {"account": NAME, "eventType": "MARGIN_CALL"}

# One of each kind of message, behind those that a connection begins with.
MESSAGES: Final[dict[str, tuple[str, Any]]] = {
    "instruments": (decode.INSTRUMENTS, INSTRUMENTS),
    "accounts": (decode.ACCOUNTS, [ACCOUNT]),
    "tradable": (decode.TRADABLE, {"instrumentDetails": [{"symbol": "EURUSD", "tradingStatus": "NO"}]}),
    "metrics": (decode.METRICS, METRICS),
    "portfolios": (decode.PORTFOLIOS, PORTFOLIO),
    "since": (decode.SINCE, {"orders": "2026-11-27T11:59:58.250+00:00"}),
    "stops": (decode.STOPS, PORTFOLIO),
    "orders": (decode.ORDERS, {"orders": [CLOSING]}),
    "transfers": (decode.TRANSFERS, {"cashTransfers": [DEPOSIT]}),
    "clock": (decode.CLOCK, {"at": "2026-11-27T12:00:00+00:00"}),
    "quotes": (decode.QUOTED, QUOTES),
    "states": (decode.PUSHED, pushed("AccountMetrics", METRICS)),
    "pushed portfolios": (decode.PUSHED, pushed("AccountPortfolios", PORTFOLIO)),
    "pushed transfers": (decode.PUSHED, pushed("CashTransfers", {"cashTransfers": [DEPOSIT]})),
    "ping": (decode.PUSHED, pushed("PingRequest", None)),
    "events": (
        decode.PUSHED,
        pushed("AccountEvents", {"accountEvents": [EVENT]}),
    ),
}
