"""Traders. Bank accounts are always masked."""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import NotFound
from store.models import AuditEntry, Challenge, Trader, User
from store.read import history
from store.read.pages import Page, Scope, View, Window, keyset, mask_iban


class TraderView(View):
    id: str
    name: str
    email: str
    country: str
    identity: str
    beneficiary: str | None
    challenges: int
    created_at: datetime


def _statement(scope: Scope) -> Any:
    challenges = select(func.count()).where(Challenge.trader_id == Trader.id).correlate(Trader).scalar_subquery()
    return select(Trader, challenges.label("challenges")).where(scope.own(Trader.id))


def _view(row: Any) -> TraderView:
    trader: Trader = row.Trader
    return TraderView(
        id=trader.id,
        name=trader.name,
        email=trader.email,
        country=trader.country,
        identity=trader.identity,
        beneficiary=mask_iban(trader.beneficiary),
        challenges=row.challenges,
        created_at=trader.created_at,
    )


async def page(session: AsyncSession, scope: Scope, window: Window) -> Page[TraderView]:
    """Newest first."""
    rows, cursor = await keyset(session, _statement(scope), [Trader.recorded_at, Trader.id], window)
    return Page[TraderView](items=tuple(_view(row) for row in rows), next_cursor=cursor)


async def one(session: AsyncSession, scope: Scope, trader_id: str) -> TraderView:
    """Raises NotFound."""
    row = (await session.execute(_statement(scope).where(Trader.id == trader_id))).one_or_none()
    if row is None:
        raise NotFound
    return _view(row)


_IDENTITY: Final = {"trader.identity_verified": "verify", "trader.identity_refused": "refuse"}


async def identity_decisions(session: AsyncSession, scope: Scope, trader_id: str) -> tuple[history.DecisionView, ...]:
    """Returns the identity decisions from the audit log, oldest first.

    The caller has checked that `scope` may see the trader.
    """
    rows = await session.execute(
        select(AuditEntry, User.name)
        .join(User, User.id == AuditEntry.actor)
        .where(AuditEntry.subject_kind == "trader", AuditEntry.subject_id == trader_id)
        .where(AuditEntry.action.in_(_IDENTITY))
        .order_by(AuditEntry.seq)
    )
    return tuple(
        history.DecisionView(
            decision=_IDENTITY[entry.action],
            user_id=entry.actor if scope.staff else None,
            name=name if scope.staff else None,
            role=entry.role,
            reason=entry.reason,
            evidence={},
            occurred_at=entry.occurred_at,
            recorded_at=entry.recorded_at,
        )
        for entry, name in rows
    )
