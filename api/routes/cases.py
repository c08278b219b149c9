"""Surveillance cases and reviews: staff only, so that nobody learns that they are watched."""

from typing import Annotated

from fastapi import APIRouter, Depends

from front.auth import Deps, allowed
from front.fields import AccountId, CaseId, ReviewId, State, window
from store.read import cases, reviews
from store.read.pages import Page, Window

router = APIRouter(prefix="/v1", tags=["surveillance"])
Paged = Annotated[Window, Depends(window)]


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


@router.get("/reviews", dependencies=[Depends(allowed("reviews.read"))])
async def list_reviews(deps: Deps, page: Paged, status: State | None = None) -> Page[reviews.ReviewView]:
    async with deps.db.transaction() as session:
        return await reviews.page(session, page, status=status)


@router.get("/reviews/{review_id}", dependencies=[Depends(allowed("reviews.read"))])
async def get_review(review_id: ReviewId, deps: Deps) -> reviews.ReviewView:
    async with deps.db.transaction() as session:
        return await reviews.one(session, review_id)
