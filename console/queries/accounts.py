"""The accounts list: live money and rooms, sorted and filtered by any of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from console.views.account import AccountRow, Room
from domain.errors import NotFound
from domain.money import Money
from domain.products.phase_terms import compile_phase
from domain.products.product import Product
from domain.rules.evaluate import has_level
from domain.rules.room import is_daily
from domain.rules.state import fresh, from_json
from store import products
from store.models import Account, AccountLive, Challenge, Trader
from store.read import listing
from store.read.accounts import ACCOUNTS, called
from store.read.listing import Asked
from store.read.pages import Page, Window, account_number
from store.scope import Scope


@dataclass(frozen=True)
class Shelf:
    """Every version ever sold."""

    products: Mapping[tuple[str, int], Product]

    @property
    def names(self) -> list[str]:
        return sorted({product for product, _ in self.products})


async def shelf(session: AsyncSession) -> Shelf:
    return Shelf(await products.every(session))


def _statement(scope: Scope) -> Select[Any]:
    return (
        select(Account, AccountLive, Challenge.state.label("challenge_state"), Trader.name.label("trader"))
        .join(Challenge, Challenge.id == Account.challenge_id)
        .join(Trader, Trader.id == Account.trader_id)
        .outerjoin(AccountLive, AccountLive.account_id == Account.id)
        .where(scope.own(Account.trader_id))
    )


async def page(session: AsyncSession, scope: Scope, window: Window, asked: Asked, sold: Shelf) -> Page[AccountRow]:
    found = await listing.rows(session, ACCOUNTS, _statement(scope), scope, window, asked)
    items = tuple(_row(row, sold) for row in found.rows)
    return Page[AccountRow](items=items, next_cursor=found.next_cursor, previous_cursor=found.previous_cursor)


async def these(session: AsyncSession, scope: Scope, numbers: Sequence[int], sold: Shelf) -> list[AccountRow]:
    """The same accounts again, in the same order: a live refresh moves no row."""
    rows = await session.execute(_statement(scope).where(Account.number.in_(numbers)))
    found = {row.Account.number: _row(row, sold) for row in rows}
    return [found[number] for number in numbers if number in found]


async def of_trader(session: AsyncSession, scope: Scope, trader_id: str, sold: Shelf) -> list[AccountRow]:
    """All accounts of one trader, newest first."""
    rows = await session.execute(
        _statement(scope).where(Account.trader_id == trader_id).order_by(Account.number.desc()).limit(100)
    )
    return [_row(row, sold) for row in rows]


def _row(row: Any, sold: Shelf) -> AccountRow:
    account: Account = row.Account
    live: AccountLive | None = row.AccountLive
    terms = sold.products[account.product, account.version]
    rooms = _rooms(account, live, terms) if account.status == "active" else []

    def money(minor: int) -> Money:
        return Money(minor=minor, currency=account.currency)

    return AccountRow(
        account_id=account.id,
        number=account_number(account.number),
        platform=account.platform,
        trader_id=account.trader_id,
        trader=row.trader,
        product=terms.name,
        phase=terms.phase(account.phase_index).name,
        status=account.status,
        challenge_state=row.challenge_state,
        balance=money(live.balance_minor) if live else None,
        equity=money(live.equity_minor) if live else None,
        daily=_closest([room for room in rooms if room.daily]),
        total=_closest([room for room in rooms if not room.daily]),
        closest=_closest(rooms),
        at=live.at if live else None,
    )


def _rooms(account: Account, live: AccountLive | None, terms: Product) -> list[Room]:
    found = []
    specs = compile_phase(terms.phase(account.phase_index), account.initial_minor, account.currency)
    rules = from_json(specs, live.rule_state["rules"]) if live else fresh(specs)
    for spec, state in zip(rules.specs, rules.states, strict=True):
        floor = (live.floors if live else {}).get(spec.key)
        if floor is None or not has_level(spec, state):
            continue
        found.append(
            Room(
                rule_id=spec.key,
                daily=is_daily(spec),
                room=Money(minor=int(floor["room_minor"]), currency=account.currency),
                floor=Money(minor=int(floor["floor_minor"]), currency=account.currency),
                share=max(0.0, int(floor["room_minor"]) / spec.allowance_of(state)),
            )
        )
    return found


def _closest(rooms: Sequence[Room]) -> Room | None:
    return min(rooms, key=lambda room: room.room.minor, default=None)


async def id_of(session: AsyncSession, scope: Scope, ref: str) -> str:
    """The account behind "A-10001" or an account id; raises NotFound."""
    found = await session.scalar(select(Account.id).where(called(ref), scope.own(Account.trader_id)))
    if found is None:
        raise NotFound
    return found
