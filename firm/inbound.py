"""Mail that comes in, whichever door it came by: kept once, told apart, and made part of the ticket where it belongs.

Only the sender of a ticket joins it, and a trader's ticket only with a From that our own server found to pass DMARC.
Anything else opens a ticket of its own that is about no account. What no person wrote opens and moves nothing.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from sqlalchemy import ARRAY, String, any_, bindparam, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain import keys, record_keys
from domain.approvals import Actor
from domain.errors import Conflict
from domain.mail import threading
from domain.mail.addresses import shortened
from domain.mail.automatic import Bounce
from domain.mail.cleaning import without_quotes
from domain.mail.reading import IncomingMail
from firm import mails, reviews, ticket_mails, tickets
from firm.service import ahead
from store import crypto, rows, upsert
from store.models import (
    IncomingMailRow,
    MailAttachment,
    MailAttachmentPart,
    OutgoingMailRow,
    Ticket,
    Trader,
    User,
)
from store.together import OneValueEach, as_list

State = Literal["ticket", "automatic", "bounce", "ours", "held"]
MOST_PER_HOUR: Final = 30  # mails of one sender; more are held
_PART: Final = 192 * 1024
_CUT: Final = "\n\n[The mail is longer. The whole text is with the mail.]"
_ACKNOWLEDGEMENT: Final = """We have your mail, and a person will answer it.

Please answer to this address, so that your mail joins the same conversation.
"""


_SENDER: Final = any_(bindparam("sender", type_=ARRAY(String)))
_AHEAD: Final = OneValueEach(
    **ahead.QUERIES,
    mails_in_hour=select(func.count()).where(
        IncomingMailRow.sender_index == _SENDER,
        IncomingMailRow.received_at > bindparam("since"),
        or_(IncomingMailRow.state == "ticket", IncomingMailRow.state == "held"),
    ),
    users=as_list(
        select(User.id.label("user_id"), User.person_id, User.role, User.trader_id)
        .join(Trader, Trader.id == User.trader_id)
        .where(Trader.email_index == _SENDER, User.active)
        .limit(1)
    ),
)


@dataclass(frozen=True, slots=True)
class _Sender:
    """Who wrote a mail: the trader with this address, if one may sign in; how many mails came from it in this hour."""

    actor: Actor | None
    mails_in_hour: int


@dataclass(frozen=True, slots=True)
class Received:
    """What became of a mail. `is_new`: it was not known before. `ticket_id`: the ticket that it joined or opened, or
    that it is kept beside."""

    mail_id: str
    state: State
    is_new: bool
    ticket_id: str | None = None


async def receive(session: AsyncSession, mail: IncomingMail, *, door: str, our_address: str) -> Received:
    """Takes a mail in once: a copy of it changes nothing. `door`: the name of the door it came by. `our_address`: that
    of the firm's mail."""
    digest = crypto.keys().digest(mail.digest)
    named = ticket_mails.named_by(mail.recipients)
    state, why = _told_apart(mail, our_address)
    row = {
        "id": keys.new_id("ima"),
        "door": door[:40],
        "state": state,
        "why": why[:40],
        "digest": digest,
        "message_id": mail.message_id,
        "sender": mail.sender,
        "sender_index": crypto.keys().blind_index(mail.sender),
        "subject": mail.subject,
        "whole": mail.whole,
        "left_out": "\n".join(f"{each.name}: {each.why}" for each in mail.left_out),
        "reference_ids": " ".join(mail.references),
        "trusted": mail.trusted,
        "named": named,
    }
    kept = await upsert.added(session, IncomingMailRow, row, unless=("digest",))
    if kept is None:
        known = (await session.scalars(select(IncomingMailRow).where(IncomingMailRow.digest == digest))).one()
        return Received(known.id, _state(known.state), False, known.ticket_id)
    rows.keep(session, kept)
    sender = await _read_ahead(session, kept)
    await _keep_files(session, kept.id, mail)
    if state == "bounce" and mail.bounce is not None:
        await _bounced(session, kept, mail.bounce)
    elif state == "automatic":
        await _put_beside(session, kept, sender)
    elif state == "ticket" and sender.mails_in_hour > MOST_PER_HOUR:
        await _hold(session, kept)
    elif state == "ticket":
        await _converse(session, kept, sender)
    return Received(kept.id, _state(kept.state), True, kept.ticket_id)


async def release(session: AsyncSession, *, mail_id: str, actor: Actor) -> Received:
    """A person lets a held mail in. Raises NotFound, NotAllowed, Conflict."""
    tickets.check_answers(actor)
    row = await rows.locked(session, IncomingMailRow, mail_id)
    if row.state != "held":
        raise Conflict("This mail is not held.", remedy="Nothing is left to do.")
    row.state = "ticket"
    await _converse(session, row, await _read_ahead(session, row))
    return Received(row.id, "ticket", False, row.ticket_id)


def _state(text: str) -> State:
    states: dict[str, State] = {"ticket": "ticket", "automatic": "automatic", "bounce": "bounce", "ours": "ours"}
    return states.get(text, "held")


def _told_apart(mail: IncomingMail, our_address: str) -> tuple[State, str]:
    """Returns the first state of a mail, and what told it."""
    local, _, domain = our_address.lower().rpartition("@")
    name, _, at = mail.sender.rpartition("@")
    if mail.bounce is not None:
        return "bounce", mail.bounce.code
    if at == domain and (name == local or name.startswith(f"{local}+")):
        return "ours", "sender"
    if mail.automatic and mail.message_id.lower().endswith(f"@{domain}>"):
        return "ours", "message-id"
    return ("automatic", mail.automatic) if mail.automatic else ("ticket", "")


async def _keep_files(session: AsyncSession, mail_id: str, mail: IncomingMail) -> None:
    for file in mail.attachments:
        attachment = MailAttachment(
            id=keys.new_id("att"),
            mail_id=mail_id,
            name=file.name,
            media_type=file.media_type,
            size=len(file.content),
            sha256=file.sha256,
        )
        session.add(attachment)
        await session.flush()
        for number, start in enumerate(range(0, len(file.content), _PART)):
            text = base64.b64encode(file.content[start : start + _PART]).decode()
            session.add(MailAttachmentPart(attachment_id=attachment.id, number=number, content=text))
        await session.flush()


async def _bounced(session: AsyncSession, row: IncomingMailRow, bounce: Bounce) -> None:
    """A bounce counts when it names a Message-ID of ours: nobody else knows it. A permanent one marks the address."""
    sent = await session.scalar(
        select(OutgoingMailRow).where(OutgoingMailRow.message_id == bounce.message_id).with_for_update(key_share=True)
    )
    if sent is None or not bounce.message_id:
        return
    row.ticket_id = sent.ticket_id
    told = bounce.recipient.lower()
    if bounce.permanent and told in ("", sent.recipient.lower()):
        sent.state = "bounced"
        await mails.mark_undeliverable(session, address=sent.recipient, code=bounce.code or "5.0.0", mail_id=sent.id)


async def _candidates(session: AsyncSession, row: IncomingMailRow) -> list[threading.Candidate]:
    """Returns the tickets that the mail names: by token first, then by reference, the newest first."""
    named = [row.named] if row.named else []
    ids = list(dict.fromkeys([*named, *await ticket_mails.tickets_of(session, row.reference_ids.split())]))
    if not ids:
        return []
    known = await session.execute(
        select(Ticket, Trader.email).outerjoin(Trader, Trader.id == Ticket.trader_id).where(Ticket.id.in_(ids[:20]))
    )
    by_id = {ticket.id: (ticket, ticket.contact if ticket.trader_id is None else email) for ticket, email in known}
    found = []
    for ticket, address in (by_id[ticket_id] for ticket_id in ids if ticket_id in by_id):
        rows.keep(session, ticket)
        is_solved = ticket.state == "solved"
        found.append(
            threading.Candidate(
                ticket_id=ticket.id,
                participants=frozenset({address.lower()} if address else ()),
                of_trader=ticket.trader_id is not None,
                is_solved=is_solved,
                subjects=(ticket.subject, *(await _subjects(session, ticket.id) if is_solved else ())),
            )
        )
    return found


async def _subjects(session: AsyncSession, ticket_id: str) -> Sequence[str]:
    """Those that people wrote under. They are asked for on a solved ticket only."""
    found = select(IncomingMailRow.subject).where(
        IncomingMailRow.ticket_id == ticket_id, IncomingMailRow.state == "ticket"
    )
    return (await session.scalars(found)).all()


async def _read_ahead(session: AsyncSession, row: IncomingMailRow) -> _Sender:
    """Reads in one statement who writes, and what every step of a ticket asks of the record."""
    indexes = crypto.keys().blind_indexes(row.sender)
    found = await _AHEAD.read(session, sender=indexes, since=datetime.now(UTC) - timedelta(hours=1))
    await ahead.take(session, found)
    users = [Actor(**user) for user in found.users or ()]
    return _Sender(users[0] if users else None, found.mails_in_hour)


async def _place(session: AsyncSession, row: IncomingMailRow, sender: _Sender) -> threading.Place:
    return threading.place(
        await _candidates(session, row),
        sender=row.sender,
        is_trusted=row.trusted,
        is_trader=sender.actor is not None,
        subject=row.subject,
    )


async def _put_beside(session: AsyncSession, row: IncomingMailRow, sender: _Sender) -> None:
    """What no person wrote is kept beside the ticket that it names, if its sender takes part; it moves nothing."""
    place = await _place(session, row, sender)
    if place.kind == "join":
        row.ticket_id = place.ticket_id


async def _hold(session: AsyncSession, row: IncomingMailRow) -> None:
    row.state, row.why = "held", "too many mails"
    hour = datetime.now(UTC).strftime("%Y-%m-%dT%H")
    sender = crypto.keys().digest(row.sender)[:16]
    key = record_keys.mail_flood_review(sender, hour)
    await reviews.report(session, key=key, kind=reviews.MAIL_FLOOD, detail={"mail": row.id, "hour": hour})


async def _converse(session: AsyncSession, row: IncomingMailRow, sender: _Sender) -> None:
    """Makes the mail a message of its ticket."""
    place, actor, message_id = await _place(session, row, sender), sender.actor, keys.new_id("msg")
    body = without_quotes(row.whole) or "(The mail has no text.)"
    if len(body) > tickets.MAX_BODY:
        body = body[: tickets.MAX_BODY - len(_CUT)].rstrip() + _CUT
    subject = shortened(row.subject) or "(no subject)"
    opened = place.kind == "new" or place.ticket_id is None
    if opened:
        writes = actor if place.verified else None
        ticket = await _open(session, row, writes, subject, body, place.ticket_id, message_id)
    else:
        ticket = await _join(session, str(place.ticket_id), actor, body, message_id)
    row.ticket_id, row.ticket_message_id = ticket.id, message_id
    await session.flush()
    await ticket_mails.remember(session, ticket.id, [*row.reference_ids.split(), row.message_id], is_new=opened)
    if opened and row.trusted:
        await _acknowledge(session, row, ticket)


async def _open(
    session: AsyncSession,
    row: IncomingMailRow,
    actor: Actor | None,
    subject: str,
    body: str,
    linked_to: str | None,
    message_id: str,
) -> Ticket:
    if actor is None:
        return await tickets.open_for_stranger(
            session, contact=row.sender, subject=subject, body=body, linked_to=linked_to, message_id=message_id
        )
    ticket = await tickets.open_ticket(session, actor=actor, subject=subject, body=body, message_id=message_id)
    ticket.linked_to = linked_to
    return ticket


async def _join(session: AsyncSession, ticket_id: str, actor: Actor | None, body: str, message_id: str) -> Ticket:
    ticket = await session.get_one(Ticket, ticket_id)
    if ticket.trader_id is None:
        return await tickets.stranger_replied(session, ticket_id=ticket_id, body=body, message_id=message_id)
    if actor is None or actor.trader_id != ticket.trader_id:
        return await tickets.open_for_stranger(
            session,
            contact=str(await ticket_mails.address_of(session, ticket)),
            subject=ticket.subject,
            body=body,
            linked_to=ticket_id,
            message_id=message_id,
        )
    return await tickets.reply(session, ticket_id=ticket_id, actor=actor, body=body, message_id=message_id)


async def _acknowledge(session: AsyncSession, row: IncomingMailRow, ticket: Ticket) -> None:
    """Says that a mail that opened a ticket has arrived: once a day and address, and only to a sender who is known to
    be real."""
    day = datetime.now(UTC).date()
    await mails.send(
        session,
        to=row.sender,
        subject=threading.answer_subject(row.subject or ticket.subject),
        body=_ACKNOWLEDGEMENT,
        automatic=True,
        key=f"acknowledged/{crypto.keys().digest(row.sender)[:32]}/{day}",
        kind="acknowledgement",
        ticket_id=ticket.id,
    )
