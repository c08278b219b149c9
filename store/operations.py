"""Forgotten holds: payouts that ended and still hold money."""

from sqlalchemy import exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain import keys
from domain.payouts.payout import PAYOUT
from store.models import Intent, LedgerTransaction, Payout, Posting


async def open_holds(session: AsyncSession) -> int:
    """Returns the number of closed payouts that still hold money: in the books, or unpaid on the platform."""
    reserve = (
        select(func.coalesce(func.sum(Posting.amount_minor), 0))
        .join(LedgerTransaction, LedgerTransaction.id == Posting.transaction_id)
        .where(LedgerTransaction.reference == Payout.id, Posting.account == "trader-payable")
        .correlate(Payout)
        .scalar_subquery()
    )
    held = exists().where(Intent.key == func.concat(Payout.id, keys.HOLD), Intent.done_at.is_not(None))
    released = exists().where(Intent.key == func.concat(Payout.id, keys.RELEASE), Intent.done_at.is_not(None))
    forgotten = or_(reserve != 0, (Payout.state != "paid") & held & ~released)
    statement = select(func.count()).select_from(Payout).where(Payout.state.in_(PAYOUT.terminal), forgotten)
    return int(await session.scalar(statement) or 0)
