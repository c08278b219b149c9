"""Copies a ticket to the desk: opens it there, adds what is new, closes and merges it. It can be repeated at any point:
each effect has a key and is looked up before it is made again."""

from dataclasses import dataclass
from typing import Final

from domain import record_keys
from domain.errors import NotFound, OutcomeUnknown, Unavailable
from firm import messages
from firm.desk import copying
from firm.desk.copying import Copy, Unsent
from ports.tickets import ArticleOrder, DeskTicket, TicketDesk, TicketOrder
from relay.desk import reader
from store.db import Database

UNKNOWN_SECONDS: Final = 20.0  # longer than the desk works on a call whose answer was lost


@dataclass(frozen=True)
class DeskNotes:
    """The note on each ticket for the people of the desk. `url`: of the firm's console. `with_answers`: it says what
    the record says, else only where to read it."""

    url: str = ""
    with_answers: bool = False


async def copy(db: Database, desk: TicketDesk, notes: DeskNotes, ticket_id: str) -> None:
    """Raises what the calls of the desk raise; what arrived is recorded, and the next attempt goes on from there."""
    async with db.transaction() as session:
        plan = await copying.prepare(session, desk.name, ticket_id)
    if plan is None:
        return
    if plan.now_id is None:
        first = next((each for each in plan.unsent if each.public), None)
        if first is None:
            return
        plan = await _open(db, desk, plan, first)
    if not plan.noted:
        await _note(db, desk, notes, plan)
    if plan.unsent:
        await _add(db, desk, plan)
    if plan.merged_into is not None:
        await _merge(db, desk, plan)
    elif plan.solved:
        await _close(db, desk, plan)


async def _open(db: Database, desk: TicketDesk, plan: Copy, first: Unsent) -> Copy:
    """Opens the ticket with its oldest message that the trader reads."""
    found = None if plan.tried_since is None else await desk.find_ticket(plan.key, plan.tried_since)
    if found is None:
        order = TicketOrder(key=plan.key, title=plan.subject, body=first.body, customer=plan.customer, by=first.by)
        found = await desk.open_ticket(order)
    article = await desk.find_article(found.ticket_id, plan.key)
    if article is None:
        raise OutcomeUnknown("The desk does not show the ticket that it opened.", remedy="Nothing: it is looked up.")
    async with db.transaction() as session:
        await copying.opened(
            session,
            desk.name,
            plan.ticket_id,
            opened_id=found.ticket_id,
            customer_id=found.customer_id,
            at=found.changed_at,
        )
        await copying.sent(session, desk.name, first.message_id, article.article_id)
        opened = await copying.prepare(session, desk.name, plan.ticket_id)
    if opened is None or opened.now_id is None:
        raise NotFound
    return opened


async def _note(db: Database, desk: TicketDesk, notes: DeskNotes, plan: Copy) -> None:
    place, key = str(plan.now_id), record_keys.desk_note(plan.ticket_id, plan.round)
    if await desk.find_article(place, key) is None:
        async with db.transaction() as session:
            text = await copying.note_for_desk(session, plan.ticket_id, url=notes.url, with_answers=notes.with_answers)
        await desk.add_article(ArticleOrder(key=key, ticket_id=place, body=text, by="firm", public=False))
    async with db.transaction() as session:
        await copying.written(session, desk.name, plan.ticket_id, noted=True)


async def _add(db: Database, desk: TicketDesk, plan: Copy) -> None:
    ticket = await _where(db, desk, plan)
    there = {each.key: each for each in await desk.articles(ticket.ticket_id) if each.key is not None}
    for message in plan.unsent:
        article = there.get(message.key) or await desk.add_article(_order(ticket, message))
        async with db.transaction() as session:  # both at once: a close that was seen before this message is too old
            await copying.sent(session, desk.name, message.message_id, article.article_id)
            await copying.written(session, desk.name, plan.ticket_id, article.written_at)


def _order(ticket: DeskTicket, message: Unsent) -> ArticleOrder:
    """A trader's message opens a closed ticket again."""
    return ArticleOrder(
        key=message.key,
        ticket_id=ticket.ticket_id,
        body=message.body,
        by=message.by,
        public=message.public,
        reopens=ticket.state == "closed" and message.by == "trader" and message.public,
    )


async def _where(db: Database, desk: TicketDesk, plan: Copy) -> DeskTicket:
    """Returns the ticket of the desk that has the articles now. Raises OutcomeUnknown when it was merged there into one
    of another customer: the next attempt opens it anew."""
    place = str(plan.now_id)
    ticket = await desk.fetch_ticket(place)
    if ticket.state != "merged":
        return ticket
    await reader.follow(db, desk, place)
    async with db.transaction() as session:
        now = await copying.place_of(session, desk.name, plan.ticket_id)
    if now is None or now == place:
        raise OutcomeUnknown("The ticket was merged at the desk.", remedy="Nothing: it is copied again.")
    return await desk.fetch_ticket(now)


async def _close(db: Database, desk: TicketDesk, plan: Copy) -> None:
    ticket = await _where(db, desk, plan)
    closed = await desk.close_ticket(ticket.ticket_id)
    async with db.transaction() as session:
        await copying.written(session, desk.name, plan.ticket_id, closed.changed_at)


async def _merge(db: Database, desk: TicketDesk, plan: Copy) -> None:
    """Merges the ticket there as it was merged here. Raises Unavailable while the target is not there."""
    root_id = str(plan.merged_into)
    async with db.transaction() as session:
        target, source = [await copying.place_of(session, desk.name, each) for each in (root_id, plan.ticket_id)]
        if target is None:  # it is copied by its own message: two copies at once would write everything twice
            await messages.copy_to_desk(session, root_id, cause=plan.ticket_id)
    if target is None:
        raise Unavailable("The ticket that this one was merged into is not at the desk yet.")
    if source is None or source == target:
        return
    await desk.merge_tickets(source, target)
    async with db.transaction() as session:
        await copying.merged(session, desk.name, plan.ticket_id, target)
