"""Search: anything by id, an account by number, a trader by exact e-mail address."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, false, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from store import crypto
from store.models import Account, Breach, Challenge, Proof, Trader
from store.read.pages import View, account_number
from store.scope import Scope

_ID: Final = re.compile(r"([a-z]{3})_[0-9a-z]{26}")
_NUMBER: Final = re.compile(r"(?:a-)?([0-9]{5,12})", re.IGNORECASE)


class Hit(View):
    """One match. `label` is its name for people."""

    kind: str
    id: str
    label: str


@dataclass(frozen=True)
class Findable:
    """Rows that are found by their id. `visible` returns the condition for those that may be seen in a scope."""

    prefix: str
    model: Any
    visible: Callable[[Scope], ColumnElement[bool]]


def to_staff(scope: Scope) -> ColumnElement[bool]:
    """The condition for rows that staff alone may see."""
    return true() if scope.staff else false()


async def search(session: AsyncSession, scope: Scope, text: str, findable: Mapping[str, Findable]) -> tuple[Hit, ...]:
    """Exact matches within `scope`; what belongs to somebody else is not found. `findable`: the kinds of rows beside
    traders, accounts, challenges, breaches and proofs."""
    wanted = text.strip()
    if match := _ID.fullmatch(wanted.lower()):
        return await _by_id(session, scope, match.group(1), wanted.lower(), findable)
    if match := _NUMBER.fullmatch(wanted):
        found = await session.execute(
            select(Account.id, Account.number).where(
                Account.number == int(match.group(1)), scope.own(Account.trader_id)
            )
        )
        return tuple(Hit(kind="account", id=row.id, label=account_number(row.number)) for row in found)
    if "@" in wanted:
        indexes = crypto.keys().blind_indexes(wanted)
        traders = await session.execute(
            select(Trader.id, Trader.name).where(Trader.email_index.in_(indexes), scope.own(Trader.id))
        )
        return tuple(Hit(kind="trader", id=row.id, label=row.name) for row in traders)
    return ()


async def _by_id(
    session: AsyncSession, scope: Scope, prefix: str, wanted: str, findable: Mapping[str, Findable]
) -> tuple[Hit, ...]:
    if prefix == "trd":
        traders = await session.execute(select(Trader.id, Trader.name).where(Trader.id == wanted, scope.own(Trader.id)))
        return tuple(Hit(kind="trader", id=row.id, label=row.name) for row in traders)
    if prefix == "acc":
        accounts = await session.execute(
            select(Account.id, Account.number).where(Account.id == wanted, scope.own(Account.trader_id))
        )
        return tuple(Hit(kind="account", id=row.id, label=account_number(row.number)) for row in accounts)
    for kind, rows in (*_FINDABLE.items(), *findable.items()):
        if rows.prefix == prefix:
            found = await session.scalar(select(rows.model.id).where(rows.model.id == wanted, rows.visible(scope)))
            return (Hit(kind=kind, id=found, label=found),) if found else ()
    return ()


def _of_account(scope: Scope, account_id: Any) -> ColumnElement[bool]:
    condition: ColumnElement[bool] = account_id.in_(select(Account.id).where(scope.own(Account.trader_id)))
    return condition


_FINDABLE: Final = {
    "challenge": Findable("chl", Challenge, lambda scope: scope.own(Challenge.trader_id)),
    "breach": Findable("brc", Breach, lambda scope: _of_account(scope, Breach.account_id)),
    "proof": Findable("prf", Proof, lambda scope: _of_account(scope, Proof.account_id)),
}
