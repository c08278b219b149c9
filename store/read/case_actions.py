"""What was decided about a trader's own trading, as the trader reads it. Nothing of the case itself is in it."""

from datetime import datetime, timedelta

from sqlalchemy import and_, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.surveillance.policy import SurveillancePolicy
from store.models import Account, CaseAccount, CaseAction, Dispute, SurveillancePolicyRow
from store.read.pages import View


class AccountAction(View):
    """`action`: warn, deduct, deny or close. `state`: approved, or overturned by an appeal. `appeal_until`: market
    time; an appeal is possible once. `appeal_id`, `appeal_state`: of the trader's appeal."""

    id: str
    action: str
    state: str
    rule: str
    decided_at: datetime | None
    appeal_until: datetime | None
    appeal_id: str | None
    appeal_state: str | None


async def _appeal_days(session: AsyncSession) -> int:
    newest = select(SurveillancePolicyRow.body).order_by(SurveillancePolicyRow.number.desc()).limit(1)
    body = await session.scalar(newest)
    return (SurveillancePolicy() if body is None else SurveillancePolicy.model_validate(body)).appeal_days


async def of_account(session: AsyncSession, account_id: str) -> tuple[AccountAction, ...]:
    """Returns the actions of cases that blame this account, or blamed it before an appeal; newest first. The caller has
    made sure that the account may be seen."""
    found = await session.execute(
        select(CaseAction, CaseAccount.blamed, Dispute.id, Dispute.state)
        .join(CaseAccount, CaseAccount.case_id == CaseAction.case_id)
        .join(Account, Account.id == CaseAccount.account_id)
        .outerjoin(Dispute, and_(Dispute.case_id == CaseAction.case_id, Dispute.trader_id == Account.trader_id))
        .where(CaseAccount.account_id == account_id, CaseAction.state.in_(("approved", "overturned")))
        .order_by(CaseAction.closed_at.desc(), CaseAction.id)
    )
    rows = found.all()
    days = await _appeal_days(session) if rows else 0
    return tuple(
        AccountAction(
            id=made.id,
            action=made.action,
            state=made.state if blamed else "overturned",
            rule=made.rule,
            decided_at=made.closed_at,
            appeal_until=made.closed_at + timedelta(days=days) if made.closed_at and blamed else None,
            appeal_id=dispute_id,
            appeal_state=dispute_state,
        )
        for made, blamed, dispute_id, dispute_state in rows
        if blamed or dispute_id is not None
    )
