"""The accounts list: live money and rooms, sorted and filtered by any of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, Select, cast, func, literal, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from console.views.account import AccountRow, Room
from domain.errors import BadInput, NotFound
from domain.money import Money
from domain.products.phase_terms import compile_phase
from domain.products.product import Product
from domain.rules.evaluate import has_level
from domain.rules.floors import FloorSpec
from domain.rules.state import fresh, from_json
from store.models import Account, AccountLive, Challenge, ProductVersion, Trader
from store.read.pages import Window, account_number, keyset
from store.scope import Scope

_NOWHERE: Final = 2**62
SORTS: Final = ("number", "equity", "daily", "total", "closest")


@dataclass(frozen=True)
class Filters:
    """Empty means all."""

    state: str = ""
    product: str = ""
    status: str = ""
    platform: str = ""

    @property
    def params(self) -> dict[str, str]:
        return {"state": self.state, "product": self.product, "status": self.status, "platform": self.platform}

    @property
    def any(self) -> bool:
        return any(self.params.values())


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


def _room(rules: Sequence[tuple[str, int, int, str]] | None) -> ColumnElement[int]:
    """The smallest room among these rules (all: None). Accounts without one are sorted as if far from every floor."""
    floor = func.jsonb_each(AccountLive.floors).table_valued("key", "value").render_derived()
    smallest = select(func.min(cast(floor.c.value.op("->>")("room_minor"), BigInteger)))
    if rules is not None:
        rule = tuple_(Account.product, Account.version, Account.phase_index, floor.c.key)
        smallest = smallest.where(rule.in_(rules))
    return func.coalesce(smallest.scalar_subquery(), literal(_NOWHERE, BigInteger), type_=BigInteger)


def _keys(sort: str, sold: Shelf) -> list[Any]:
    number = Account.number
    if sort == "number":
        return [number]
    if sort == "equity":
        return [func.coalesce(AccountLive.equity_minor, literal(-1, BigInteger), type_=BigInteger), number]
    if sort in SORTS:
        rules = None if sort == "closest" else sold.rules(daily=sort == "daily")
        return [_room(rules), number]
    raise BadInput(f"Accounts cannot be sorted by {sort!r}.", field="sort", remedy=f"Use one of {', '.join(SORTS)}.")


def _statement(scope: Scope) -> Select[Any]:
    return (
        select(Account, AccountLive, Challenge.state.label("challenge_state"), Trader.name.label("trader"))
        .join(Challenge, Challenge.id == Account.challenge_id)
        .join(Trader, Trader.id == Account.trader_id)
        .outerjoin(AccountLive, AccountLive.account_id == Account.id)
        .where(scope.own(Account.trader_id))
    )


async def page(
    session: AsyncSession, scope: Scope, window: Window, filters: Filters, order: str, sold: Shelf
) -> tuple[list[AccountRow], str | None]:
    """One page in `order` (a name of SORTS, with a leading minus for descending) and the next cursor."""
    statement = _statement(scope)
    wanted = (
        (Challenge.state, filters.state),
        (Account.product, filters.product),
        (Account.status, filters.status),
        (Account.platform, filters.platform),
    )
    for column, value in wanted:
        if value:
            statement = statement.where(column == value)
    keys = _keys(order.removeprefix("-"), sold)
    rows, cursor = await keyset(session, statement, keys, window, descending=order.startswith("-"))
    return [_row(row, sold) for row in rows], cursor


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
    rooms = _rooms(account, live, terms)

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
