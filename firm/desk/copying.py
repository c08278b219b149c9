"""What of a ticket is not at the desk yet, and what of it has arrived there."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain import record_keys
from firm import ticket_context, ticket_mails, tickets
from firm.held_answers import HELD
from store.models import DeskArticleRow, DeskTicketRow, Ticket, TicketMessage, User


@dataclass(frozen=True)
class Unsent:
    """A message that the desk does not have. `by`: the side that wrote it. `public`: the trader reads it."""

    message_id: str
    body: str
    by: Literal["trader", "firm"]
    public: bool

    @property
    def key(self) -> str:
        return record_keys.desk_message(self.message_id)


@dataclass(frozen=True)
class Copy:
    """A ticket as it is to be at the desk. `customer`: the address of the person whose ticket it is. `tried_since`:
    when it was first tried to open it there; None: it is tried now for the first time. `round`, `opened_id`, `now_id`:
    as in the record. `merged_into`: the ticket that it was merged into here."""

    ticket_id: str
    round: int
    subject: str
    customer: str
    tried_since: datetime | None
    opened_id: str | None
    now_id: str | None
    noted: bool
    solved: bool
    merged_into: str | None
    unsent: tuple[Unsent, ...]

    @property
    def key(self) -> str:
        return record_keys.desk_ticket(self.ticket_id, self.round)


async def prepare(session: AsyncSession, desk: str, ticket_id: str) -> Copy | None:
    """Returns what is to be copied, and records that it is begun: commit before the desk is called. None for a ticket
    of somebody without an address."""
    ticket = await session.get_one(Ticket, ticket_id)
    customer = await ticket_mails.address_of(session, ticket)
    if customer is None:
        return None
    row = insert(DeskTicketRow).values(
        ticket_id=ticket_id, desk=desk, trader_id=ticket.trader_id, begun_at=datetime.now(UTC)
    )
    made = await session.scalar(row.on_conflict_do_nothing().returning(DeskTicketRow.ticket_id))
    known = await session.get_one(DeskTicketRow, (ticket_id, desk))
    return Copy(
        ticket_id=ticket_id,
        round=known.round,
        subject=ticket.subject,
        customer=customer,
        tried_since=None if made else known.begun_at,
        opened_id=known.opened_id,
        now_id=known.now_id,
        noted=known.noted,
        solved=ticket.state == "solved",
        merged_into=ticket.root_id,
        unsent=await _unsent(session, desk, [ticket_id]),
    )


async def _unsent(session: AsyncSession, desk: str, ticket_ids: Sequence[str]) -> tuple[Unsent, ...]:
    there = select(DeskArticleRow.message_id).where(
        DeskArticleRow.desk == desk, DeskArticleRow.message_id == TicketMessage.id
    )
    found = await session.execute(
        select(TicketMessage, User.role)
        .outerjoin(User, User.id == TicketMessage.author_id)
        .where(TicketMessage.ticket_id.in_(ticket_ids), TicketMessage.kind != HELD, ~there.exists())
        .order_by(TicketMessage.recorded_at, TicketMessage.id)
    )
    return tuple(
        Unsent(
            message_id=message.id,
            body=message.body,
            by="trader" if role in ("trader", None) and message.desk_author is None else "firm",
            public=message.kind == tickets.PUBLIC,
        )
        for message, role in found
    )


async def all_sent(session: AsyncSession, desk: str, ticket_ids: Sequence[str]) -> bool:
    """Returns whether the desk has every message of these tickets that the trader reads."""
    return not any(each.public for each in await _unsent(session, desk, ticket_ids))


async def opened(
    session: AsyncSession, desk: str, ticket_id: str, *, opened_id: str, customer_id: str, at: datetime
) -> None:
    row = await session.get_one(DeskTicketRow, (ticket_id, desk), with_for_update=True)
    row.opened_id = row.now_id = opened_id
    row.customer_id, row.written_at = customer_id, at


async def sent(session: AsyncSession, desk: str, message_id: str, article_id: str) -> None:
    """The message is the article `article_id` there."""
    message = await session.get_one(TicketMessage, message_id)
    trader_id = await session.scalar(select(Ticket.trader_id).where(Ticket.id == message.ticket_id))
    row = {"desk": desk, "article_id": article_id, "message_id": message_id, "trader_id": trader_id}
    await session.execute(insert(DeskArticleRow).values(row).on_conflict_do_nothing())


async def written(
    session: AsyncSession, desk: str, ticket_id: str, at: datetime | None = None, *, noted: bool = False
) -> None:
    """`at`: the desk's time of a change by us."""
    row = await session.get_one(DeskTicketRow, (ticket_id, desk), with_for_update=True)
    row.noted = row.noted or noted
    if at is not None:
        row.written_at = max(at, row.written_at or at)


async def merged(session: AsyncSession, desk: str, ticket_id: str, now_id: str) -> None:
    """The ticket was merged there into the one that has its articles now."""
    row = await session.get_one(DeskTicketRow, (ticket_id, desk), with_for_update=True)
    row.now_id = now_id


async def an_article_of(session: AsyncSession, desk: str, ticket_id: str) -> str | None:
    """Returns the id of an article that was made on this very ticket."""
    found: str | None = await session.scalar(
        select(DeskArticleRow.article_id)
        .join(TicketMessage, TicketMessage.id == DeskArticleRow.message_id)
        .where(DeskArticleRow.desk == desk, TicketMessage.ticket_id == ticket_id)
        .order_by(TicketMessage.recorded_at)
        .limit(1)
    )
    return found


async def place_of(session: AsyncSession, desk: str, ticket_id: str) -> str | None:
    """Returns where a ticket is at the desk now; None when it is not there."""
    row = await session.get(DeskTicketRow, (ticket_id, desk))
    return None if row is None else row.now_id


async def note_for_desk(session: AsyncSession, ticket_id: str, *, url: str, with_answers: bool) -> str:
    """Returns the note for the people of the desk: where the ticket is, and if the firm allows it, what the record
    says. Nothing is said of the ticket of somebody who is no trader, or did not prove to be one."""
    ticket = await session.get_one(Ticket, ticket_id)
    lines = [f"In PropOS, beside the live account: {url}/tickets/{ticket_id}"]
    if ticket.trader_id is None:
        return f"{lines[0]}\nThe sender is not known to be a trader. Say nothing about any account."
    if with_answers:
        context = await ticket_context.of(session, ticket)
        if context.account is not None:
            lines.append(f"Account {context.account.number}, {context.account.status}.")
        lines += [each.sentence for each in context.answers]
    return "\n".join(lines)
