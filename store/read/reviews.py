"""Reviews: doubts about the feed, an account or a payment. For staff."""

from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import NotFound
from store.models import Account, Review
from store.read.pages import Page, View, Window, account_number, keyset


class ReviewView(View):
    id: str
    kind: str
    account_id: str | None
    account_number: str | None
    detail: dict[str, Any]
    status: str
    occurred_at: datetime
    recorded_at: datetime
    closed_by: str | None
    close_reason: str | None
    outcome: str | None
    currency: str | None


def _view(row: Any) -> ReviewView:
    review: Review = row.Review
    return ReviewView(
        id=review.id,
        kind=review.kind,
        account_id=review.account_id,
        account_number=None if row.number is None else account_number(row.number),
        detail=review.detail,
        status=review.status,
        occurred_at=review.occurred_at,
        recorded_at=review.recorded_at,
        closed_by=review.closed_by,
        close_reason=review.close_reason,
        outcome=review.outcome,
        currency=row.currency,
    )


async def page(session: AsyncSession, window: Window, *, status: str | None = None) -> Page[ReviewView]:
    """Newest first."""
    statement = select(Review, Account.number, Account.currency).outerjoin(Account, Account.id == Review.account_id)
    if status is not None:
        statement = statement.where(Review.status == status)
    rows, cursor = await keyset(session, statement, [Review.occurred_at, Review.id], window)
    return Page[ReviewView](items=tuple(_view(row) for row in rows), next_cursor=cursor)


async def one(session: AsyncSession, review_id: str) -> ReviewView:
    """Raises NotFound."""
    statement = select(Review, Account.number, Account.currency).outerjoin(Account, Account.id == Review.account_id)
    row = (await session.execute(statement.where(Review.id == review_id))).one_or_none()
    if row is None:
        raise NotFound
    return _view(row)
