"""Interventions: those of the firm, and one with who decided it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import NotFound
from store import reasons
from store.models import Account, Intervention, Trader, User
from store.read import history
from store.read.history import DecisionView, TransitionView
from store.read.pages import Page, View, Window, account_number, keyset
from store.scope import FIRM

LABELS: Final[Mapping[str, str]] = {"adjust": "Adjustment", "close": "Closing", "reset": "Free reset"}


class InterventionRow(View):
    """An adjustment, closing or free reset of an account. `change_minor`: what an adjustment adds to the balance,
    negative for what it takes. `reason` is for the firm, `message` for the trader."""

    id: str
    kind: str
    state: str
    account_id: str
    account_number: str
    challenge_id: str
    trader_id: str
    trader_name: str
    change_minor: int | None
    currency: str
    reason: str
    message: str
    proposed_by: str
    proposed_by_name: str
    proposed_at: datetime
    closed_at: datetime | None


class InterventionDetail(InterventionRow):
    """With what a person needs who decides it."""

    proposer_person: str
    decisions: tuple[DecisionView, ...]
    transitions: tuple[TransitionView, ...]


def _statement() -> Select[Any]:
    return (
        select(Intervention, Account.number, Trader.name.label("trader"), User.name.label("proposer"), User.person_id)
        .join(Account, Account.id == Intervention.account_id)
        .join(Trader, Trader.id == Intervention.trader_id)
        .join(User, User.id == Intervention.proposed_by)
    )


def _fields(row: Row[Any], texts: Mapping[str, str]) -> dict[str, Any]:
    made = row.Intervention
    names = set(InterventionRow.model_fields) & set(Intervention.__table__.columns.keys())
    return {
        **{name: getattr(made, name) for name in names},
        "reason": texts[made.reason],
        "message": texts[made.message],
        "account_number": account_number(row.number),
        "trader_name": row.trader,
        "proposed_by_name": row.proposer,
    }


async def page(
    session: AsyncSession, window: Window, *, state: str | None = None, account_id: str | None = None
) -> Page[InterventionRow]:
    """For staff, newest first."""
    statement = _statement()
    if state is not None:
        statement = statement.where(Intervention.state == state)
    if account_id is not None:
        statement = statement.where(Intervention.account_id == account_id)
    rows, cursor = await keyset(session, statement, [Intervention.proposed_at, Intervention.id], window)
    texts = await reasons.opened(session, {text for row in rows for text in (row[0].reason, row[0].message)})
    return Page[InterventionRow](
        items=tuple(InterventionRow(**_fields(row, texts)) for row in rows), next_cursor=cursor
    )


async def one(session: AsyncSession, intervention_id: str) -> InterventionDetail:
    """For staff. Raises NotFound."""
    row = (await session.execute(_statement().where(Intervention.id == intervention_id))).one_or_none()
    if row is None:
        raise NotFound
    texts = await reasons.opened(session, (row.Intervention.reason, row.Intervention.message))
    return InterventionDetail(
        **_fields(row, texts),
        proposer_person=row.person_id,
        decisions=await history.decisions(session, FIRM, "intervention", intervention_id),
        transitions=await history.transitions(session, FIRM, "intervention", intervention_id),
    )
