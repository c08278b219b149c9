"""An answer of the firm that waits for some seconds before it leaves, so that whoever wrote it can take it back.

While it waits it counts for nothing: the trader does not see it, and neither the state of the ticket nor a clock moves.
The relay lets it go once its time has come, whatever becomes of its mail. Whatever goes on with the ticket before
(another message, its solution, a merge) lets it go first, so that the order of the conversation is the order in which
it was written.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import literal, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.approvals import Actor
from domain.errors import Conflict, NotFound
from domain.tickets import TICKET
from firm import messages, ticket_steps
from firm.desk import in_force
from firm.service import clocks
from store import audit
from store.clock import market_now
from store.db import as_firm
from store.models import OutgoingMailRow, Ticket, TicketFill, TicketMessage, User

HELD: Final = "held"
WAIT: Final = timedelta(seconds=10)
_PUBLIC: Final = "public"
_WITHDRAWN: Final = "withdrawn"


@dataclass(frozen=True, slots=True)
class TakenBack:
    """`mail_id`: the mail that did not leave; it keeps the text. `fills`: what macros had filled in."""

    ticket_id: str
    mail_id: str
    fills: tuple[str, ...]


def moment() -> datetime:
    """Returns when an answer of now leaves."""
    return datetime.now(UTC) + WAIT


async def let_go(session: AsyncSession, ticket: Ticket) -> None:
    """Lets every answer of a locked ticket go that still waits. Its mail is due at once."""
    waiting = select(TicketMessage).where(TicketMessage.ticket_id == ticket.id, TicketMessage.kind == HELD)
    async with as_firm(session):  # a trader who writes meanwhile does not see it
        for message in (await session.scalars(waiting.order_by(TicketMessage.recorded_at, TicketMessage.id))).all():
            await _count(session, ticket, message)
            mail = await _mail_of(session, message)
            if mail is not None:
                mail.not_before = None
                await messages.hurry_mail(session, mail.id)


async def due(session: AsyncSession, *, limit: int) -> list[str]:
    """Returns the answers that still wait although their time has come, the oldest first: at most `limit` ids of
    messages."""
    mail = OutgoingMailRow
    found = await session.scalars(
        select(TicketMessage.id)
        .join(mail, (mail.ticket_id == TicketMessage.ticket_id) & (mail.ticket_message_id == TicketMessage.id))
        # as a literal: a plan for any kind cannot use the index of those that are held
        .where(TicketMessage.kind == literal(HELD, literal_execute=True), mail.not_before <= datetime.now(UTC))
        .order_by(mail.not_before, TicketMessage.id)
        .limit(limit)
    )
    return list(found)


async def let_go_due(session: AsyncSession, message_id: str) -> bool:
    """Lets an answer go whose time has come. Returns whether it still waited: it may have left, or been taken back. The
    lock of the ticket makes it one of both."""
    ticket_id = await session.scalar(select(TicketMessage.ticket_id).where(TicketMessage.id == message_id))
    if ticket_id is None:
        return False
    ticket = await ticket_steps.locked_root(session, ticket_id)
    message = await session.get(TicketMessage, message_id, populate_existing=True)
    if message is None or message.kind != HELD:
        return False
    await _count(session, ticket, message)
    return True


async def let_go_with_mail(session: AsyncSession, mail_id: str) -> float:
    """Lets the answer go that a mail carries, if the mail is the first to come. Returns the seconds that it still has
    to wait: 0 when the mail may leave. The ticket is locked before its mail, as everywhere."""
    found = await session.execute(
        select(OutgoingMailRow.ticket_message_id, OutgoingMailRow.not_before).where(OutgoingMailRow.id == mail_id)
    )
    row = found.one_or_none()
    if row is None or row.not_before is None or row.ticket_message_id is None:
        return 0.0
    left = (row.not_before - datetime.now(UTC)).total_seconds()
    if left > 0:
        return float(left)
    await let_go_due(session, row.ticket_message_id)
    return 0.0


async def _count(session: AsyncSession, ticket: Ticket, message: TicketMessage) -> None:
    """From now on the answer is a message like any other."""
    author = await session.get_one(User, message.author_id)
    message.kind = _PUBLIC
    ticket.snoozed_at = ticket.snoozed_until = None
    if TICKET.allows(ticket.state, "firm_replied"):  # one that was held on a solved ticket must not stop what follows
        await ticket_steps.move(session, ticket, author.id, author.role, "firm_replied")
    await clocks.note(session, ticket, "answered")
    await in_force.told(session, ticket.id, cause=f"{message.id}/left")


async def _mail_of(session: AsyncSession, message: TicketMessage) -> OutgoingMailRow | None:
    found = select(OutgoingMailRow).where(OutgoingMailRow.key == mail_key(message.id)).with_for_update(key_share=True)
    mail: OutgoingMailRow | None = await session.scalar(found)
    return mail


def mail_key(message_id: str) -> str:
    """The business key of the mail that carries a message of a ticket."""
    return f"ticket/{message_id}"


async def take_back(session: AsyncSession, *, ticket_id: str, message_id: str, actor: Actor) -> TakenBack:
    """Whoever wrote an answer takes it back before it leaves. Raises NotFound, Conflict (it has left)."""
    ticket = await ticket_steps.locked_root(session, ticket_id)
    message = await session.get(TicketMessage, message_id, populate_existing=True)
    if message is None or message.ticket_id != ticket.id or message.author_id != actor.user_id:
        raise NotFound
    mail = await _mail_of(session, message)
    if message.kind != HELD or mail is None:
        raise Conflict("This answer has left.", remedy="Write another one that puts it right.")
    mail.state, mail.ticket_message_id = _WITHDRAWN, None
    freed = update(TicketFill).where(TicketFill.message_id == message.id).values(message_id=None)
    fills = tuple(sorted(await session.scalars(freed.returning(TicketFill.id))))
    await session.flush()
    await session.delete(message)
    await session.flush()
    await audit.record(
        session,
        action="ticket.answer_taken_back",
        subject_kind="ticket",
        subject_id=ticket.id,
        occurred_at=await market_now(session),
        actor=actor.user_id,
        role=actor.role,
    )
    return TakenBack(ticket.id, mail.id, fills)


async def text_of(session: AsyncSession, ticket_id: str, mail_id: str) -> str:
    """Returns the text of an answer that was taken back; empty when there is none of this id."""
    mail = await session.get(OutgoingMailRow, mail_id)
    if mail is None or mail.state != _WITHDRAWN or mail.ticket_id != ticket_id:
        return ""
    return mail.body
