"""What of an account waits for a decision of people."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.disputes import DISPUTE
from domain.money import Money
from domain.surveillance.casework import CASE
from store.models import Case, CaseAccount, Dispute, Payout


async def open_payouts(session: AsyncSession, account_id: str) -> tuple[Money, ...]:
    """Returns what the trader receives of each open payout, oldest first."""
    rows = await session.execute(
        select((Payout.trader_minor + Payout.refund_minor).label("sent_minor"), Payout.currency)
        .where(Payout.account_id == account_id, Payout.closed_at.is_(None))
        .order_by(Payout.id)
    )
    return tuple(Money(minor=row.sent_minor, currency=row.currency) for row in rows)


async def open_cases(session: AsyncSession, account_id: str) -> tuple[str, ...]:
    """Returns the ids of the open cases that name the account, newest first."""
    found = select(Case.id).join(CaseAccount, CaseAccount.case_id == Case.id)
    of_account = found.where(CaseAccount.account_id == account_id, Case.state == CASE.initial)
    return tuple(await session.scalars(of_account.order_by(Case.opened_at.desc(), Case.id)))


async def open_disputes(session: AsyncSession, account_id: str) -> tuple[str, ...]:
    """Returns the ids of its disputes that are not decided, newest first."""
    undecided: Sequence[str] = sorted(DISPUTE.states - DISPUTE.terminal)
    found = select(Dispute.id).where(Dispute.account_id == account_id, Dispute.state.in_(undecided))
    return tuple(await session.scalars(found.order_by(Dispute.opened_at.desc(), Dispute.id)))
