"""A surveillance case as it is on the record once its alert has opened it."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from domain.surveillance.casework import family_of
from store import case_evidence, surveillance
from store.models import Alert, Case, CaseAccount


async def add_case(
    session: AsyncSession,
    case_id: str,
    alert: Alert,
    accounts: Sequence[str],
    *,
    opened_at: datetime,
    state: str = "open",
    hold_until: datetime | None = None,
    escalate_at: datetime | None = None,
) -> Case:
    """A case that holds payouts of these accounts. Who is blamed is what the alert says."""
    session.add(alert)
    await session.flush()
    case = Case(
        id=case_id,
        alert_id=alert.id,
        family=family_of(alert.detector),
        subject_key=case_id,
        state=state,
        opened_at=opened_at,
        hold_until=hold_until,
        escalate_at=escalate_at,
    )
    session.add(case)
    await session.flush()
    await case_evidence.freeze(session, case, alert.id)
    blamed = surveillance.finding(alert).blamed
    session.add_all(CaseAccount(case_id=case.id, account_id=each, blamed=each in blamed) for each in accounts)
    await session.flush()
    return case
