"""The whole history of an account as deals of the port."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from adapters.ctrader import accounts
from adapters.ctrader.fills import fills, money
from adapters.ctrader.history import Page
from adapters.ctrader.symbols import Symbols
from ports.platform import Deal
from ports.venue import Fill, Money
from wire.ctrader.OpenApiMessages_pb2 import (
    ProtoOACashFlowHistoryListRes,
    ProtoOADealListRes,
    ProtoOAOrderDetailsRes,
    ProtoOAOrderListRes,
)
from wire.ctrader.OpenApiModelMessages_pb2 import ProtoOAOrder, ProtoOATrader

# The fields that a fill and a deal share.
_SHARED: Final = (
    *("login", "position_id", "symbol", "side", "lots", "price", "entry", "at", "commission_minor", "swap_minor"),
    *("fee_minor", "reason", "expert_id", "comment", "stop_loss", "take_profit"),
)


def told_deals(pages: Sequence[Page], login: int, trader: ProtoOATrader, symbols: Symbols) -> list[Deal]:
    """Returns the deals in the pages, oldest first, each with the balance after it. Raises Unreadable."""
    currency = accounts.currency_of(trader, symbols)
    happened = sorted(_facts(pages, login, currency, symbols), key=lambda fact: fact.at)
    deals: list[Deal] = []
    balance = 0
    for fact in happened:
        if isinstance(fact, Money):
            balance += fact.amount_minor
            continue
        profit = fact.profit_minor or 0
        balance += profit + fact.commission_minor + fact.swap_minor + fact.fee_minor
        shared: dict[str, Any] = {name: getattr(fact, name) for name in _SHARED}
        deals.append(
            Deal(seq=len(deals) + 1, deal_id=fact.fill_id, profit_minor=profit, balance_minor=balance, **shared)
        )
    return deals


def _facts(pages: Sequence[Page], login: int, currency: str, symbols: Symbols) -> Iterator[Fill | Money]:
    orders: dict[int, ProtoOAOrder] = {}
    for page in pages:
        if isinstance(page.answer.message, ProtoOAOrderListRes):
            orders |= {order.orderId: order for order in page.answer.message.order}
        elif isinstance(page.answer.message, ProtoOAOrderDetailsRes):
            orders[page.answer.message.order.orderId] = page.answer.message.order
    for page in pages:
        if isinstance(page.answer.message, ProtoOADealListRes):
            for deal in page.answer.message.deal:
                yield from fills(deal, login, currency, symbols, orders.get(deal.orderId))
        elif isinstance(page.answer.message, ProtoOACashFlowHistoryListRes):
            for flow in page.answer.message.depositWithdraw:
                yield money(flow, login, currency)
