"""The deals of all accounts. `store.read.market` reads those of one."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import FromClause, Select, select, true, union_all
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from store.models import Account, DealRow, Trader
from store.read.finding import Named, accounts_of, named, of_account
from store.read.listing import (
    EVERYTHING,
    LONGEST,
    UPDATED,
    Asked,
    Condition,
    Filter,
    Listing,
    Order,
    Sum,
    conditions,
    equals,
    order_of,
    since,
    updated_since,
)
from store.read.pages import Page, View, Window, account_number, beside, both_ways, bound_of, cut, goes_back, size_of
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


def _with_owners(near: type[DealRow]) -> Select[Any]:
    return (
        select(
            near,
            Account.number,
            Account.platform,
            Account.currency,
            Account.trader_id,
            Trader.name.label("trader_name"),
        )
        .join(Account, Account.id == near.account_id)
        .join(Trader, Trader.id == Account.trader_id)
    )


def _view(row: Any) -> FirmDeal:
    deal: DealRow = row.deal
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
    order, descending = order_of(DEALS, asked)
    keys = order.keys(descending)
    near = aliased(DealRow, await _near(session, window, asked, keys, descending), name="deal")
    of_near = [getattr(near, key.key) for key in keys]
    found = await both_ways(session, _with_owners(near), of_near, window, descending=descending)
    items = tuple(_view(row) for row in found.rows)
    return Page[FirmDeal](items=items, next_cursor=found.next_cursor, previous_cursor=found.previous_cursor)


async def _near(
    session: AsyncSession, window: Window, asked: Asked, keys: Sequence[Any], descending: bool
) -> FromClause:
    """The deals that the page is cut from, as few as can be: the first ones of all, or of each account that is asked
    for. So no page reads all deals of a busy account."""
    rest = replace(asked, search="", filters={**asked.filters, "account": ""})
    every = select(DealRow).where(*await conditions(session, DEALS, FIRM, rest))
    account, text = asked.filters.get("account", ""), asked.search.strip()[:LONGEST]
    of_one: list[Condition] = [DEALS.filters["account"].where(account)] if account else []
    accounts = accounts_of(account) if account else None
    parts = list[Select[Any]]()
    if text:
        found = await named(session, FIRM, text)
        parts.append(beside(every.where(DealRow.deal_id == found.text, *of_one), keys, window, descending=descending))
        wanted = select(Account.id).where(Account.id.in_(found.owned))
        accounts = wanted if accounts is None else wanted.where(Account.id.in_(accounts))
    elif accounts is None:
        return beside(every, keys, window, descending=descending).subquery("near")
    if accounts is not None:
        parts.append(_of_each(accounts, every, keys, window, downwards=descending is not goes_back(window)))
    return union_all(*(part.subquery().select() for part in parts)).subquery("near")


def _of_each(
    accounts: Select[Any], every: Select[Any], keys: Sequence[Any], window: Window, *, downwards: bool
) -> Select[Any]:
    """The first deals of each account. In the order of storage they come from the index of accounts and ids."""
    each = accounts.subquery("each")
    bound: list[Any] = bound_of(window, [key.type.python_type for key in keys])
    by_account = len(keys) == 1
    if by_account:  # a range of one account: of an equal one PostgreSQL expects few deals, reads all, and sorts them
        of_each = every.where(DealRow.account_id.between(each.c.id, each.c.id))
        keys, bound = [DealRow.account_id, *keys], [each.c.id, *bound] if bound else []
    else:
        of_each = every.where(DealRow.account_id == each.c.id)
    first = cut(of_each, keys, bound, size_of(window), downwards=downwards).lateral("first")
    return select(first).select_from(each).join(first, true())
