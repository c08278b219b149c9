"""The accounts list: live money and rooms, sorted and filtered by any of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, Select, case, cast, func, literal, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from console.views.account import AccountRow, Room
from domain.errors import NotFound
from domain.money import Money
from domain.products.phase_terms import compile_phase
from domain.products.product import Product
from domain.rules.evaluate import has_level
from domain.rules.floors import FloorSpec
from domain.rules.state import fresh, from_json
from store.models import Account, AccountLive, Challenge, ProductVersion, Trader
from store.read import listing
from store.read.accounts import ACCOUNTS
from store.read.listing import Asked, Listing, Order
from store.read.pages import Page, Window, account_number
from store.scope import Scope

_NOWHERE: Final = 2**62


@dataclass(frozen=True)
class Shelf:
    """Every version ever sold."""

    products: Mapping[tuple[str, int], Product]

    def rules(self, *, daily: bool) -> list[tuple[str, int, int, str]]:
        """(product, version, phase index, rule id) of every floor that is set anew each day, or of all others."""
        return [
            (*sold, index, spec.key)
            for sold, product in self.products.items()
            for index in range(1, len(product.phases) + 2)
            for spec in compile_phase(product.phase(index), product.initial_of(index), product.currency)
            if is_daily(spec) is daily
        ]

    @property
    def names(self) -> list[str]:
        return sorted({product for product, _ in self.products})


def is_daily(spec: FloorSpec) -> bool:
    """Whether the floor is set anew at each daily reset. The columns and the sort order "daily" and "total" both use
    this."""
    return spec.begins_anew and spec.period == "day"


async def shelf(session: AsyncSession) -> Shelf:
    rows = await session.scalars(select(ProductVersion))
    return Shelf({(row.product, row.version): Product.model_validate(row.terms) for row in rows})


def _room(rules: Sequence[tuple[str, int, int, str]] | None, nowhere: int) -> ColumnElement[int]:
    """The smallest room among these rules (all: None) of an account that trades; `nowhere` for every other account."""
    floor = func.jsonb_each(AccountLive.floors).table_valued("key", "value").render_derived()
    smallest = select(func.min(cast(floor.c.value.op("->>")("room_minor"), BigInteger)))
    if rules is not None:
        rule = tuple_(Account.product, Account.version, Account.phase_index, floor.c.key)
        smallest = smallest.where(rule.in_(rules))
    room = case((Account.status == "active", smallest.scalar_subquery()))
    return func.coalesce(room, literal(nowhere, BigInteger), type_=BigInteger)


def _closest_by(rules: Sequence[tuple[str, int, int, str]] | None) -> Order:
    """Accounts without room, such as those that have ended, come last, whichever way it goes."""

    def keys(descending: bool) -> list[Any]:
        return [_room(rules, -_NOWHERE if descending else _NOWHERE), Account.number]

    return Order(keys, closest_first=True)


def listing_of(sold: Shelf) -> Listing:
    """The list with the orders by room, which depend on the rules of every version sold."""
    rooms = {
        "daily": _closest_by(sold.rules(daily=True)),
        "total": _closest_by(sold.rules(daily=False)),
        "closest": _closest_by(None),
    }
    return replace(ACCOUNTS, orders={**ACCOUNTS.orders, **rooms})


def _statement(scope: Scope) -> Select[Any]:
    return (
        select(Account, AccountLive, Challenge.state.label("challenge_state"), Trader.name.label("trader"))
        .join(Challenge, Challenge.id == Account.challenge_id)
        .join(Trader, Trader.id == Account.trader_id)
        .outerjoin(AccountLive, AccountLive.account_id == Account.id)
        .where(scope.own(Account.trader_id))
    )


async def page(session: AsyncSession, scope: Scope, window: Window, asked: Asked, sold: Shelf) -> Page[AccountRow]:
    found = await listing.rows(session, listing_of(sold), _statement(scope), scope, window, asked)
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
    digits = ref.upper().removeprefix("A-")
    named = Account.number == int(digits) if digits.isdecimal() and len(digits) <= 12 else Account.id == ref
    found = await session.scalar(select(Account.id).where(named, scope.own(Account.trader_id)))
    if found is None:
        raise NotFound
    return found
