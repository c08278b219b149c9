"""Objects of the fake as the WebAPI shows them: every value is a text."""

from decimal import Decimal
from typing import Any

from ports.platform import SymbolSpec
from sandbox.mt5 import values
from sandbox.mt5.state import Deal, Order, Position, State, User


def money(amount: Decimal) -> str:
    return f"{amount:.2f}"


def user(found: User) -> dict[str, Any]:
    return {**found.record, "Balance": money(found.balance), "Credit": money(found.credit)}


def account(state: State, login: int) -> dict[str, Any]:
    found = state.users[login]
    equity = state.equity(login)
    return {
        "Login": str(login),
        "CurrencyDigits": "2",
        "Balance": money(found.balance),
        "Credit": money(found.credit),
        "Margin": "0.00",
        "MarginFree": money(equity),
        "MarginLevel": "0.00",
        "MarginLeverage": str(found.record["Leverage"]),
        "Profit": money(equity - found.balance - found.credit),
        "Storage": "0.00",
        "Floating": money(equity - found.balance - found.credit),
        "Equity": money(equity),
    }


def position(state: State, found: Position) -> dict[str, Any]:
    bid, ask = state.quote(found.symbol)
    spec = state.specs[found.symbol]
    return {
        "Position": str(found.ticket),
        "ExternalID": "",
        "Login": str(found.login),
        "Dealer": "0",
        "Symbol": found.symbol,
        "Action": str(found.action),
        "Digits": str(spec.digits),
        "ContractSize": str(spec.contract_size),
        "TimeCreate": str(found.at // 1000),
        "TimeUpdate": str(found.changed // 1000),
        "TimeCreateMsc": str(found.at),
        "TimeUpdateMsc": str(found.changed),
        "PriceOpen": str(found.price),
        "PriceCurrent": str(bid if found.action == values.BUY else ask),
        "PriceSL": str(found.stop_loss),
        "PriceTP": str(found.take_profit),
        "Volume": str(found.volume // values.LOTS),
        "VolumeExt": str(found.volume),
        "Profit": money(state.profit(found)),
        "Storage": "0.00",
        "Comment": "",
    }


def order(state: State, found: Order) -> dict[str, Any]:
    left = found.volume if found.state == values.ORDER_PLACED else 0
    return {
        "Order": str(found.ticket),
        "Login": str(found.login),
        "Symbol": found.symbol,
        "Digits": str(state.specs[found.symbol].digits),
        "State": str(found.state),
        "TimeSetup": str(found.at // 1000),
        "TimeSetupMsc": str(found.at),
        "TimeDone": str(found.done // 1000),
        "TimeDoneMsc": str(found.done),
        "Type": str(found.type),
        "PriceOrder": str(found.price),
        "VolumeInitial": str(found.volume // values.LOTS),
        "VolumeInitialExt": str(found.volume),
        "VolumeCurrent": str(left // values.LOTS),
        "VolumeCurrentExt": str(left),
        "PositionID": "0",
        "Comment": "",
    }


def deal(state: State, found: Deal) -> dict[str, Any]:
    digits = state.specs[found.symbol].digits if found.symbol else 0
    return {
        "Deal": str(found.ticket),
        "ExternalID": "",
        "Login": str(found.login),
        "Dealer": "0",
        "Order": str(found.order),
        "Action": str(found.action),
        "Entry": str(found.entry),
        "Reason": str(found.reason),
        "Digits": str(digits),
        "DigitsCurrency": "2",
        "Time": str(found.at // 1000),
        "TimeMsc": str(found.at),
        "Symbol": found.symbol,
        "Price": str(found.price),
        "PriceSL": str(found.stop_loss),
        "PriceTP": str(found.take_profit),
        "Volume": str(found.volume // values.LOTS),
        "VolumeExt": str(found.volume),
        "VolumeClosed": str(found.closed // values.LOTS),
        "VolumeClosedExt": str(found.closed),
        "Profit": money(found.profit),
        "Storage": money(found.storage),
        "Commission": money(found.commission),
        "Fee": money(found.fee),
        "ExpertID": str(found.expert),
        "PositionID": str(found.position),
        "Comment": found.comment,
        "MarketBid": str(found.bid),
        "MarketAsk": str(found.ask),
    }


def symbol(spec: SymbolSpec) -> dict[str, Any]:
    return {
        "Symbol": spec.symbol,
        "Path": f"Demo\\{spec.symbol}",
        "Digits": str(spec.digits),
        "CurrencyBase": spec.symbol[:3],
        "CurrencyProfit": spec.quote_currency,
        "CurrencyMargin": spec.quote_currency,
        "ContractSize": str(spec.contract_size),
        "TradeMode": "4",
    }


def quote(state: State, name: str) -> dict[str, Any]:
    bid, ask, at = state.quotes[name]
    return {
        "Symbol": name,
        "Digits": str(state.specs[name].digits),
        "Bid": str(bid),
        "Ask": str(ask),
        "Last": "0.00000",
        "Volume": "0",
        "Datetime": str(at // 1000),
        "DatetimeMsc": str(at),
    }
