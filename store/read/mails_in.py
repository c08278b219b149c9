"""Mail that came in and its files, as staff see them; a trader sees those of their own tickets."""

import base64
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import NotFound
from store import crypto
from store.models import IncomingMailRow, MailAttachment, MailAttachmentPart, Ticket
from store.read.pages import Page, View, Window, keyset
from store.scope import Scope


class FileView(View):
    """A file of a mail. `size`: bytes."""

    id: str
    name: str
    media_type: str
    size: int
    sha256: str


class IncomingMailView(View):
    """`state`: ticket, automatic, bounce, ours or held; `why`: what told it. `whole`: the text with its quotes.
    `left_out`: files that were not taken, and why. `ticket_message_id`: the message that it became."""

    id: str
    state: str
    why: str
    sender: str
    subject: str
    whole: str
    left_out: tuple[str, ...]
    trusted: bool
    ticket_id: str | None
    ticket_message_id: str | None
    received_at: datetime
    files: tuple[FileView, ...]


async def page(
    session: AsyncSession, window: Window, *, state: str | None = None, sender: str | None = None
) -> Page[IncomingMailView]:
    """Of the whole firm, newest first."""
    statement: Any = select(IncomingMailRow)
    if state is not None:
        statement = statement.where(IncomingMailRow.state == state)
    if sender is not None:
        statement = statement.where(IncomingMailRow.sender_index.in_(crypto.keys().blind_indexes(sender)))
    rows, cursor = await keyset(session, statement, [IncomingMailRow.received_at, IncomingMailRow.id], window)
    items = await _views(session, [row[0] for row in rows])
    return Page[IncomingMailView](items=items, next_cursor=cursor)


async def of_ticket(session: AsyncSession, scope: Scope, ticket_id: str) -> tuple[IncomingMailView, ...]:
    """Returns the mails of a ticket, oldest first; a trader gets those that are messages. Raises NotFound."""
    known = await session.scalar(select(Ticket.id).where(Ticket.id == ticket_id, scope.own(Ticket.trader_id)))
    if known is None:
        raise NotFound
    return await of_visible_ticket(session, scope, ticket_id)


async def of_visible_ticket(session: AsyncSession, scope: Scope, ticket_id: str) -> tuple[IncomingMailView, ...]:
    """As `of_ticket`. The caller has checked that `scope` may see the ticket."""
    statement = select(IncomingMailRow).where(IncomingMailRow.ticket_id == ticket_id)
    if not scope.staff:
        statement = statement.where(IncomingMailRow.state == "ticket")
    rows = await session.scalars(statement.order_by(IncomingMailRow.received_at, IncomingMailRow.id).limit(500))
    return await _views(session, list(rows))


async def _views(session: AsyncSession, rows: Sequence[IncomingMailRow]) -> tuple[IncomingMailView, ...]:
    if not rows:
        return ()
    files: dict[str, list[FileView]] = {}
    found = await session.scalars(
        select(MailAttachment).where(MailAttachment.mail_id.in_([row.id for row in rows])).order_by(MailAttachment.id)
    )
    for file in found:
        view = FileView(id=file.id, name=file.name, media_type=file.media_type, size=file.size, sha256=file.sha256)
        files.setdefault(file.mail_id, []).append(view)
    return tuple(
        IncomingMailView(
            id=row.id,
            state=row.state,
            why=row.why,
            sender=row.sender,
            subject=row.subject,
            whole=row.whole,
            left_out=tuple(row.left_out.splitlines()),
            trusted=row.trusted,
            ticket_id=row.ticket_id,
            ticket_message_id=row.ticket_message_id,
            received_at=row.received_at,
            files=tuple(files.get(row.id, ())),
        )
        for row in rows
    )


async def file(session: AsyncSession, scope: Scope, file_id: str) -> FileView:
    """Returns a file that the caller may see. Raises NotFound."""
    statement = (
        select(MailAttachment)
        .join(IncomingMailRow, IncomingMailRow.id == MailAttachment.mail_id)
        .where(MailAttachment.id == file_id)
    )
    if not scope.staff:
        statement = statement.join(Ticket, Ticket.id == IncomingMailRow.ticket_id).where(
            scope.own(Ticket.trader_id), IncomingMailRow.state == "ticket"
        )
    found = (await session.scalars(statement)).one_or_none()
    if found is None:
        raise NotFound
    return FileView(id=found.id, name=found.name, media_type=found.media_type, size=found.size, sha256=found.sha256)


async def content(session: AsyncSession, file_id: str) -> AsyncIterator[bytes]:
    """Yields the bytes of a file, part after part."""
    numbers = await session.scalars(
        select(MailAttachmentPart.number)
        .where(MailAttachmentPart.attachment_id == file_id)
        .order_by(MailAttachmentPart.number)
    )
    for number in list(numbers):
        part = await session.scalar(
            select(MailAttachmentPart.content).where(
                MailAttachmentPart.attachment_id == file_id, MailAttachmentPart.number == number
            )
        )
        yield base64.b64decode(str(part))
