"""What surveillance writes: how far its stream has read the deals, and alerts."""

from collections.abc import Sequence
from typing import Any, Final

from pydantic import TypeAdapter
from sqlalchemy import Select, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from domain import keys
from domain.surveillance import repeats, stored
from domain.surveillance.findings import Finding, Severity
from store import chains
from store.models import (
    Account,
    Alert,
    Case,
    CaseAccount,
    CaseAction,
    CaseAlert,
    DealRow,
    DeniedPayout,
    Payout,
    SurveillanceCursor,
)
from store.together import Param

STREAM: Final = "stream"
# A deal can become visible after one with a higher number: this many of those that were read are read again.
OVERLAP: Final = 200


async def cursor(session: AsyncSession) -> int:
    """Returns the number of the last deal that the stream has judged; the first call makes the row."""
    await session.execute(insert(SurveillanceCursor).values(reader=STREAM).on_conflict_do_nothing())
    return (await session.get_one(SurveillanceCursor, STREAM, populate_existing=True)).last_deal


async def lock_cursor(session: AsyncSession) -> SurveillanceCursor:
    """Returns the row, locked until the transaction ends: one reader at a time."""
    return (
        await session.execute(
            select(SurveillanceCursor)
            .where(SurveillanceCursor.reader == STREAM)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
    ).scalar_one()


async def newest_deal(session: AsyncSession) -> int:
    """Returns the highest number of a deal; 0 when there is none."""
    return int(await session.scalar(select(func.coalesce(func.max(DealRow.id), 0))) or 0)


async def record_alert(session: AsyncSession, found: Finding, severity: Severity) -> repeats.Repeat | None:
    """Writes the alert of a finding and returns what it adds to earlier alerts of the same finding; None when it adds
    nothing. `severity`: as it is routed. The caller holds the lock of the family, so nobody writes one meanwhile."""
    earlier = await _earlier(session, found.key)
    news = repeats.news(found, severity, earlier)
    if news is None:
        return None
    made = news.finding.model_copy(update={"key": repeats.numbered(found.key, len(earlier) + 1)})
    session.add(
        Alert(
            id=keys.alert_id(made.key),
            key=made.key,
            detector=made.detector,
            score=made.score,
            sentence=made.sentence,
            evidence=stored.write(made),
            severity=severity,
            occurred_at=made.at,
        )
    )
    await session.flush()
    return repeats.Repeat(made, news.holds)


async def _earlier(session: AsyncSession, key: str) -> list[repeats.Earlier]:
    found = list[repeats.Earlier]()
    while True:
        row = (
            await session.execute(
                select(Alert, Case.state)
                .outerjoin(CaseAlert, CaseAlert.alert_id == Alert.id)
                .outerjoin(Case, Case.id == CaseAlert.case_id)
                .where(Alert.key == repeats.numbered(key, len(found) + 1))
            )
        ).one_or_none()
        if row is None:
            return found
        alert, state = row
        case: repeats.CaseState = "none" if state is None else "open" if state == "open" else "ended"
        severity = TypeAdapter[Severity](Severity).validate_python(alert.severity)
        found.append(repeats.Earlier(finding(alert), severity, case))


def finding(alert: Alert) -> Finding:
    """Returns the finding that an alert holds, whenever it was written."""
    return stored.read(
        alert.evidence,
        key=alert.key,
        detector=alert.detector,
        at=alert.occurred_at,
        score=alert.score,
        sentence=alert.sentence,
    )


def confirmed_query(challenge_id: Param[str]) -> Select[tuple[str]]:
    """The confirmed cases that name an account of this challenge."""
    named = select(Case.id).join(CaseAccount).join(Account, Account.id == CaseAccount.account_id)
    return named.where(Account.challenge_id == challenge_id, Case.state == "confirmed")


def holding_query(challenge_id: Param[str]) -> Select[Any]:
    """The open cases that hold payouts of this challenge, with what operators read: what was found, and until when.
    `numbers`: account id -> number of the accounts that the case names.
    Each phase has an account of its own: a case about any of them holds, and about one of a challenge that this one
    goes on from."""
    holding = (
        select(CaseAccount.case_id)
        .join(Account, Account.id == CaseAccount.account_id)
        .where(CaseAccount.holds, Account.challenge_id.in_(chains.back_query(challenge_id)))
    )
    named = aliased(Account)
    numbers = (
        select(func.json_object_agg(named.id, named.number))
        .join(CaseAccount, CaseAccount.account_id == named.id)
        .where(CaseAccount.case_id == Case.id)
        .correlate(Case)
        .scalar_subquery()
    )
    return (
        select(Case.id, Alert.sentence, Case.hold_until, Case.escalated_at, numbers.label("numbers"))
        .join(Alert, Alert.id == Case.alert_id)
        .where(Case.id.in_(holding), Case.state == "open", Case.hold_ended_at.is_(None))
        .order_by(Case.id)
    )


def denied_query(payout_id: Param[str]) -> Select[Any]:
    """The action in force that denies this payout: its case, and the rule that the trader broke. An appeal that is
    granted frees the payouts of its trader, also while the case blames others."""
    return (
        select(CaseAction.case_id, CaseAction.rule)
        .join(DeniedPayout, DeniedPayout.action_id == CaseAction.id)
        .join(Payout, Payout.id == DeniedPayout.payout_id)
        .join(
            CaseAccount,
            (CaseAccount.case_id == CaseAction.case_id) & (CaseAccount.account_id == Payout.account_id),
        )
        .where(DeniedPayout.payout_id == payout_id, CaseAction.state == "approved", CaseAccount.blamed)
        .order_by(CaseAction.id)
    )


async def confirmed_against(session: AsyncSession, challenge_id: str) -> Sequence[str]:
    """Returns the ids of the confirmed cases that blame an account of this challenge, or of one that it goes on from.
    Who was only named in a case, such as the trader who was copied, has broken no rule."""
    chain = await chains.back_from(session, challenge_id)
    found = await session.scalars(
        select(Case.id)
        .join(CaseAccount, CaseAccount.case_id == Case.id)
        .join(Account, Account.id == CaseAccount.account_id)
        .where(Account.challenge_id.in_(chain), Case.state == "confirmed", CaseAccount.blamed)
        .distinct()
        .order_by(Case.id)
    )
    return tuple(found)
