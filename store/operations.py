"""Forgotten holds: payouts that ended and still hold money."""

from sqlalchemy import exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from domain import keys
from domain.payouts.payout import PAYOUT
from store.models import Intent, LedgerTransaction, Payout, Posting


async def open_holds(session: AsyncSession, *, newest: int | None = None) -> int:
    """Returns the number of closed payouts that still hold money: in the books, or unpaid on the platform. `newest`: of
    as many that were closed last."""
    closed = select(Payout)
    if newest is not None:
        closed = closed.where(Payout.closed_at.is_not(None)).order_by(Payout.closed_at.desc()).limit(newest)
    one = aliased(Payout, closed.subquery("closed"))
    reserve = (
        select(func.coalesce(func.sum(Posting.amount_minor), 0))
        .join(LedgerTransaction, LedgerTransaction.id == Posting.transaction_id)
        .where(LedgerTransaction.reference == one.id, Posting.account == "trader-payable")
        .correlate(one)
        .scalar_subquery()
    )
    held = exists().where(Intent.key == func.concat(one.id, keys.HOLD), Intent.done_at.is_not(None))
    released = exists().where(Intent.key == func.concat(one.id, keys.RELEASE), Intent.done_at.is_not(None))
    forgotten = or_(reserve != 0, (one.state != "paid") & held & ~released)
    statement = select(func.count()).select_from(one).where(one.state.in_(PAYOUT.terminal), forgotten)
    return int(await session.scalar(statement) or 0)
