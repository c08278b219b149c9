"""Outgoing mail and the addresses that take none any more, as staff see them."""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from store import crypto
from store.models import MailAddress, OutgoingMailRow
from store.read.pages import Page, View, Window, keyset

STATES: Final = ("waiting", "sent", "refused", "undeliverable", "bounced", "withdrawn")


class MailRow(View):
    """`state`: waiting, sent, refused, undeliverable, bounced or withdrawn. `error`: what the mail server said last."""

    id: str
    kind: str
    recipient: str
    subject: str
    automatic: bool
    ticket_id: str | None
    state: str
    attempts: int
    error: str | None
    recorded_at: datetime
    sent_at: datetime | None


class UnreachableAddress(View):
    """`code`: why nothing is sent there, such as 5.1.1."""

    id: str
    address: str
    code: str
    marked_at: datetime


async def page(
    session: AsyncSession,
    window: Window,
    *,
    state: str | None = None,
    recipient: str | None = None,
    ticket_id: str | None = None,
) -> Page[MailRow]:
    """Newest first. `recipient`: a whole address."""
    statement: Any = select(OutgoingMailRow)
    if state is not None:
        statement = statement.where(OutgoingMailRow.state == state)
    if recipient is not None:
        statement = statement.where(OutgoingMailRow.recipient_index.in_(crypto.keys().blind_indexes(recipient)))
    if ticket_id is not None:
        statement = statement.where(OutgoingMailRow.ticket_id == ticket_id)
    rows, cursor = await keyset(session, statement, [OutgoingMailRow.recorded_at, OutgoingMailRow.id], window)
    names = MailRow.model_fields
    items = tuple(MailRow(**{name: getattr(row[0], name) for name in names}) for row in rows)
    return Page[MailRow](items=items, next_cursor=cursor)


async def body_of(session: AsyncSession, mail_id: str) -> str | None:
    """Returns the text of a mail; None for an unknown one."""
    body: str | None = await session.scalar(select(OutgoingMailRow.body).where(OutgoingMailRow.id == mail_id))
    return body


async def unreachable(session: AsyncSession) -> tuple[UnreachableAddress, ...]:
    """Returns the marked addresses, newest first."""
    rows = await session.scalars(
        select(MailAddress).where(MailAddress.cleared_at.is_(None)).order_by(MailAddress.marked_at.desc()).limit(500)
    )
    return tuple(
        UnreachableAddress(id=row.id, address=row.address, code=row.code, marked_at=row.marked_at) for row in rows
    )
