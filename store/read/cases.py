"""Surveillance cases with alert, evidence, accounts and held payouts. For staff."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import NotFound
from store.models import Account, Alert, Case, CaseAccount, Payout, Trader
from store.read import history
from store.read.history import DecisionView, TransitionView
from store.read.pages import FIRM, Page, View, Window, account_number, keyset


class CaseRow(View):
    """`score` is 0..1; `sentence` describes the finding."""

    id: str
    alert_id: str
    detector: str
    score: Decimal
    sentence: str
    state: str
    opened_at: datetime
    closed_at: datetime | None


class CaseAccountView(View):
    account_id: str
    number: str
    trader_id: str
    trader_name: str
    held_payout_id: str | None


class CaseView(CaseRow):
    accounts: tuple[CaseAccountView, ...]
    evidence: dict[str, Any]
    decisions: tuple[DecisionView, ...]
    transitions: tuple[TransitionView, ...]


def _statement() -> Select[Any]:
    return select(Case, Alert).join(Alert, Alert.id == Case.alert_id)


def _fields(case: Case, alert: Alert) -> dict[str, Any]:
    return {
        "id": case.id,
        "alert_id": alert.id,
        "detector": alert.detector,
        "score": alert.score,
        "sentence": alert.sentence,
        "state": case.state,
        "opened_at": case.opened_at,
        "closed_at": case.closed_at,
    }


async def page(
    session: AsyncSession, window: Window, *, state: str | None = None, account_id: str | None = None
) -> Page[CaseRow]:
    """Newest first."""
    statement = _statement()
    if state is not None:
        statement = statement.where(Case.state == state)
    if account_id is not None:
        statement = statement.where(
            Case.id.in_(select(CaseAccount.case_id).where(CaseAccount.account_id == account_id))
        )
    rows, cursor = await keyset(session, statement, [Case.recorded_at, Case.id], window)
    return Page[CaseRow](items=tuple(CaseRow(**_fields(row.Case, row.Alert)) for row in rows), next_cursor=cursor)


async def one(session: AsyncSession, case_id: str) -> CaseView:
    """Raises NotFound."""
    row = (await session.execute(_statement().where(Case.id == case_id))).one_or_none()
    if row is None:
        raise NotFound
    accounts = await session.execute(
        select(Account, Trader.name, Payout.id)
        .join(CaseAccount, CaseAccount.account_id == Account.id)
        .join(Trader, Trader.id == Account.trader_id)
        .outerjoin(Payout, (Payout.account_id == Account.id) & Payout.closed_at.is_(None))
        .where(CaseAccount.case_id == case_id)
        .order_by(Account.number)
    )
    return CaseView(
        **_fields(row.Case, row.Alert),
        accounts=tuple(
            CaseAccountView(
                account_id=account.id,
                number=account_number(account.number),
                trader_id=account.trader_id,
                trader_name=name,
                held_payout_id=payout_id,
            )
            for account, name, payout_id in accounts
        ),
        evidence=row.Alert.evidence,
        decisions=await history.decisions(session, FIRM, "case", case_id),
        transitions=await history.transitions(session, FIRM, "case", case_id),
    )
