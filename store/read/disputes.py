"""Disputes with their evidence and decisions."""

from datetime import datetime
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import NotFound
from store.models import Account, Breach, Dispute, Trader
from store.read import history
from store.read.history import DecisionView, TransitionView
from store.read.pages import Page, Scope, View, Window, account_number, keyset


class DisputeRow(View):
    id: str
    breach_id: str
    challenge_id: str
    account_id: str
    account_number: str
    trader_id: str
    trader_name: str
    state: str
    rule_id: str
    currency: str
    opened_at: datetime
    closed_at: datetime | None


class DisputeView(DisputeRow):
    """`statement` is the trader's own text."""

    proof_id: str
    floor_minor: int | None  # only for limits on balance or equity
    equity_minor: int
    statement: str
    evidence: dict[str, Any]
    decisions: tuple[DecisionView, ...]
    transitions: tuple[TransitionView, ...]


def _statement(scope: Scope) -> Select[Any]:
    return (
        select(Dispute, Breach, Account.number, Account.currency, Trader.name.label("trader_name"))
        .join(Breach, Breach.id == Dispute.breach_id)
        .join(Account, Account.id == Dispute.account_id)
        .join(Trader, Trader.id == Dispute.trader_id)
        .where(scope.own(Dispute.trader_id))
    )


def _fields(row: Any) -> dict[str, Any]:
    dispute: Dispute = row.Dispute
    return {
        "id": dispute.id,
        "breach_id": dispute.breach_id,
        "challenge_id": dispute.challenge_id,
        "account_id": dispute.account_id,
        "account_number": account_number(row.number),
        "trader_id": dispute.trader_id,
        "trader_name": row.trader_name,
        "state": dispute.state,
        "rule_id": row.Breach.rule_id,
        "currency": row.currency,
        "opened_at": dispute.opened_at,
        "closed_at": dispute.closed_at,
    }


async def page(
    session: AsyncSession, scope: Scope, window: Window, *, state: str | None = None, account_id: str | None = None
) -> Page[DisputeRow]:
    """Newest first."""
    statement = _statement(scope)
    for column, wanted in ((Dispute.state, state), (Dispute.account_id, account_id)):
        if wanted is not None:
            statement = statement.where(column == wanted)
    rows, cursor = await keyset(session, statement, [Dispute.recorded_at, Dispute.id], window)
    return Page[DisputeRow](items=tuple(DisputeRow(**_fields(row)) for row in rows), next_cursor=cursor)


async def one(session: AsyncSession, scope: Scope, dispute_id: str) -> DisputeView:
    """Raises NotFound."""
    row = (await session.execute(_statement(scope).where(Dispute.id == dispute_id))).one_or_none()
    if row is None:
        raise NotFound
    return DisputeView(
        **_fields(row),
        proof_id=row.Breach.proof_id,
        floor_minor=row.Breach.floor_minor,
        equity_minor=row.Breach.equity_minor,
        statement=row.Dispute.statement,
        evidence=row.Dispute.evidence,
        decisions=await history.decisions(session, scope, "dispute", dispute_id),
        transitions=await history.transitions(session, scope, "dispute", dispute_id),
    )
