"""Surveillance cases and reviews: staff only, so that nobody learns that they are watched."""

from typing import Annotated

from fastapi import APIRouter, Depends
from sqlalchemy.ext.asyncio import AsyncSession

from contracts.messages import DecisionResult
from firm import reviews as review_records
from front.auth import Deps, allowed
from front.fields import AccountId, CaseId, DecisionBody, ReviewId, State, window
from front.once import Keyed, Once
from front.subjects import decide
from store.read import cases, reviews
from store.read.pages import Page, View, Window

router = APIRouter(prefix="/v1", tags=["surveillance"])
Paged = Annotated[Window, Depends(window)]


class ReviewClosed(View):
    """`outcome` of a doubtful breach: confirmed or dismissed."""

    id: str
    status: str
    outcome: str | None = None


@router.get("/cases", dependencies=[Depends(allowed("cases.read"))])
async def list_cases(
    deps: Deps, page: Paged, state: State | None = None, account: AccountId | None = None
) -> Page[cases.CaseRow]:
    async with deps.db.transaction() as session:
        return await cases.page(session, page, state=state, account_id=account)


@router.get("/cases/{case_id}", dependencies=[Depends(allowed("cases.read"))])
async def get_case(case_id: CaseId, deps: Deps) -> cases.CaseView:
    async with deps.db.transaction() as session:
        return await cases.one(session, case_id)


@router.post("/cases/{case_id}/clear", dependencies=[Depends(allowed("cases.decide"))])
async def clear_case(case_id: CaseId, body: DecisionBody, once: Keyed) -> DecisionResult:
    """There is nothing to act on: the payouts that the case held go on."""
    return await decide("case", case_id, "clear", body.reason, body=body, once=once)


@router.post("/cases/{case_id}/confirm", dependencies=[Depends(allowed("cases.decide"))])
async def confirm_case(case_id: CaseId, body: DecisionBody, once: Keyed) -> DecisionResult:
    """Does what the case says under `if_confirmed`: `close_challenges` closes the challenges of the blamed accounts and
    rejects their payouts, those of the other accounts go on; `dispute_breach` disputes the breach for the trader."""
    return await decide("case", case_id, "confirm", body.reason, body=body, once=once)


@router.get("/reviews", dependencies=[Depends(allowed("reviews.read"))])
async def list_reviews(deps: Deps, page: Paged, status: State | None = None) -> Page[reviews.ReviewView]:
    async with deps.db.transaction() as session:
        return await reviews.page(session, page, status=status)


@router.get("/reviews/{review_id}", dependencies=[Depends(allowed("reviews.read"))])
async def get_review(review_id: ReviewId, deps: Deps) -> reviews.ReviewView:
    async with deps.db.transaction() as session:
        return await reviews.one(session, review_id)


@router.post("/reviews/{review_id}/close", dependencies=[Depends(allowed("reviews.close"))])
async def close_review(review_id: ReviewId, body: DecisionBody, once: Keyed) -> ReviewClosed:
    """A person has looked at it."""

    async def work(session: AsyncSession) -> ReviewClosed:
        await review_records.close(session, review_id=review_id, actor=once.actor, reason=body.reason)
        return ReviewClosed(id=review_id, status="closed")

    return await once.write(ReviewClosed, body, work)


async def _decide_review(
    decision: review_records.Choice, review_id: str, body: DecisionBody, once: Once
) -> ReviewClosed:
    async def work(session: AsyncSession) -> ReviewClosed:
        row = await review_records.decide(
            session,
            review_id=review_id,
            decision=decision,
            actor=once.actor,
            reason=body.reason,
            key=once.message_key,
        )
        return ReviewClosed(id=review_id, status=row.status, outcome=row.outcome)

    return await once.write(ReviewClosed, body, work)


@router.post("/reviews/{review_id}/confirm", dependencies=[Depends(allowed("reviews.decide"))])
async def confirm_review(review_id: ReviewId, body: DecisionBody, once: Keyed) -> ReviewClosed:
    """The rule was broken, though the data were doubtful: a breach like any other, and its sheet says who confirmed."""
    return await _decide_review("confirm", review_id, body, once)


@router.post("/reviews/{review_id}/dismiss", dependencies=[Depends(allowed("reviews.decide"))])
async def dismiss_review(review_id: ReviewId, body: DecisionBody, once: Keyed) -> ReviewClosed:
    """No breach: the account goes on, and good data may still judge it."""
    return await _decide_review("dismiss", review_id, body, once)
