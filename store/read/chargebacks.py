"""Chargebacks with their steps and the firm's answer. For staff."""

from datetime import datetime
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain import keys
from domain.errors import NotFound
from store.models import Account, Challenge, Chargeback, Intent, Suspension, Trader
from store.read import history
from store.read.history import DecisionView, TransitionView
from store.read.pages import Page, View, Window, account_number, keyset
from store.scope import FIRM


class ChargebackRow(View):
    id: str
    challenge_id: str
    account_number: str | None
    trader_id: str
    trader_name: str
    acquirer: str
    provider_id: str
    state: str
    reason: str
    amount_minor: int
    currency: str
    fee_minor: int
    withdrawn: bool
    evidence_due_at: datetime | None
    opened_at: datetime
    closed_at: datetime | None


class ChargebackView(ChargebackRow):
    """`answer`: submit, accept, or None. `evidence`: what was submitted. `answer_refused`: why the acquirer did not
    take it. `suspended`: the accounts that it paid for may not trade."""

    challenge_state: str
    answer: str | None
    answer_refused: str
    evidence: dict[str, str]
    suspended: bool
    decisions: tuple[DecisionView, ...]
    transitions: tuple[TransitionView, ...]


def _statement() -> Select[Any]:
    return (
        select(Chargeback, Challenge.state, Account.number, Trader.name.label("trader_name"))
        .join(Challenge, Challenge.id == Chargeback.challenge_id)
        .join(Trader, Trader.id == Chargeback.trader_id)
        .outerjoin(Account, Account.id == Challenge.account_id)
    )


def _fields(row: Any) -> dict[str, Any]:
    named = set(ChargebackRow.model_fields) - {"account_number", "trader_name"}
    return {
        **{name: getattr(row.Chargeback, name) for name in named},
        "account_number": None if row.number is None else account_number(row.number),
        "trader_name": row.trader_name,
    }


async def page(session: AsyncSession, window: Window, *, state: str | None = None) -> Page[ChargebackRow]:
    """Newest first."""
    statement = _statement()
    if state is not None:
        statement = statement.where(Chargeback.state == state)
    rows, cursor = await keyset(session, statement, [Chargeback.opened_at, Chargeback.id], window)
    return Page[ChargebackRow](items=tuple(ChargebackRow(**_fields(row)) for row in rows), next_cursor=cursor)


async def one(session: AsyncSession, chargeback_id: str) -> ChargebackView:
    """Raises NotFound."""
    row = (await session.execute(_statement().where(Chargeback.id == chargeback_id))).one_or_none()
    if row is None:
        raise NotFound
    intent = await session.get(Intent, keys.chargeback_answer(chargeback_id, row.Chargeback.round))
    lasting = select(Suspension.id).where(Suspension.chargeback_id == chargeback_id, Suspension.ended_at.is_(None))
    return ChargebackView(
        **_fields(row),
        challenge_state=row.state,
        answer=None if intent is None else intent.payload["verb"],
        answer_refused="" if intent is None else str((intent.result or {}).get("refused", "")),
        evidence={} if intent is None else intent.payload["evidence"],
        suspended=await session.scalar(lasting) is not None,
        decisions=await history.decisions(session, FIRM, "chargeback", chargeback_id),
        transitions=await history.transitions(session, FIRM, "chargeback", chargeback_id),
    )
