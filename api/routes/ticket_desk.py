"""The desk of support: claims, notes, snoozing, merging, macros, ratings, clocks, and what the record says beside a
ticket."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import AwareDatetime, Field
from sqlalchemy.ext.asyncio import AsyncSession

from api.routes.tickets import TicketAnswer, TicketBody, answer_of
from domain.service.policy import ServicePolicy
from firm import ticket_context, ticket_desk, ticket_macros, ticket_merging, ticket_ratings, ticket_steps, tickets
from firm.service import policy as policies
from firm.service import sums
from front.auth import Caller, Deps, allowed
from front.fields import Input, MacroId, TicketId, TraderId, Words
from front.once import Keyed, Once
from store.models import Ticket, TicketMacro
from store.read.pages import View

router = APIRouter(prefix="/v1", tags=["support"])
_WORKS = [Depends(allowed("tickets.work"))]
_READS = [Depends(allowed("tickets.context"))]
Work = Callable[[AsyncSession], Awaitable[Ticket]]


class ClaimBody(Input):
    take_over: bool = False


class SnoozeBody(Input):
    """`until`: a moment in wall time; without it until the trader writes."""

    until: AwareDatetime | None = None


class TicketNoteBody(Input):
    body: Words
    seen: Annotated[str, Field(max_length=32)] | None = None


class MergeBody(Input):
    into: Annotated[str, Field(pattern=r"^tkt_[0-9a-z]{26}$")]


class LookBody(Input):
    writing: bool = False


class RatingBody(Input):
    score: Annotated[int, Field(ge=1, le=5)]
    comment: Annotated[str, Field(max_length=ticket_ratings.MAX_COMMENT)] = ""


class MacroBody(Input):
    """`body`: with placeholders such as {{payout.amount}}; the names are in `facts` of the list."""

    name: Annotated[str, Field(min_length=1, max_length=ticket_macros.MAX_NAME)]
    body: Words


class TicketNoted(View):
    id: str
    ticket_id: str


class LookingView(View):
    user_id: str
    name: str
    writing: bool


class Rated(View):
    ticket_id: str
    score: int


class MacroView(View):
    id: str
    name: str
    body: str
    version: int


class FilledView(View):
    """`id` goes into `fills` of the message. `facts`: what was filled in, as it was at `as_of` (market time)."""

    id: str
    text: str
    facts: dict[str, str]
    as_of: datetime


class ServicePolicyView(View):
    """`number`: of the version; 0 before one was published."""

    number: int
    policy: ServicePolicy


def _macro(row: TicketMacro) -> MacroView:
    return MacroView(id=row.id, name=row.name, body=row.body, version=row.version)


@router.post("/traders/{trader_id}/tickets", status_code=201, dependencies=[Depends(allowed("tickets.open_for"))])
async def open_ticket_for_trader(trader_id: TraderId, body: TicketBody, once: Keyed) -> TicketAnswer:
    """The firm writes first: the ticket waits for the trader."""

    async def work(session: AsyncSession) -> TicketAnswer:
        ticket = await tickets.open_for(
            session,
            actor=once.actor,
            trader_id=trader_id,
            subject=body.subject,
            body=body.body,
            account_id=body.account_id,
            payout_id=body.payout_id,
        )
        return answer_of(ticket)

    return await once.write(TicketAnswer, body, work)


@router.post("/tickets/{ticket_id}/notes", status_code=201, dependencies=_WORKS)
async def write_ticket_note(ticket_id: TicketId, body: TicketNoteBody, once: Keyed) -> TicketNoted:
    """Only staff reads it, and it stops no clock."""

    async def work(session: AsyncSession) -> TicketNoted:
        made = await tickets.note(session, ticket_id=ticket_id, actor=once.actor, body=body.body, seen=body.seen)
        return TicketNoted(id=made.id, ticket_id=made.ticket_id)

    return await once.write(TicketNoted, body, work)


@router.post("/tickets/{ticket_id}/claim", dependencies=_WORKS)
async def claim_ticket(ticket_id: TicketId, body: ClaimBody, once: Keyed) -> TicketAnswer:
    """For some minutes, which every activity prolongs."""

    async def work(session: AsyncSession) -> Ticket:
        return await ticket_desk.claim(session, ticket_id=ticket_id, actor=once.actor, take_over=body.take_over)

    return await _answered(once, body, work)


@router.post("/tickets/{ticket_id}/release", dependencies=_WORKS)
async def release_ticket(ticket_id: TicketId, once: Keyed) -> TicketAnswer:
    async def work(session: AsyncSession) -> Ticket:
        return await ticket_desk.release(session, ticket_id=ticket_id, actor=once.actor)

    return await _answered(once, None, work)


@router.post("/tickets/{ticket_id}/snooze", dependencies=_WORKS)
async def snooze_ticket(ticket_id: TicketId, body: SnoozeBody, once: Keyed) -> TicketAnswer:
    async def work(session: AsyncSession) -> Ticket:
        return await ticket_desk.snooze(session, ticket_id=ticket_id, actor=once.actor, until=body.until)

    return await _answered(once, body, work)


@router.post("/tickets/{ticket_id}/wake", dependencies=_WORKS)
async def wake_ticket(ticket_id: TicketId, once: Keyed) -> TicketAnswer:
    async def work(session: AsyncSession) -> Ticket:
        return await ticket_desk.wake(session, ticket_id=ticket_id, actor=once.actor)

    return await _answered(once, None, work)


@router.post("/tickets/{ticket_id}/merge", dependencies=_WORKS)
async def merge_ticket(ticket_id: TicketId, body: MergeBody, once: Keyed) -> TicketAnswer:
    """The answer is the ticket at the end of the chain."""

    async def work(session: AsyncSession) -> Ticket:
        return await ticket_merging.merge(session, source_id=ticket_id, target_id=body.into, actor=once.actor)

    return await _answered(once, body, work)


@router.post("/tickets/{ticket_id}/split", dependencies=_WORKS)
async def split_ticket(ticket_id: TicketId, once: Keyed) -> TicketAnswer:
    """Undoes the merge of this ticket."""

    async def work(session: AsyncSession) -> Ticket:
        return await ticket_merging.split(session, source_id=ticket_id, actor=once.actor)

    return await _answered(once, None, work)


async def _answered(once: Once, body: Input | None, work: Work) -> TicketAnswer:
    async def done(session: AsyncSession) -> TicketAnswer:
        return answer_of(await work(session))

    return await once.write(TicketAnswer, body, done)


@router.put("/tickets/{ticket_id}/looking", dependencies=_WORKS)
async def look_at_ticket(
    ticket_id: TicketId, body: LookBody, caller: Annotated[Caller, Depends(allowed("tickets.work"))], deps: Deps
) -> list[LookingView]:
    """Says that you have the ticket open, and answers who else has."""
    async with deps.db.transaction() as session:
        there = await ticket_desk.look(session, ticket_id=ticket_id, actor=caller.actor, writing=body.writing)
    return [LookingView(user_id=each.user_id, name=each.name, writing=each.writing) for each in there]


@router.get("/tickets/{ticket_id}/context", dependencies=_READS)
async def get_ticket_context(ticket_id: TicketId, deps: Deps) -> ticket_context.TicketContext:
    """The account beside the ticket, what is in the way of a payout, and the likely answer."""
    async with deps.db.transaction() as session:
        ticket = await session.get_one(Ticket, await ticket_steps.root_of(session, ticket_id))
        return await ticket_context.of(session, ticket, calendars=deps.calendars)


@router.get("/tickets/{ticket_id}/clocks", dependencies=_READS)
async def get_ticket_clocks(ticket_id: TicketId, deps: Deps) -> list[sums.ClockSum]:
    """Every clock with the days that add up to its deadline."""
    async with deps.db.transaction() as session:
        return await sums.of_ticket(session, await ticket_steps.root_of(session, ticket_id))


@router.post("/tickets/{ticket_id}/rating", dependencies=[Depends(allowed("tickets.rate"))])
async def rate_ticket(ticket_id: TicketId, body: RatingBody, once: Keyed) -> Rated:
    """A trader rates how their ticket was solved, from 1 to 5."""

    async def work(session: AsyncSession) -> Rated:
        await ticket_ratings.rate(
            session, ticket_id=ticket_id, actor=once.actor, score=body.score, comment=body.comment
        )
        return Rated(ticket_id=ticket_id, score=body.score)

    return await once.write(Rated, body, work)


@router.post("/tickets/{ticket_id}/macros/{macro_id}", status_code=201, dependencies=_WORKS)
async def fill_macro(ticket_id: TicketId, macro_id: MacroId, once: Keyed) -> FilledView:
    """Fills a macro in with facts of this moment. It refuses when one is missing. The answer names a person, so it is
    not kept: a repeated request fills it in anew."""
    async with once.deps.db.transaction() as session:
        made = await ticket_macros.fill(
            session, ticket_id=ticket_id, macro_id=macro_id, actor=once.actor, calendars=once.deps.calendars
        )
    return FilledView(id=made.id, text=made.text, facts=made.facts, as_of=made.as_of)


@router.get("/macros", dependencies=[Depends(allowed("macros.read"))])
async def list_macros(deps: Deps) -> list[MacroView]:
    async with deps.db.transaction() as session:
        return [_macro(row) for row in await ticket_macros.in_use(session)]


@router.post("/macros", status_code=201, dependencies=[Depends(allowed("macros.change"))])
async def write_macro(body: MacroBody, once: Keyed) -> MacroView:
    async def work(session: AsyncSession) -> MacroView:
        return _macro(await ticket_macros.save(session, actor=once.actor, name=body.name, body=body.body))

    return await once.write(MacroView, body, work)


@router.post("/macros/{macro_id}", dependencies=[Depends(allowed("macros.change"))])
async def change_macro(macro_id: MacroId, body: MacroBody, once: Keyed) -> MacroView:
    async def work(session: AsyncSession) -> MacroView:
        row = await ticket_macros.save(session, actor=once.actor, name=body.name, body=body.body, macro_id=macro_id)
        return _macro(row)

    return await once.write(MacroView, body, work)


@router.post("/macros/{macro_id}/retire", dependencies=[Depends(allowed("macros.change"))])
async def retire_macro(macro_id: MacroId, once: Keyed) -> MacroView:
    async def work(session: AsyncSession) -> MacroView:
        return _macro(await ticket_macros.retire(session, actor=once.actor, macro_id=macro_id))

    return await once.write(MacroView, None, work)


@router.get("/service-policy", dependencies=[Depends(allowed("service.read"))])
async def get_service_policy(deps: Deps) -> ServicePolicyView:
    """Business hours, targets and deadlines in force."""
    async with deps.db.transaction() as session:
        number, policy = await policies.in_force(session)
        return ServicePolicyView(number=number, policy=policy)
