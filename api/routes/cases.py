"""Surveillance cases and reviews: staff only, so that nobody learns that they are watched."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from domain.payouts.tainted import MOST_NAMED
from domain.surveillance.casework import ProposedAction
from firm import case_actions, case_messages
from firm import cases as firm_cases
from front.auth import Deps, allowed
from front.fields import CaseId, Input, Reason, ReviewId, Words, window
from front.lists import asked_of
from front.once import Keyed
from front.subjects.case import ActionProposed, proposed
from store import case_evidence
from store.read import cases, precision, reviews
from store.read.deductions import CaseTradeView
from store.read.listing import Asked
from store.read.pages import Page, View, Window

router = APIRouter(prefix="/v1", tags=["surveillance"])
Paged = Annotated[Window, Depends(window)]


class NamedTrade(Input):
    """`position`: the id of the position on the platform."""

    account: Annotated[str, Field(pattern=r"^acc_[0-9a-z]{1,26}$")]
    position: Annotated[str, Field(min_length=1, max_length=40)]


class ActionBody(Input):
    """`trades`: of the accounts that the case blames, for `deduct`. `payouts`: open ones of these accounts, for `deny`.
    `rule`: what the trader broke, and `message`: what the trader is told (the template when it is left out), with
    {account} and {trades} for the reader's own. `reason`: for the firm."""

    action: ProposedAction
    rule: Reason
    reason: Reason
    message: Annotated[str, Field(max_length=4000)] = ""
    trades: Annotated[tuple[NamedTrade, ...], Field(max_length=MOST_NAMED)] = ()
    payouts: Annotated[tuple[Annotated[str, Field(pattern=r"^pay_[0-9a-z]{26}$")], ...], Field(max_length=50)] = ()


class CaseNoteBody(Input):
    body: Words


class AssignBody(Input):
    """`to`: a user who may decide cases; empty for nobody. `reason`: of a hand-over."""

    to: Annotated[str, Field(max_length=32)]
    reason: Annotated[str, Field(max_length=1000)] = ""


class CaseNoted(View):
    id: str
    case_id: str


class Assigned(View):
    case_id: str
    assigned_to: str


class LetterView(View):
    """The message of the proposed action as one trader gets it."""

    trader_id: str
    trader_name: str
    subject: str
    body: str


class Letters(View):
    items: tuple[LetterView, ...]


class CaseTrades(View):
    items: tuple[CaseTradeView, ...]


@router.get("/cases", dependencies=[Depends(allowed("cases.read"))])
async def list_cases(
    deps: Deps, page: Paged, asked: Annotated[Asked, Depends(asked_of(cases.CASES))]
) -> Page[cases.CaseRow]:
    async with deps.db.transaction() as session:
        return await cases.page(session, page, asked)


@router.get("/cases/{case_id}", dependencies=[Depends(allowed("cases.read"))])
async def get_case(case_id: CaseId, deps: Deps) -> cases.CaseView:
    async with deps.db.transaction() as session:
        return await cases.one(session, case_id)


@router.get("/cases/{case_id}/trades", dependencies=[Depends(allowed("cases.read"))])
async def list_case_trades(case_id: CaseId, deps: Deps) -> CaseTrades:
    """The trades of the blamed accounts with the largest profits, and why a deduction cannot name one."""
    async with deps.db.transaction() as session:
        return CaseTrades(items=await cases.trades(session, await cases.one(session, case_id)))


@router.post("/cases/{case_id}/actions", status_code=201, dependencies=[Depends(allowed("cases.decide"))])
async def propose_action(case_id: CaseId, body: ActionBody, once: Keyed) -> ActionProposed:
    """Propose what is done: warn, deduct the profit of named trades, deny named payouts, or close the blamed accounts.
    It takes the place of an earlier proposal. A warning is sent with `POST /v1/cases/{id}/warn`; what costs the trader
    money needs a second person, with `deduct`, `deny` or `confirm`. Until then nothing changes."""

    async def work(session: AsyncSession) -> ActionProposed:
        row = await case_actions.propose(
            session,
            case_id,
            action=body.action,
            rule=body.rule,
            message=body.message,
            trades=[(trade.account, trade.position) for trade in body.trades],
            payouts=body.payouts,
            actor=once.actor,
            reason=body.reason,
        )
        return await proposed(session, row)

    return await once.write(ActionProposed, body, work)


@router.get("/cases/{case_id}/letters", dependencies=[Depends(allowed("cases.read"))])
async def list_case_letters(case_id: CaseId, deps: Deps) -> Letters:
    """The message of the proposed or decided action as each trader gets it."""
    async with deps.db.transaction() as session:
        await cases.state(session, case_id)
        known = await case_evidence.of(session, case_id)
        made = await case_actions.proposed(session, case_id) or await case_actions.in_force(session, case_id)
        found = await case_messages.letters(session, known, made) if made else []
        return Letters(
            items=tuple(
                LetterView(trader_id=one.trader_id, trader_name=one.trader_name, subject=one.subject, body=one.body)
                for one in found
            )
        )


@router.post("/cases/{case_id}/notes", status_code=201, dependencies=[Depends(allowed("cases.decide"))])
async def add_case_note(case_id: CaseId, body: CaseNoteBody, once: Keyed) -> CaseNoted:
    """Note something about a case. A note is never changed."""

    async def work(session: AsyncSession) -> CaseNoted:
        return CaseNoted(
            id=(await firm_cases.note(session, case_id, body=body.body, actor=once.actor)).id, case_id=case_id
        )

    return await once.write(CaseNoted, body, work)


@router.post("/cases/{case_id}/assign", dependencies=[Depends(allowed("cases.decide"))])
async def assign_case(case_id: CaseId, body: AssignBody, once: Keyed) -> Assigned:
    """Claim an open case, hand it over, or leave it to nobody. Everybody with the right can still decide it."""

    async def work(session: AsyncSession) -> Assigned:
        row = await firm_cases.assign(session, case_id, to=body.to, actor=once.actor, reason=body.reason)
        return Assigned(case_id=row.id, assigned_to=row.assigned_to or "")

    return await once.write(Assigned, body, work)


@router.get("/surveillance/precision", dependencies=[Depends(allowed("cases.read"))])
async def read_precision(
    deps: Deps, pattern: Annotated[str, Query(pattern=r"^[a-z_]{1,24}$")] | None = None
) -> precision.Precision:
    """How often each pattern was right, by the version of its thresholds, with 95 % Wilson intervals; apart from it the
    cases whose score was hidden, and the sample below the threshold."""
    async with deps.db.transaction() as session:
        return await precision.by_pattern(session, None if pattern is None else [pattern])


@router.get("/reviews", dependencies=[Depends(allowed("reviews.read"))])
async def list_reviews(
    deps: Deps, page: Paged, status: Literal["open", "closed"] | None = None
) -> Page[reviews.ReviewView]:
    async with deps.db.transaction() as session:
        return await reviews.page(session, page, status=status)


@router.get("/reviews/{review_id}", dependencies=[Depends(allowed("reviews.read"))])
async def get_review(review_id: ReviewId, deps: Deps) -> reviews.ReviewView:
    async with deps.db.transaction() as session:
        return await reviews.one(session, review_id)
