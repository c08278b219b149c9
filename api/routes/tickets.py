"""Traders' questions and the answers to them."""

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from firm import held_answers, tickets
from front.auth import Caller, Deps, allowed
from front.fields import AccountId, Input, Line, MessageId, PayoutId, TicketId, Words, window
from front.lists import asked_of
from front.once import Keyed
from store.models import Ticket
from store.read import tickets as read
from store.read.listing import Asked
from store.read.pages import Page, View, Window

router = APIRouter(prefix="/v1", tags=["support"])
Reader = Annotated[Caller, Depends(allowed("tickets.read"))]


class TicketBody(Input):
    """`account_id` and `payout_id` say what it is about, if anything."""

    subject: Line
    body: Words
    account_id: AccountId | None = None
    payout_id: PayoutId | None = None


class MessageBody(Input):
    """For staff: `seen`, the id of the newest message that the person had read (nothing is sent when something arrived
    since); `fills`, what macros filled into the text."""

    body: Words
    seen: Annotated[str, Field(max_length=32)] | None = None
    fills: Annotated[tuple[Annotated[str, Field(pattern=r"^fil_[0-9a-z]{26}$")], ...], Field(max_length=10)] = ()


class TicketAnswer(View):
    id: str
    state: str


class AnswerTakenBack(View):
    ticket_id: str
    fills: tuple[str, ...]


def answer_of(ticket: Ticket) -> TicketAnswer:
    return TicketAnswer(id=ticket.id, state=ticket.state)


@router.post("/tickets", status_code=201, dependencies=[Depends(allowed("tickets.open"))])
async def open_ticket(body: TicketBody, once: Keyed) -> TicketAnswer:
    async def work(session: AsyncSession) -> TicketAnswer:
        ticket = await tickets.open_ticket(
            session,
            actor=once.actor,
            subject=body.subject,
            body=body.body,
            account_id=body.account_id,
            payout_id=body.payout_id,
        )
        return answer_of(ticket)

    return await once.write(TicketAnswer, body, work)


@router.get("/tickets")
async def list_tickets(
    caller: Reader,
    deps: Deps,
    page: Annotated[Window, Depends(window)],
    asked: Annotated[Asked, Depends(asked_of(read.TICKETS))],
    snoozed: read.Aside = "with",
    mine: bool = False,
) -> Page[read.TicketRow]:
    """`snoozed` and `mine` (tickets that the caller has claimed) are for staff. Sorted by `due`, the list has only
    tickets whose clock runs."""
    desk = read.AtDesk(snoozed, caller.actor.user_id if mine else None)
    async with deps.db.transaction() as session:
        return await read.page(session, caller.scope, page, asked, desk=desk)


@router.get("/tickets/{ticket_id}")
async def get_ticket(ticket_id: TicketId, caller: Reader, deps: Deps) -> read.TicketView:
    async with deps.db.transaction() as session:
        return await read.one(session, caller.scope, ticket_id)


@router.post("/tickets/{ticket_id}/messages", status_code=201, dependencies=[Depends(allowed("tickets.write"))])
async def write_message(ticket_id: TicketId, body: MessageBody, once: Keyed) -> TicketAnswer:
    """Either side writes; the other has to act next. A message to a ticket that was merged goes to the one that it was
    merged into, which is the one in the answer."""

    async def work(session: AsyncSession) -> TicketAnswer:
        ticket = await tickets.reply(
            session, ticket_id=ticket_id, actor=once.actor, body=body.body, seen=body.seen, fills=body.fills
        )
        return answer_of(ticket)

    return await once.write(TicketAnswer, body, work)


@router.post("/tickets/{ticket_id}/messages/{message_id}/take-back", dependencies=[Depends(allowed("tickets.write"))])
async def take_message_back(ticket_id: TicketId, message_id: MessageId, once: Keyed) -> AnswerTakenBack:
    """Take your own answer back before its mail has left. `fills` can be used again."""

    async def work(session: AsyncSession) -> AnswerTakenBack:
        taken = await held_answers.take_back(session, ticket_id=ticket_id, message_id=message_id, actor=once.actor)
        return AnswerTakenBack(ticket_id=taken.ticket_id, fills=taken.fills)

    return await once.write(AnswerTakenBack, None, work)


@router.post("/tickets/{ticket_id}/solve", dependencies=[Depends(allowed("tickets.solve"))])
async def solve_ticket(ticket_id: TicketId, once: Keyed) -> TicketAnswer:
    async def work(session: AsyncSession) -> TicketAnswer:
        return answer_of(await tickets.solve(session, ticket_id=ticket_id, actor=once.actor, site=once.deps.public_url))

    return await once.write(TicketAnswer, None, work)
