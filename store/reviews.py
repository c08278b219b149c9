"""Reviews on the record: a person looks at what was doubtful and says what came of it."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.approvals import Actor
from domain.errors import Conflict, NotFound
from store import audit
from store.clock import market_now
from store.models import Review


async def close(session: AsyncSession, *, review_id: str, actor: Actor, reason: str) -> None:
    """Raises NotFound, or Conflict when somebody closed it before."""
    review = await session.scalar(select(Review).where(Review.id == review_id).with_for_update())
    if review is None:
        raise NotFound
    if review.status == "closed":
        raise Conflict(f"This review was closed already: {review.close_reason}")
    review.status, review.closed_by, review.close_reason = "closed", actor.user_id, reason
    await audit.record(
        session,
        action="review.closed",
        subject_kind="review",
        subject_id=review_id,
        occurred_at=await market_now(session),
        actor=actor.user_id,
        role=actor.role,
        reason=reason,
        evidence={"kind": review.kind},
    )
