"""Search over the firm: by any id, account number, login, deal, transfer, e-mail address, or the words of a name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, false, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from store.models import Account, Breach, Challenge, DealRow, Payout, Proof, Trader
from store.read import finding
from store.read.pages import View, account_number
from store.scope import Scope

MOST: Final = 20  # hits of each kind


class Hit(View):
    """One match. `label` is its name for people; `matched` says what of it is the searched text."""

    kind: str
    id: str
    label: str
    matched: str


class Found(View):
    """`more`: there are more hits than are shown."""

    items: tuple[Hit, ...]
    more: bool = False
    next_cursor: None = None


@dataclass(frozen=True)
class Findable:
    """Rows that are found by their id. `visible` returns the condition for those that may be seen in a scope."""

    prefix: str
    model: Any
    visible: Callable[[Scope], ColumnElement[bool]]


def to_staff(scope: Scope) -> ColumnElement[bool]:
    """The condition for rows that staff alone may see."""
    return true() if scope.staff else false()


async def search(session: AsyncSession, scope: Scope, text: str, findable: Mapping[str, Findable]) -> Found:
    """Exact matches within `scope`; what belongs to somebody else is not found. `findable`: the kinds of rows beside
    traders, accounts, challenges, breaches, proofs and deals that the person may open."""
    wanted = text.strip()
    if "\0" in wanted:  # no text of the record has it
        return Found(items=())
    if match := finding.ID.fullmatch(wanted.lower()):
        return Found(items=await _by_id(session, scope, match.group(1), wanted.lower(), findable))
    hits = [
        *await _accounts(session, scope, wanted),
        *await _traders(session, scope, wanted),
        *await _deals(session, scope, wanted),
        *await _payouts(session, scope, wanted, findable),
    ]
    return Found(items=tuple(hit for hit, _ in hits), more=any(more for _, more in hits))


async def _accounts(session: AsyncSession, scope: Scope, text: str) -> list[tuple[Hit, bool]]:
    number, login = finding.account_number_in(text), finding.login_in(text)
    return [
        (Hit(kind="account", id=row.id, label=account_number(row.number), matched=matched), more)
        for condition, matched in (
            (None if number is None else Account.number == number, "account number"),
            (None if login is None else Account.login == login, "login"),
        )
        if condition is not None
        for row, more in await _some(
            session, select(Account.id, Account.number).where(condition, scope.own(Account.trader_id))
        )
    ]


async def _traders(session: AsyncSession, scope: Scope, text: str) -> list[tuple[Hit, bool]]:
    by_address = "@" in text
    condition = finding.has_email(text) if by_address else finding.has_name(text)
    if condition is None:
        return []
    wanted = select(Trader.id, Trader.name).where(condition, scope.own(Trader.id)).order_by(Trader.recorded_at.desc())
    matched = "e-mail address" if by_address else "name"
    return [
        (Hit(kind="trader", id=row.id, label=row.name, matched=matched), more)
        for row, more in await _some(session, wanted)
    ]


async def _deals(session: AsyncSession, scope: Scope, text: str) -> list[tuple[Hit, bool]]:
    """A hit leads to the account; several venues may have a deal of one id."""
    wanted = (
        select(DealRow.deal_id, DealRow.symbol, DealRow.side, DealRow.lots, Account.id, Account.number)
        .join(Account, Account.id == DealRow.account_id)
        .where(DealRow.deal_id == text[:40], scope.own(Account.trader_id))
        .order_by(DealRow.id.desc())
    )
    return [
        (
            Hit(
                kind="deal",
                id=row.id,
                label=f"{account_number(row.number)}, {row.side} {row.lots.normalize():f} {row.symbol}",
                matched="deal id",
            ),
            more,
        )
        for row, more in await _some(session, wanted)
    ]


async def _payouts(
    session: AsyncSession, scope: Scope, text: str, findable: Mapping[str, Findable]
) -> list[tuple[Hit, bool]]:
    if "payout" not in findable or not scope.staff:  # the rail's id is for staff
        return []
    wanted = select(Payout.id).where(Payout.transfer_id == text[:80])
    return [
        (Hit(kind="payout", id=row.id, label=row.id, matched="transfer"), more)
        for row, more in await _some(session, wanted)
    ]


async def _some(session: AsyncSession, wanted: Select[Any]) -> list[tuple[Any, bool]]:
    """Returns the first rows, each with whether there are more."""
    rows = (await session.execute(wanted.limit(MOST + 1))).all()
    return [(row, len(rows) > MOST) for row in rows[:MOST]]


async def _by_id(
    session: AsyncSession, scope: Scope, prefix: str, wanted: str, findable: Mapping[str, Findable]
) -> tuple[Hit, ...]:
    if prefix == "trd":
        traders = await session.execute(select(Trader.id, Trader.name).where(Trader.id == wanted, scope.own(Trader.id)))
        return tuple(Hit(kind="trader", id=row.id, label=row.name, matched="id") for row in traders)
    if prefix == "acc":
        accounts = await session.execute(
            select(Account.id, Account.number).where(Account.id == wanted, scope.own(Account.trader_id))
        )
        return tuple(Hit(kind="account", id=row.id, label=account_number(row.number), matched="id") for row in accounts)
    for kind, rows in (*_FINDABLE.items(), *findable.items()):
        if rows.prefix == prefix:
            found = await session.scalar(select(rows.model.id).where(rows.model.id == wanted, rows.visible(scope)))
            return (Hit(kind=kind, id=found, label=found, matched="id"),) if found else ()
    return ()


def _of_account(scope: Scope, account_id: Any) -> ColumnElement[bool]:
    condition: ColumnElement[bool] = account_id.in_(select(Account.id).where(scope.own(Account.trader_id)))
    return condition


_FINDABLE: Final = {
    "challenge": Findable("chl", Challenge, lambda scope: scope.own(Challenge.trader_id)),
    "breach": Findable("brc", Breach, lambda scope: _of_account(scope, Breach.account_id)),
    "proof": Findable("prf", Proof, lambda scope: _of_account(scope, Proof.account_id)),
}
