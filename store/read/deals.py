"""The deals of all accounts. `store.read.market` reads those of one."""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from store.models import Account, DealRow, Trader
from store.read import listing
from store.read.finding import Named, of_account
from store.read.listing import (
    EVERYTHING,
    UPDATED,
    Asked,
    Condition,
    Filter,
    Listing,
    Order,
    Sum,
    equals,
    since,
    updated_since,
)
from store.read.pages import Page, View, Window, account_number
from store.scope import FIRM


class FirmDeal(View):
    """A fill; lots and price are exact decimals as strings. `total_minor`: what it did to the balance. `id`: the order
    of storage; `deal_id` is the venue's."""

    id: int
    updated_at: datetime
    deal_id: str
    at: datetime
    account_id: str
    account_number: str
    trader_id: str
    trader_name: str
    platform: str
    position_id: str
    symbol: str
    side: str
    entry: str
    lots: str
    price: str
    profit_minor: int
    total_minor: int
    balance_minor: int
    currency: str
    reason: str


_TOTAL: Final = DealRow.profit_minor + DealRow.commission_minor + DealRow.swap_minor + DealRow.fee_minor
_CURRENCY: Final = select(Account.currency).where(Account.id == DealRow.account_id).scalar_subquery()


def _found(named: Named) -> list[Condition]:
    owned = [DealRow.account_id.in_(named.owned)] if named.owned else []
    return [*owned, DealRow.deal_id == named.text]


DEALS: Final = Listing(
    name="deals",
    rows=DealRow,
    owner=None,
    filters={
        "account": Filter("Account", of_account(DealRow.account_id)),
        "side": Filter("Side", equals(DealRow.side), ("buy", "sell")),
        "entry": Filter("Entry", equals(DealRow.entry), ("in", "out")),
        "since": Filter("Since", since(DealRow.at, "since")),
        "updated_since": updated_since(DealRow.updated_at),
    },
    orders={
        "stored": Order(lambda _: [DealRow.id]),
        UPDATED: Order(lambda _: [DealRow.updated_at, DealRow.id]),
    },
    order="-stored",
    finds=_found,
    searches="deal id, account number, login, trader’s name or e-mail address",
    sums=(Sum("Net result", _TOTAL, _CURRENCY),),
)


def _statement() -> Select[Any]:
    return (
        select(
            DealRow,
            Account.number,
            Account.platform,
            Account.currency,
            Account.trader_id,
            Trader.name.label("trader_name"),
        )
        .join(Account, Account.id == DealRow.account_id)
        .join(Trader, Trader.id == Account.trader_id)
    )


def _view(row: Any) -> FirmDeal:
    deal: DealRow = row.DealRow
    return FirmDeal(
        id=deal.id,
        updated_at=deal.updated_at,
        deal_id=deal.deal_id,
        at=deal.at,
        account_id=deal.account_id,
        account_number=account_number(row.number),
        trader_id=row.trader_id,
        trader_name=row.trader_name,
        platform=row.platform,
        position_id=deal.position_id,
        symbol=deal.symbol,
        side=deal.side,
        entry=deal.entry,
        lots=f"{deal.lots.normalize():f}",
        price=f"{deal.price.normalize():f}",
        profit_minor=deal.profit_minor,
        total_minor=deal.profit_minor + deal.commission_minor + deal.swap_minor + deal.fee_minor,
        balance_minor=deal.balance_minor,
        currency=row.currency,
        reason=deal.reason,
    )


async def page(session: AsyncSession, window: Window, asked: Asked = EVERYTHING) -> Page[FirmDeal]:
    """For staff. Newest first."""
    found = await listing.rows(session, DEALS, _statement(), FIRM, window, asked)
    items = tuple(_view(row) for row in found.rows)
    return Page[FirmDeal](items=items, next_cursor=found.next_cursor, previous_cursor=found.previous_cursor)
