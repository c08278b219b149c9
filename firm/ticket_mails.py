"""The conversation of a ticket by mail: answers go out, and Message-IDs tie mails to the ticket."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import BadInput
from domain.mail import threading
from firm import held_answers, mails
from store import crypto
from store.models import IncomingMailRow, MailReference, Ticket, TicketMessage, Trader

KIND: Final = "ticket"
_KEPT_REFERENCES: Final = 40


async def send_message(
    session: AsyncSession,
    ticket: Ticket,
    message: TicketMessage,
    *,
    automatic: bool,
    not_before: datetime | None = None,
) -> bool:
    """Sends a message of the firm to the person whose ticket it is, under the newest subject they wrote, and not before
    this wall time. Returns whether there is a mail: without a usable address the message is only on the page."""
    address = await address_of(session, ticket)
    if address is None:
        return False
    newest = await session.scalar(
        select(IncomingMailRow.subject)
        .where(IncomingMailRow.ticket_id == ticket.id, IncomingMailRow.state == "ticket")
        .order_by(IncomingMailRow.received_at.desc())
        .limit(1)
    )
    subject = ticket.subject if automatic else threading.answer_subject(newest or ticket.subject)
    try:
        await mails.send(
            session,
            to=address,
            subject=subject,
            body=message.body,
            automatic=automatic,
            key=held_answers.mail_key(message.id),
            kind=KIND,
            ticket_id=ticket.id,
            ticket_message_id=message.id,
            not_before=not_before,
        )
    except BadInput:  # an old record may have no usable address
        return False
    return True


async def address_of(session: AsyncSession, ticket: Ticket) -> str | None:
    """Returns the mail address of the person whose ticket it is."""
    if ticket.trader_id is None:
        return ticket.contact
    found: str | None = await session.scalar(select(Trader.email).where(Trader.id == ticket.trader_id))
    return found


def token(ticket_id: str) -> str:
    """Returns the tag of the Reply-To address."""
    return threading.token(ticket_id, crypto.keys().digest)


def named_by(recipients: Sequence[str]) -> str | None:
    """Returns the ticket that a genuine token among the recipients names."""
    return threading.ticket_of_token(recipients, crypto.keys().digest)


async def known_references(session: AsyncSession, ticket_id: str) -> list[str]:
    """Returns the Message-IDs of the conversation, oldest first, the newest mail's own last."""
    found = await session.scalars(
        select(MailReference.value).where(MailReference.ticket_id == ticket_id).order_by(MailReference.id)
    )
    return list(found)


async def remember(session: AsyncSession, ticket_id: str, values: Sequence[str], *, is_new: bool = False) -> None:
    """Adds Message-IDs to those of the ticket: ancestors that we never saw too, because two mails may share one.
    `is_new`: the ticket has none yet."""
    known = set() if is_new else set(await known_references(session, ticket_id))
    wanted = dict.fromkeys([*values[:-1][-_KEPT_REFERENCES:], *values[-1:]])
    rows = [
        {"ticket_id": ticket_id, "value": value, "value_index": crypto.keys().blind_index(value)}
        for value in wanted
        if value and value not in known
    ]
    if rows:  # their order is that of their ids
        await session.execute(insert(MailReference), rows)


async def tickets_of(session: AsyncSession, references: Sequence[str]) -> list[str]:
    """Returns the tickets that these Message-IDs name, the newest reference first."""
    found: list[str] = []
    keys = crypto.keys()
    wanted = {index: value for value in references for index in keys.blind_indexes(value)}
    if not wanted:
        return found
    rows = await session.execute(
        select(MailReference.ticket_id, MailReference.value_index)
        .where(MailReference.value_index.in_(list(wanted)))
        .order_by(MailReference.id)
    )
    by_value: dict[str, list[str]] = {}
    for ticket_id, index in rows:
        by_value.setdefault(wanted[index], []).append(ticket_id)
    for value in reversed(references):
        found += by_value.get(value, [])
    return list(dict.fromkeys(found))
