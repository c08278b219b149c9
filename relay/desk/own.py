"""Our own desk behind the port: people work on the record itself. So every effect that is asked for is on the record
already, or was never decided; nothing is made here."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import BadInput, Conflict, NotFound
from domain.record_keys import desk_message, desk_ticket
from domain.tickets import MERGED
from firm import ticket_steps, tickets
from firm.desk.in_force import OWN
from firm.held_answers import HELD
from firm.service import clocks
from ports.money import WebhookEvent
from ports.tickets import (
    ArticleOrder,
    DeskArticle,
    DeskCapabilities,
    DeskChanges,
    DeskState,
    DeskTicket,
    TicketOrder,
)
from store.db import Database
from store.models import Ticket, TicketMessage, Transition, User

CAPABILITIES: Final = DeskCapabilities(finds_at_once=True, pushes_changes=False, sends_mail=True, undoes_merges=True)
_BATCH: Final = 100
_STATES: Final[Mapping[str, DeskState]] = {"solved": "closed", MERGED: "merged"}


class OwnDesk:
    name = OWN

    def __init__(self, db: Database) -> None:
        self._db = db

    async def open_ticket(self, order: TicketOrder) -> DeskTicket:
        return await self.fetch_ticket(_id_in(order.key))

    async def find_ticket(self, key: str, since: datetime) -> DeskTicket | None:
        try:
            return await self.fetch_ticket(_id_in(key))
        except NotFound:
            return None

    async def fetch_ticket(self, ticket_id: str) -> DeskTicket:
        async with self._db.transaction() as session:
            return await _ticket(session, ticket_id)

    async def add_article(self, order: ArticleOrder) -> DeskArticle:
        found = await self.find_article(order.ticket_id, order.key)
        if found is None:
            raise NotFound
        return found

    async def find_article(self, ticket_id: str, key: str) -> DeskArticle | None:
        return next((each for each in await self.articles(ticket_id) if each.key == key), None)

    async def fetch_article(self, article_id: str) -> DeskArticle:
        async with self._db.transaction() as session:
            message = await session.get(TicketMessage, article_id)
            if message is None:
                raise NotFound
            root_id = await ticket_steps.root_of(session, message.ticket_id)
        return next(each for each in await self.articles(root_id) if each.article_id == article_id)

    async def articles(self, ticket_id: str) -> list[DeskArticle]:
        async with self._db.transaction() as session:
            if await ticket_steps.root_of(session, ticket_id) != ticket_id:
                return []  # they are with the ticket that it was merged into
            found = await session.execute(
                select(TicketMessage, User.name, User.role)
                .outerjoin(User, User.id == TicketMessage.author_id)
                .where(TicketMessage.ticket_id.in_(await clocks.family(session, ticket_id)), TicketMessage.kind != HELD)
                .order_by(TicketMessage.recorded_at, TicketMessage.id)
            )
            begun, articles = set[str](), list[DeskArticle]()
            for message, name, role in found:
                first = message.ticket_id not in begun
                begun.add(message.ticket_id)
                key = desk_ticket(message.ticket_id, 1) if first else desk_message(message.id)
                articles.append(_article(message, name, role, ticket_id, key))
            return articles

    async def close_ticket(self, ticket_id: str) -> DeskTicket:
        found = await self.fetch_ticket(ticket_id)
        if found.state != "closed":
            raise Conflict("The ticket is not solved.")
        return found

    async def merge_tickets(self, source_id: str, target_id: str) -> DeskTicket:
        async with self._db.transaction() as session:
            target = await _ticket(session, target_id)
            if await ticket_steps.root_of(session, source_id) != target_id or source_id == target_id:
                raise Conflict("The tickets are not merged.")
        return target

    async def changes(self, since: datetime) -> DeskChanges:
        written = select(TicketMessage.ticket_id.label("id"), TicketMessage.recorded_at.label("at")).where(
            TicketMessage.recorded_at >= since
        )
        moved = select(Transition.subject_id, Transition.recorded_at).where(
            Transition.subject_kind == "ticket", Transition.recorded_at >= since
        )
        both = written.union_all(moved).subquery()
        newest: Any = func.max(both.c.at)
        batch = select(both.c.id, newest).group_by(both.c.id).order_by(newest, both.c.id).limit(_BATCH)
        async with self._db.transaction() as session:
            rows = (await session.execute(batch)).all()
            found = tuple([await _ticket(session, ticket_id) for ticket_id, _ in rows])
        return DeskChanges(tickets=found, until=rows[-1][1] if rows else None, complete=len(rows) < _BATCH)

    def parse_webhook(self, body: bytes, headers: Mapping[str, str], now: datetime) -> WebhookEvent:
        raise BadInput("Our own desk calls no webhook.")

    async def healthy(self) -> str:
        return "people work here"

    async def aclose(self) -> None:
        return None


def _id_in(key: str) -> str:
    """Returns the ticket that a key names."""
    return [*key.split("/"), ""][1]


async def _ticket(session: AsyncSession, ticket_id: str) -> DeskTicket:
    ticket = await session.get(Ticket, ticket_id)
    if ticket is None:
        raise NotFound
    written = await session.scalar(
        select(func.max(TicketMessage.recorded_at)).where(TicketMessage.ticket_id == ticket_id)
    )
    moved = await session.scalar(
        select(func.max(Transition.recorded_at)).where(
            Transition.subject_kind == "ticket", Transition.subject_id == ticket_id
        )
    )
    return DeskTicket(
        ticket_id=ticket.id,
        key=desk_ticket(ticket.id, 1),
        customer_id=ticket.trader_id or ticket.contact or "",
        state=_STATES.get(ticket.state, "open"),
        changed_at=max(at for at in (ticket.recorded_at, written, moved) if at is not None),
    )


def _article(message: TicketMessage, name: str | None, role: str | None, root_id: str, key: str) -> DeskArticle:
    by_firm = message.desk_author is not None or role not in ("trader", None)
    return DeskArticle(
        article_id=message.id,
        ticket_id=root_id,
        key=key,
        by="system" if message.automatic else "firm" if by_firm else "trader",
        public=message.kind == tickets.PUBLIC,
        mailed=by_firm and message.kind == tickets.PUBLIC,
        author=message.desk_author or name or "",
        body=message.body,
        written_at=message.recorded_at,
    )
