"""Search: anything by id, an account by number, a trader by exact e-mail address."""

import re
from typing import Any, Final

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession

from store import crypto
from store.models import Account, Breach, Case, Challenge, Dispute, Payout, Proof, Review, Ticket, Trader
from store.read.pages import Scope, View, account_number

_ID: Final = re.compile(r"([a-z]{3})_[0-9a-z]{26}")
_NUMBER: Final = re.compile(r"(?:a-)?([0-9]{5,12})", re.IGNORECASE)


class Hit(View):
    """One match. `label` is its name for people."""

    kind: str
    id: str
    label: str


async def search(session: AsyncSession, scope: Scope, text: str) -> tuple[Hit, ...]:
    """Returns exact matches within `scope`. Rows outside `scope` are not found."""
    wanted = text.strip()
    if match := _ID.fullmatch(wanted.lower()):
        return await _by_id(session, scope, match.group(1), wanted.lower())
    if match := _NUMBER.fullmatch(wanted):
        found = await session.execute(
            select(Account.id, Account.number).where(
                Account.number == int(match.group(1)), scope.own(Account.trader_id)
            )
        )
        return tuple(Hit(kind="account", id=row.id, label=account_number(row.number)) for row in found)
    if "@" in wanted:
        index = crypto.keys().index(wanted)
        traders = await session.execute(
            select(Trader.id, Trader.name).where(Trader.email_index == index, scope.own(Trader.id))
        )
        return tuple(Hit(kind="trader", id=row.id, label=row.name) for row in traders)
    return ()


async def _by_id(session: AsyncSession, scope: Scope, noun: str, wanted: str) -> tuple[Hit, ...]:
    if noun == "trd":
        traders = await session.execute(select(Trader.id, Trader.name).where(Trader.id == wanted, scope.own(Trader.id)))
        return tuple(Hit(kind="trader", id=row.id, label=row.name) for row in traders)
    if noun == "acc":
        accounts = await session.execute(
            select(Account.id, Account.number).where(Account.id == wanted, scope.own(Account.trader_id))
        )
        return tuple(Hit(kind="account", id=row.id, label=account_number(row.number)) for row in accounts)
    sources: dict[str, tuple[str, Any, ColumnElement[bool]]] = {
        "chl": ("challenge", Challenge, scope.own(Challenge.trader_id)),
        "pay": ("payout", Payout, scope.own(Payout.trader_id)),
        "dsp": ("dispute", Dispute, scope.own(Dispute.trader_id)),
        "tkt": ("ticket", Ticket, scope.own(Ticket.trader_id)),
        "brc": ("breach", Breach, _of_account(scope, Breach.account_id)),
        "prf": ("proof", Proof, _of_account(scope, Proof.account_id)),
    }
    if scope.staff:
        sources |= {"cas": ("case", Case, Case.id == wanted), "rev": ("review", Review, Review.id == wanted)}
    if noun not in sources:
        return ()
    kind, model, own = sources[noun]
    found = await session.scalar(select(model.id).where(model.id == wanted, own))
    return (Hit(kind=kind, id=found, label=found),) if found else ()


def _of_account(scope: Scope, account_id: Any) -> ColumnElement[bool]:
    condition: ColumnElement[bool] = account_id.in_(select(Account.id).where(scope.own(Account.trader_id)))
    return condition
