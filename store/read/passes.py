"""Phases that were passed, with their proof sheets. For staff."""

from datetime import datetime
from functools import cache
from typing import Any, Final

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from store.models import Account, PhasePass, Trader
from store.read import listing
from store.read.finding import Named, of_account
from store.read.listing import EVERYTHING, Asked, Condition, Filter, Listing, Order, since
from store.read.pages import Page, View, Window, account_number
from store.scope import FIRM


class PassView(View):
    id: str
    account_id: str
    account_number: str
    challenge_id: str
    trader_id: str
    trader_name: str
    product: str
    version: int
    phase_index: int
    proof_id: str
    occurred_at: datetime
    balance_minor: int
    currency: str


@cache
def _all() -> Select[Any]:
    return (
        select(PhasePass, Account, Trader.name)
        .join(Account, Account.id == PhasePass.account_id)
        .join(Trader, Trader.id == Account.trader_id)
    )


def _view(row: Any) -> PassView:
    passed: PhasePass = row.PhasePass
    account: Account = row.Account
    return PassView(
        id=passed.id,
        account_id=passed.account_id,
        account_number=account_number(account.number),
        challenge_id=passed.challenge_id,
        trader_id=account.trader_id,
        trader_name=row.name,
        product=account.product,
        version=account.version,
        phase_index=passed.phase_index,
        proof_id=passed.proof_id,
        occurred_at=passed.occurred_at,
        balance_minor=passed.balance_minor,
        currency=account.currency,
    )


def _found(named: Named) -> list[Condition]:
    found: list[Condition] = [PhasePass.account_id.in_(named.owned)] if named.owned else []
    return found


PASSES: Final = Listing(
    name="passes",
    rows=PhasePass,
    owner=None,
    filters={
        "account": Filter("Account", of_account(PhasePass.account_id)),
        "since": Filter("Since", since(PhasePass.occurred_at, "since")),
    },
    orders={"occurred": Order(lambda _: [PhasePass.occurred_at, PhasePass.id])},
    order="-occurred",
    finds=_found,
    searches="account number, login, trader’s name or e-mail address",
)


async def page(session: AsyncSession, window: Window, asked: Asked = EVERYTHING) -> Page[PassView]:
    found = await listing.rows(session, PASSES, _all(), FIRM, window, asked)
    items = tuple(_view(row) for row in found.rows)
    return Page[PassView](items=items, next_cursor=found.next_cursor, previous_cursor=found.previous_cursor)
