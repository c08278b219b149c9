"""Reviews: something doubtful about an account, a payment or the feed. A doubtful breach is confirmed or dismissed by
risk; every other review is closed by a person who has looked at it.

Open reviews that say the same of one account or one symbol are one item of the queue, under the id of the oldest."""

from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Select, func, select
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.ext.asyncio import AsyncSession

from domain.approvals import DECIDERS, STAFF, Actor
from domain.errors import ChangedMeanwhile
from domain.reviews import KINDS
from firm import reviews
from front.subjects.subject import BulkItem, Decision, Right, Subject, Taken, Verb
from store.models import Review
from store.read import reviews as read
from store.read.pages import View
from store.read.search import Findable, to_staff
from store.read.waiting import Row, Waiting, by_calendar, waiting_rows

_DECIDE: Final = Right("reviews.decide", DECIDERS["review"])
_CLOSE: Final = Right("reviews.close", DECIDERS["review"])


class ReviewClosed(View):
    """`outcome` of a doubtful breach: confirmed or dismissed."""

    id: str
    status: str
    outcome: str | None = None


def _rows() -> Select[Any]:
    each = (
        select(
            Review.id,
            Review.kind,
            Review.status,
            Review.account_id,
            Review.occurred_at,
            by_calendar("doubtful_breach", Review.id).label("deadline"),
            read.symbol_of(Review).label("symbol"),
            read.likeness(Review).label("likeness"),
        )
        .where(Review.status == "open")
        .subquery()
    )
    oldest = func.array_agg(aggregate_order_by(each.c.id, each.c.occurred_at, each.c.id))[1]
    note = func.concat_ws(" ", each.c.kind, each.c.symbol)
    rows = waiting_rows(
        subject_id=oldest,
        state=each.c.status,
        since=func.min(each.c.occurred_at),
        deadline=func.min(each.c.deadline),
        account_id=each.c.account_id,
        note=note,
        alike=func.count(),
    )
    return rows.group_by(each.c.likeness, each.c.kind, each.c.status, each.c.account_id, each.c.symbol)


def _words(row: Row) -> str:
    kind, _, symbol = str(row.note).partition(" ")
    return f"Review: {KINDS[kind].words}" + (f" on {symbol}" if symbol else "")


async def decide(session: AsyncSession, decision: Decision) -> Taken:
    """Confirm or dismiss a doubtful breach. Raises what `firm.reviews` refuses with."""
    row = await reviews.decide(
        session,
        review_id=decision.subject_id,
        decision="confirm" if decision.verb == "confirm" else "dismiss",
        actor=decision.actor,
        reason=decision.reason,
        key=decision.key,
    )
    return Taken(row.outcome or row.status, ReviewClosed(id=row.id, status=row.status, outcome=row.outcome))


async def close(session: AsyncSession, decision: Decision) -> Taken:
    """Close a review that asks for no decision, and those of its kind that the person saw with it (`seen`). Raises what
    `firm.reviews` refuses with, and ChangedMeanwhile when there are others now."""
    review_id, actor, reason = decision.subject_id, decision.actor, decision.reason
    alike = await read.alike(session, review_id) if decision.seen else read.Alike((review_id,))
    if decision.seen and alike.digest != decision.seen:
        raise ChangedMeanwhile(
            "Another review of the same kind was opened or closed since you opened the page.",
            remedy="Nothing was closed. Go back, read them again and decide.",
        )
    for each in alike.ids:
        await reviews.close(session, review_id=each, actor=actor, reason=reason)
    return Taken("closed", ReviewClosed(id=review_id, status="closed"))


async def _in_bulk(session: AsyncSession, review_id: str, _: Actor) -> BulkItem:
    alike = await read.alike(session, review_id)
    does = f"Closes all {len(alike.ids)} that say the same." if len(alike.ids) > 1 else "Closes it."
    return BulkItem(await reviews.alone(session, review_id), does, alike.digest)


REVIEW: Final = Subject(
    name="review",
    label="review",
    plural="reviews",
    waits_as="Reviews",
    # An account continues to trade while its breach is in doubt.
    waiting=Waiting(_rows, timedelta(hours=4), _words),
    read=Right("reviews.read", STAFF),
    under="/risk",
    page="/reviews",
    api="/reviews",
    verbs=(
        Verb(
            "dismiss", "Dismiss: no breach", "Dismissed", _DECIDE,
            "There was no breach: the account continues, and good data may still judge it.",
            path="dismiss", carry_out=decide, answer=ReviewClosed,
        ),
        Verb(
            "confirm", "Confirm the breach", "Confirmed", _DECIDE,
            "The rule was broken, although the data were doubtful: a breach like any other. Its proof sheet says who "
            "confirmed it.",
            style="danger", path="confirm", carry_out=decide, answer=ReviewClosed,
        ),
        Verb(
            "close", "Close the review", "Closed", _CLOSE, "A person has looked at it, and nothing is left to do.",
            path="close", carry_out=close, answer=ReviewClosed, bulk=_in_bulk,
        ),
    ),
    find=Findable("rev", Review, to_staff),
)  # fmt: skip
