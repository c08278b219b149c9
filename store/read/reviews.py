"""Reviews: doubts about the feed, an account or a payment. For staff."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Final

from sqlalchemy import case, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import NotFound
from domain.reviews import KINDS
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


# looked up for the rows of a page: a join would read all accounts
_NUMBER: Final = select(Account.number).where(Account.id == Review.account_id).scalar_subquery().label("number")
_CURRENCY: Final = select(Account.currency).where(Account.id == Review.account_id).scalar_subquery().label("currency")


async def page(session: AsyncSession, window: Window, *, status: str | None = None) -> Page[ReviewView]:
    """Newest first."""
    statement = select(Review, _NUMBER, _CURRENCY)
    if status is not None:
        statement = statement.where(Review.status == status)
    rows, cursor = await keyset(session, statement, [Review.occurred_at, Review.id], window)
    return Page[ReviewView](items=tuple(_view(row) for row in rows), next_cursor=cursor)


async def one(session: AsyncSession, review_id: str) -> ReviewView:
    """Raises NotFound."""
    statement = select(Review, _NUMBER, _CURRENCY)
    row = (await session.execute(statement.where(Review.id == review_id))).one_or_none()
    if row is None:
        raise NotFound
    return _view(row)


_REPEATS: Final = [name for name, kind in KINDS.items() if kind.repeats]


@dataclass(frozen=True)
class Alike:
    """Open reviews that say the same, the oldest first."""

    ids: tuple[str, ...]

    @cached_property
    def digest(self) -> str:
        return hashlib.sha256("/".join(self.ids).encode()).hexdigest()[:32]


def symbol_of(review: type[Review]) -> Any:
    """The symbol that a review is about, or NULL."""
    return review.detail["symbol"].astext


def likeness(review: type[Review]) -> Any:
    """What is equal for reviews that say the same of one account or one symbol. One of a kind that does not repeat, or
    about neither, is like no other."""
    alone = or_(review.kind.not_in(_REPEATS), func.coalesce(review.account_id, symbol_of(review)).is_(None))
    shared = func.concat_ws("/", review.kind, func.coalesce(review.account_id, ""), symbol_of(review))
    return case((alone, review.id), else_=shared)


async def alike(session: AsyncSession, review_id: str) -> Alike:
    """The open reviews that say the same as this one, itself included; without any when it is closed."""
    same = select(likeness(Review)).where(Review.id == review_id).scalar_subquery()
    found = await session.scalars(
        select(Review.id)
        .where(Review.status == "open", likeness(Review) == same)
        .order_by(Review.occurred_at, Review.id)
    )
    ids = tuple(found)
    return Alike(ids if review_id in ids else ())
