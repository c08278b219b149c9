"""Reviews: something doubtful about an account, a payment or the feed. A doubtful breach is confirmed or dismissed by
risk; every other review is closed by a person who has looked at it."""

from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.approvals import DECIDERS, STAFF
from domain.reviews import KINDS
from firm import reviews
from front.subjects.subject import Decision, Right, Subject, Taken, Verb
from store.models import Review
from store.read.pages import View
from store.read.queue import Row, Waiting, by_calendar, waiting_rows
from store.read.search import Findable, to_staff

_DECIDE: Final = Right("reviews.decide", DECIDERS["review"])
_CLOSE: Final = Right("reviews.close", DECIDERS["review"])


class ReviewClosed(View):
    """`outcome` of a doubtful breach: confirmed or dismissed."""

    id: str
    status: str
    outcome: str | None = None


def _rows() -> Select[Any]:
    return waiting_rows(
        subject_id=Review.id,
        state=Review.status,
        since=Review.occurred_at,
        deadline=by_calendar("doubtful_breach", Review.id),
        account_id=Review.account_id,
        note=Review.kind,
    ).where(Review.status == "open")


def _words(row: Row) -> str:
    return f"Review: {KINDS[str(row.note)].words}"


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
    """Close a review that asks for no decision. Raises what `firm.reviews` refuses with."""
    await reviews.close(session, review_id=decision.subject_id, actor=decision.actor, reason=decision.reason)
    return Taken("closed", ReviewClosed(id=decision.subject_id, status="closed"))


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
            path="close", carry_out=close, answer=ReviewClosed,
        ),
    ),
    find=Findable("rev", Review, to_staff),
)  # fmt: skip
