"""Surveillance cases with alert, evidence, accounts and held payouts. For staff."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import NotFound
from domain.surveillance.evidence import Evidence
from domain.surveillance.findings import Action
from store import surveillance
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
    """`role`: the account's part in the finding, such as leader or follower. `blamed`: a confirmation hits it."""

    account_id: str
    role: str
    blamed: bool
    number: str
    trader_id: str
    trader_name: str
    held_payout_id: str | None


class CaseView(CaseRow):
    """`if_confirmed`: what is done when the case is confirmed. `evidence`: items of several types, see
    domain/surveillance/evidence.py; an unknown type has a title, columns and rows. The versions say what judged it."""

    detector_version: int
    thresholds_version: str
    accounts: tuple[CaseAccountView, ...]
    if_confirmed: Action
    evidence: tuple[Evidence, ...]
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
    finding = surveillance.finding(row.Alert)
    roles = {involved.account_id: involved.role for involved in finding.accounts}
    return CaseView(
        **_fields(row.Case, row.Alert),
        detector_version=finding.detector_version,
        thresholds_version=finding.thresholds_version,
        accounts=tuple(
            CaseAccountView(
                account_id=account.id,
                role=roles.get(account.id, ""),
                blamed=account.id in finding.blamed,
                number=account_number(account.number),
                trader_id=account.trader_id,
                trader_name=name,
                held_payout_id=payout_id,
            )
            for account, name, payout_id in accounts
        ),
        if_confirmed=finding.if_confirmed,
        evidence=finding.evidence,
        decisions=await history.decisions(session, FIRM, "case", case_id),
        transitions=await history.transitions(session, FIRM, "case", case_id),
    )
