"""Compensations of disputes: those of one dispute, and one with who decided it."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.compensations import GIVEN
from domain.errors import NotFound
from store.models import Account, Compensation, Trader, User
from store.read import history
from store.read.history import DecisionView, TransitionView
from store.read.pages import View, account_number
from store.scope import FIRM, Scope


class CompensationView(View):
    """A voucher for the trader of a dispute. `state`: proposed, granted, rejected or used. A trader sees it once it is
    granted, with its `coupon`, and neither `reason` nor `proposed_by`. Staff do not see the coupon. `used_in`: the
    challenge whose price it lowered."""

    id: str
    dispute_id: str
    amount_minor: int
    currency: str
    state: str
    message: str
    reason: str
    coupon: str | None
    used_in: str | None
    proposed_by: str | None
    proposed_at: datetime
    closed_at: datetime | None


class CompensationDetail(CompensationView):
    """With what a person needs who decides it."""

    account_number: str
    trader_id: str
    trader_name: str
    proposed_by_name: str
    decisions: tuple[DecisionView, ...]
    transitions: tuple[TransitionView, ...]


def _fields(row: Compensation, scope: Scope) -> dict[str, object]:
    return {
        "id": row.id,
        "dispute_id": row.dispute_id,
        "amount_minor": row.amount_minor,
        "currency": row.currency,
        "state": row.state,
        "message": row.message,
        "reason": row.reason if scope.staff else "",
        "coupon": None if scope.staff else row.coupon,
        "used_in": row.used_in,
        "proposed_by": row.proposed_by if scope.staff else None,
        "proposed_at": row.proposed_at,
        "closed_at": row.closed_at,
    }


async def of_dispute(session: AsyncSession, scope: Scope, dispute_id: str) -> tuple[CompensationView, ...]:
    """Oldest first. The caller has checked that `scope` may see the dispute."""
    statement = select(Compensation).where(Compensation.dispute_id == dispute_id)
    if not scope.staff:
        statement = statement.where(Compensation.state.in_(GIVEN))
    rows = await session.scalars(statement.order_by(Compensation.proposed_at, Compensation.id))
    return tuple(CompensationView.model_validate(_fields(row, scope)) for row in rows)


async def one(session: AsyncSession, compensation_id: str) -> CompensationDetail:
    """For staff. Raises NotFound."""
    found = await session.execute(
        select(Compensation, Account.number, Trader.name.label("trader_name"), User.name.label("proposer"))
        .join(Account, Account.id == Compensation.account_id)
        .join(Trader, Trader.id == Compensation.trader_id)
        .join(User, User.id == Compensation.proposed_by)
        .where(Compensation.id == compensation_id)
    )
    row = found.one_or_none()
    if row is None:
        raise NotFound
    return CompensationDetail.model_validate(
        {
            **_fields(row.Compensation, FIRM),
            "account_number": account_number(row.number),
            "trader_id": row.Compensation.trader_id,
            "trader_name": row.trader_name,
            "proposed_by_name": row.proposer,
            "decisions": await history.decisions(session, FIRM, "compensation", compensation_id),
            "transitions": await history.transitions(session, FIRM, "compensation", compensation_id),
        }
    )
