"""Breaches and their proof sheets."""

from datetime import datetime
from functools import cache
from typing import Any, Final

from sqlalchemy import ScalarSelect, Select, and_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from domain.errors import NotFound
from store.models import Account, Breach, Dispute, Proof, Trader
from store.read import listing
from store.read.finding import Named, of_account
from store.read.listing import EVERYTHING, UPDATED, Asked, Condition, Filter, Listing, Order, since, updated_since
from store.read.pages import Page, View, Window, account_number
from store.scope import Scope


class BreachView(View):
    """`locked_at` and `recorded_at` are wall time."""

    id: str
    updated_at: datetime
    account_id: str
    account_number: str
    challenge_id: str
    trader_id: str
    trader_name: str
    phase_index: int
    rule_id: str
    offence: int
    proof_id: str
    seq: int
    occurred_at: datetime
    floor_minor: int | None  # only for limits on balance or equity
    equity_minor: int
    currency: str
    status: str
    recorded_at: datetime
    locked_at: datetime | None
    dispute_id: str | None
    dispute_state: str | None


def _last_dispute() -> ScalarSelect[str]:
    """The last dispute of the breach: the appeal, if there is one."""
    other = aliased(Dispute)
    return (
        select(other.id)
        .where(other.breach_id == Breach.id)
        .order_by(other.instance.desc())
        .limit(1)
        .correlate(Breach)
        .scalar_subquery()
    )


def _statement(scope: Scope) -> Select[Any]:
    return _all().where(scope.own(Account.trader_id))


@cache
def _all() -> Select[Any]:
    return (
        select(
            Breach,
            Account.number,
            Account.currency,
            Account.trader_id,
            Trader.name.label("trader_name"),
            Dispute.id.label("dispute_id"),
            Dispute.state.label("dispute_state"),
        )
        .join(Account, Account.id == Breach.account_id)
        .join(Trader, Trader.id == Account.trader_id)
        .outerjoin(Dispute, and_(Dispute.breach_id == Breach.id, Dispute.id == _last_dispute()))
    )


def _view(row: Any) -> BreachView:
    breach: Breach = row.Breach
    return BreachView(
        id=breach.id,
        updated_at=breach.updated_at,
        account_id=breach.account_id,
        account_number=account_number(row.number),
        challenge_id=breach.challenge_id,
        trader_id=row.trader_id,
        trader_name=row.trader_name,
        phase_index=breach.phase_index,
        rule_id=breach.rule_id,
        offence=breach.offence,
        proof_id=breach.proof_id,
        seq=breach.seq,
        occurred_at=breach.occurred_at,
        floor_minor=breach.floor_minor,
        equity_minor=breach.equity_minor,
        currency=row.currency,
        status=breach.status,
        recorded_at=breach.recorded_at,
        locked_at=breach.locked_at,
        dispute_id=row.dispute_id,
        dispute_state=row.dispute_state,
    )


def _found(named: Named) -> list[Condition]:
    found: list[Condition] = [Breach.account_id.in_(named.owned)] if named.owned else []
    return [*found, Breach.id == named.text] if named.is_id("brc") else found


BREACHES: Final = Listing(
    name="breaches",
    rows=Breach,
    owner=None,
    filters={
        "account": Filter("Account", of_account(Breach.account_id)),
        "since": Filter("Since", since(Breach.occurred_at, "since")),
        "updated_since": updated_since(Breach.updated_at),
    },
    orders={
        "occurred": Order(lambda _: [Breach.occurred_at, Breach.id]),
        UPDATED: Order(lambda _: [Breach.updated_at, Breach.id]),
    },
    order="-occurred",
    finds=_found,
    searches="account number, login, trader’s name or e-mail address",
)


async def page(
    session: AsyncSession, scope: Scope, window: Window, asked: Asked = EVERYTHING, *, account_id: str | None = None
) -> Page[BreachView]:
    """`account_id`: of this account only."""
    statement = _statement(scope)
    if account_id is not None:
        statement = statement.where(Breach.account_id == account_id)
    found = await listing.rows(session, BREACHES, statement, scope, window, asked)
    items = tuple(_view(row) for row in found.rows)
    return Page[BreachView](items=items, next_cursor=found.next_cursor, previous_cursor=found.previous_cursor)


async def one(session: AsyncSession, scope: Scope, breach_id: str) -> BreachView:
    """Raises NotFound."""
    row = (await session.execute(_statement(scope).where(Breach.id == breach_id))).one_or_none()
    if row is None:
        raise NotFound
    return _view(row)


async def proof(session: AsyncSession, scope: Scope, proof_id: str) -> dict[str, Any]:
    """Returns the proof sheet, as `propos proof check` reads it. Raises NotFound."""
    body: dict[str, Any] | None = await session.scalar(
        select(Proof.body)
        .join(Account, Account.id == Proof.account_id)
        .where(Proof.id == proof_id, scope.own(Account.trader_id))
    )
    if body is None:
        raise NotFound
    return body
