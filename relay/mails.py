"""Hands one mail to the mail server: Message-ID stored, then the call, then what came of it."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import OutcomeUnknown, RefusedForGood, Unavailable
from domain.mail import addresses
from domain.mail.outgoing import OutgoingMail
from domain.quoting import storable_text
from firm import held_answers, mails, ticket_mails
from ports.mail import MailDesk
from store import rows
from store.db import Database
from store.models import OutgoingMailRow

_FIRST_PAUSE: Final = 5.0
_LONGEST_PAUSE: Final = 900.0
_MOST_ATTEMPTS: Final = 300  # three days at the longest pause
_OF_RECIPIENT: Final = "5.1."  # enhanced codes of RFC 3463 about the address itself
_PLAIN_OF_RECIPIENT: Final = frozenset({"550", "551", "553"})


@dataclass(frozen=True)
class Tried:
    """`again_seconds`: when to try again; None: nothing is left to do."""

    again_seconds: float | None = None
    error: str = ""


async def deliver(db: Database, desk: MailDesk, mail_id: str) -> Tried:
    """Sends the mail unless it is sent. Raises NotFound."""
    async with db.transaction() as session:
        waits = await held_answers.let_go_with_mail(session, mail_id)
        if waits:
            return Tried(waits, "it can still be taken back")
        mail = await _prepared(session, desk, mail_id)
    if mail is None:
        return Tried()
    try:
        answer = await desk.post.send(mail)
    except RefusedForGood as error:
        return await _refused(db, mail_id, error)
    except (Unavailable, OutcomeUnknown, TimeoutError, OSError) as error:
        return await _again(db, mail_id, getattr(error, "message", type(error).__name__))
    async with db.transaction() as session:
        row = await rows.locked(session, OutgoingMailRow, mail_id)
        if row.state == "waiting":  # a bounce can be read before the answer is recorded
            row.state = "sent"
        row.sent_at, row.error = datetime.now(UTC), storable_text(answer)
        _forget_link(row)
    return Tried()


async def _prepared(session: AsyncSession, desk: MailDesk, mail_id: str) -> OutgoingMail | None:
    """Returns the mail, its Message-ID stored; None when nothing is to be sent."""
    row = await rows.locked(session, OutgoingMailRow, mail_id)
    if row.state != "waiting":
        return None
    if await mails.is_undeliverable(session, row.recipient):
        row.state = "undeliverable"
        _forget_link(row)
        return None
    row.attempts += 1
    first = row.message_id is None
    row.message_id = row.message_id or addresses.message_id(row.id, desk.domain)
    before: list[str] = []
    if row.ticket_id is not None:
        known = await ticket_mails.known_references(session, row.ticket_id)
        before = known[: known.index(row.message_id)] if row.message_id in known else known
        if first:  # before it is sent: the answer may be quicker than the record of the sending
            await ticket_mails.remember(session, row.ticket_id, [row.message_id])
    return OutgoingMail(
        message_id=row.message_id,
        sender=desk.sender,
        to=row.recipient,
        subject=row.subject,
        body=row.body,
        automatic=row.automatic,
        written_at=row.recorded_at.astimezone(UTC),
        reply_to="" if row.ticket_id is None else addresses.tagged(desk.address, ticket_mails.token(row.ticket_id)),
        in_reply_to=before[-1] if before else "",
        references=tuple(before),
        html=row.html or "",
        unsubscribe="" if row.unsubscribe is None else f"{desk.url}/unsubscribe/{row.unsubscribe}",
    )


async def _refused(db: Database, mail_id: str, error: RefusedForGood) -> Tried:
    """A code about the address itself marks it: nothing else is sent there."""
    async with db.transaction() as session:
        row = await rows.locked(session, OutgoingMailRow, mail_id)
        row.state, row.error = "refused", storable_text(error.message)
        _forget_link(row)
        if error.key.startswith(_OF_RECIPIENT) or error.key in _PLAIN_OF_RECIPIENT:
            await mails.mark_undeliverable(session, address=row.recipient, code=error.key, mail_id=row.id)
    return Tried()


async def _again(db: Database, mail_id: str, why: str) -> Tried:
    async with db.transaction() as session:
        row = await rows.locked(session, OutgoingMailRow, mail_id)
        row.error = storable_text(why)
        if row.attempts >= _MOST_ATTEMPTS:
            row.state = "refused"
            _forget_link(row)
            return Tried()
        pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(row.attempts - 1, 10))
    return Tried(pause, why)


def _forget_link(row: OutgoingMailRow) -> None:
    """Nothing more is sent: a link that signs somebody in does not stay on the record."""
    if row.kind in mails.WITH_LINKS:
        row.body = mails.NOT_KEPT
