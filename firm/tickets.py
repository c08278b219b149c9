"""Tickets: a trader asks, the firm answers, until it is solved. Every message of a ticket goes through here.

A message to a ticket that was merged goes to the ticket at the end of that chain.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.approvals import Actor
from domain.errors import BadInput, ChangedMeanwhile, Conflict, NotAllowed, NotFound
from domain.keys import new_id
from domain.service.macros import unfilled
from domain.tickets import TICKET
from firm import held_answers, ticket_mails, ticket_ratings, ticket_steps
from firm.desk import in_force
from firm.service import clocks
from firm.service import policy as policies
from store import audit
from store.clock import market_now
from store.models import Account, Payout, Ticket, TicketFill, TicketMessage, Trader, User
from store.service_time import service_now

ANSWERERS: Final = frozenset({"support", "admin"})
MAX_SUBJECT: Final = 200
MAX_BODY: Final = 10_000
NOTE: Final = "note"
PUBLIC: Final = "public"
_BY_MAIL: Final = "mail"  # actor and role of somebody without a user
_PROGRAM: Final = "Automatic message"  # the author of what no person wrote
AT_DESK: Final = "desk"  # role of somebody at the desk of a third party; the actor is the name of the desk


async def open_ticket(
    session: AsyncSession,
    *,
    actor: Actor,
    subject: str,
    body: str,
    account_id: str | None = None,
    payout_id: str | None = None,
    message_id: str | None = None,
) -> Ticket:
    """A trader asks, perhaps about an account or a payout of theirs. `message_id`: of the first message, where the
    caller has made it. Raises NotAllowed, NotFound, BadInput."""
    if actor.trader_id is None:
        raise NotAllowed("Tickets are opened by traders.", remedy="Open a ticket for a trader on the trader's page.")
    ticket, _ = await _opened(session, actor, actor.trader_id, subject, body, account_id, payout_id, message_id)
    await clocks.note(session, ticket, "opened")
    return ticket


async def open_for(
    session: AsyncSession,
    *,
    actor: Actor,
    trader_id: str,
    subject: str,
    body: str,
    account_id: str | None = None,
    payout_id: str | None = None,
) -> Ticket:
    """The firm writes to a trader first: a ticket that waits for the trader. Raises NotAllowed, NotFound, BadInput."""
    check_answers(actor)
    if await session.get(Trader, trader_id) is None:
        raise NotFound
    _check_filled(body)
    ticket, message = await _opened(session, actor, trader_id, subject, body, account_id, payout_id)
    await ticket_mails.send_message(session, ticket, message, automatic=False)
    await ticket_steps.move(session, ticket, actor.user_id, actor.role, "firm_replied")
    return ticket


async def _opened(
    session: AsyncSession,
    actor: Actor,
    trader_id: str,
    subject: str,
    body: str,
    account_id: str | None,
    payout_id: str | None,
    message_id: str | None = None,
) -> tuple[Ticket, TicketMessage]:
    _check_text("subject", subject, MAX_SUBJECT)
    _check_text("body", body, MAX_BODY)
    owners = [
        await session.scalar(select(model.trader_id).where(model.id == about))
        for model, about in ((Account, account_id), (Payout, payout_id))
        if about is not None
    ]
    if any(owner != trader_id for owner in owners):
        raise NotFound
    ticket = await _add(session, new_id("tkt"), trader_id, account_id, payout_id, subject, actor.user_id)
    message = await say(session, ticket, actor.user_id, body, message_id=message_id)
    await _note_opened(session, ticket, actor.user_id, actor.role)
    return ticket, message


async def _note_opened(session: AsyncSession, ticket: Ticket, user_id: str, role: str) -> None:
    await audit.record(
        session,
        action="ticket.opened",
        subject_kind="ticket",
        subject_id=ticket.id,
        occurred_at=ticket.opened_at,
        actor=user_id,
        role=role,
    )


async def _add(
    session: AsyncSession,
    ticket_id: str,
    trader_id: str | None,
    account_id: str | None,
    payout_id: str | None,
    subject: str,
    user_id: str | None,
    *,
    contact: str | None = None,
    linked_to: str | None = None,
) -> Ticket:
    now = await market_now(session)
    ticket = Ticket(
        id=ticket_id,
        trader_id=trader_id,
        contact=contact,
        linked_to=linked_to,
        account_id=account_id,
        payout_id=payout_id,
        subject=subject.strip(),
        state=TICKET.initial,
        opened_at=now,
        changed_at=now,
        opened_by=user_id,
        solved_times=0,
        snoozes=0,
    )
    session.add(ticket)
    await session.flush()
    return ticket


async def tell(
    session: AsyncSession, *, ticket_id: str, account: Account, user_id: str | None, role: str, subject: str, body: str
) -> None:
    """The firm tells a trader something about an account: a ticket that is solved, and open again once the trader
    replies. The same `ticket_id` again changes nothing. `user_id`: who writes, in the `role` of that time; None: the
    program, and nobody of the firm."""
    if await session.get(Ticket, ticket_id) is not None:
        return
    ticket = await _add(session, ticket_id, account.trader_id, account.id, None, subject, user_id)
    message = await say(session, ticket, user_id, body, desk_author=None if user_id else _PROGRAM)
    await ticket_mails.send_message(session, ticket, message, automatic=True)
    await ticket_steps.move(session, ticket, user_id or audit.SYSTEM, role, "ticket_solved")


async def open_for_stranger(
    session: AsyncSession,
    *,
    contact: str,
    subject: str,
    body: str,
    linked_to: str | None,
    message_id: str | None = None,
) -> Ticket:
    """Somebody who is no trader, or did not prove to be one, asks by mail. The ticket has no context of any account."""
    ticket = await _add(session, new_id("tkt"), None, None, None, subject, None, contact=contact, linked_to=linked_to)
    await say(session, ticket, None, body, message_id=message_id)
    await _note_opened(session, ticket, _BY_MAIL, _BY_MAIL)
    await clocks.note(session, ticket, "opened")
    return ticket


async def stranger_replied(
    session: AsyncSession, *, ticket_id: str, body: str, message_id: str | None = None
) -> Ticket:
    """The contact of a ticket that is no trader's writes again. Raises NotFound for any other ticket."""
    ticket = await ticket_steps.locked_root(session, ticket_id)
    if ticket.contact is None:
        raise NotFound
    await held_answers.let_go(session, ticket)
    await say(session, ticket, None, body, message_id=message_id)
    await ticket_steps.move(session, ticket, _BY_MAIL, _BY_MAIL, "trader_replied")
    await clocks.note(session, ticket, "trader_wrote")
    return ticket


async def reply(
    session: AsyncSession,
    *,
    ticket_id: str,
    actor: Actor,
    body: str,
    seen: str | None = None,
    fills: Sequence[str] = (),
    may_undo: bool = False,
    message_id: str | None = None,
) -> Ticket:
    """Adds a message by the trader or the firm; the other side must act next. Returns the ticket that got it.

    `seen`: the newest message that the person of the firm had read; None: not asked. `fills`: what macros filled into
    the answer. `may_undo`: an answer that leaves by mail waits for some seconds, and counts once it leaves
    (firm/held_answers.py). `message_id`: of the message, where the caller has made it. Raises NotFound (also for
    another trader's ticket), NotAllowed, BadInput, ChangedMeanwhile (something arrived after `seen`), Conflict
    (somebody else has claimed the ticket), IllegalTransition (it is solved).
    """
    ticket = await locked(session, ticket_id, actor)
    _check_text("body", body, MAX_BODY)
    by_trader = actor.role == "trader"
    if not by_trader:
        _check_filled(body)
        await _check_seen(session, ticket, seen)
        await take_up(session, ticket, actor)
    await held_answers.let_go(session, ticket)
    if not by_trader:
        TICKET.next(ticket.state, "firm_replied")  # refused now, not when a held answer leaves
    kind = held_answers.HELD if may_undo and not by_trader else PUBLIC
    message = await say(session, ticket, actor.user_id, body, kind=kind, message_id=message_id)
    if by_trader:
        await ticket_steps.move(session, ticket, actor.user_id, actor.role, "trader_replied")
        await clocks.note(session, ticket, "trader_wrote")
        return ticket
    if fills:
        await _attach(session, ticket, message, actor, fills)
    leaves = held_answers.moment() if may_undo else None
    mailed = await ticket_mails.send_message(session, ticket, message, automatic=False, not_before=leaves)
    if may_undo:
        if not mailed:  # there is nothing to wait for
            await held_answers.let_go(session, ticket)
        return ticket
    await ticket_steps.move(session, ticket, actor.user_id, actor.role, "firm_replied")
    await clocks.note(session, ticket, "answered")
    return ticket


async def note(
    session: AsyncSession, *, ticket_id: str, actor: Actor, body: str, seen: str | None = None
) -> TicketMessage:
    """Adds a note that only the firm reads. It answers nothing and changes no clock. Raises as `reply`."""
    check_answers(actor)
    ticket = await locked(session, ticket_id, actor)
    _check_text("body", body, MAX_BODY)
    await _check_seen(session, ticket, seen)
    return await say(session, ticket, actor.user_id, body, kind=NOTE)


async def solve(session: AsyncSession, *, ticket_id: str, actor: Actor, site: str) -> Ticket:
    """Close it, and ask the trader by mail how satisfied they are; a further reply of theirs opens it again. `site`:
    the address of the console. Raises NotFound, NotAllowed, IllegalTransition."""
    ticket = await locked(session, ticket_id, actor)
    await held_answers.let_go(session, ticket)
    await ticket_steps.move(session, ticket, actor.user_id, actor.role, "ticket_solved")
    await clocks.note(session, ticket, "solved")
    ticket.assignee_id = ticket.lease_until = None
    await ticket_ratings.ask(session, ticket, site=site)
    return ticket


async def locked(session: AsyncSession, ticket_id: str, actor: Actor) -> Ticket:
    """Returns the ticket at the end of the chain of merges, locked. Raises NotFound, NotAllowed."""
    ticket = await ticket_steps.locked_root(session, ticket_id)
    if actor.role == "trader" and ticket.trader_id != actor.trader_id:
        raise NotFound
    if actor.role != "trader":
        check_answers(actor)
    return ticket


async def newest(session: AsyncSession, ticket_id: str) -> str:
    """Returns the id of the newest message of a ticket and of those merged into it; empty when there is none."""
    found = await session.scalar(
        select(TicketMessage.id)
        .where(TicketMessage.ticket_id.in_(await clocks.family(session, ticket_id)))
        .order_by(TicketMessage.recorded_at.desc(), TicketMessage.id.desc())
        .limit(1)
    )
    return str(found or "")


def is_free(ticket: Ticket, user_id: str, now: datetime) -> bool:
    """Whether nobody else has a claim of the ticket that still lasts."""
    return ticket.assignee_id in (None, user_id) or ticket.lease_until is None or ticket.lease_until <= now


async def take_up(session: AsyncSession, ticket: Ticket, actor: Actor) -> None:
    """Claims a ticket for whoever works on it, or prolongs the claim. Raises Conflict while somebody else has it."""
    now, (_, policy) = await service_now(session), await policies.in_force(session)
    if not is_free(ticket, actor.user_id, now):
        holder, until = await session.get(User, ticket.assignee_id), (ticket.lease_until or now).astimezone(UTC)
        raise Conflict(
            f"{holder.name if holder else 'Somebody'} has this ticket until {until:%H:%M} UTC.",
            remedy="Ask them, or take the ticket over. Your text is kept.",
        )
    ticket.assignee_id, ticket.lease_until = actor.user_id, now + policy.lease


def check_answers(actor: Actor) -> None:
    """Raises NotAllowed unless the person answers tickets."""
    if actor.role not in ANSWERERS:
        raise NotAllowed(f"Answering tickets needs the role admin or support; yours is {actor.role}.")


async def _check_seen(session: AsyncSession, ticket: Ticket, seen: str | None) -> None:
    if seen is not None and seen != await newest(session, ticket.id):
        raise ChangedMeanwhile(
            "Something arrived on this ticket since you opened it. Nothing was sent.",
            field="seen",
            remedy="Read what is new, then send your text again.",
        )


def _check_filled(body: str) -> None:
    if left := unfilled(body):
        raise BadInput(
            f"The text still has placeholders without a fact: {', '.join(left)}.",
            field="body",
            remedy="Write the facts yourself, or remove the placeholders.",
        )


async def _attach(
    session: AsyncSession, ticket: Ticket, message: TicketMessage, actor: Actor, fills: Sequence[str]
) -> None:
    """Keeps what macros filled in with the message it was sent with."""
    attached = await session.scalars(
        update(TicketFill)
        .where(
            TicketFill.id.in_(fills),
            TicketFill.ticket_id.in_(await clocks.family(session, ticket.id)),
            TicketFill.user_id == actor.user_id,
            TicketFill.message_id.is_(None),
        )
        .values(message_id=message.id)
        .returning(TicketFill.id)
    )
    if set(attached) != set(fills):
        raise BadInput(
            "What a macro filled in belongs to another ticket or message.",
            field="fills",
            remedy="Insert the macro again.",
        )


async def say(
    session: AsyncSession,
    ticket: Ticket,
    user_id: str | None,
    body: str,
    *,
    kind: str = PUBLIC,
    automatic: bool = False,
    desk_author: str | None = None,
    message_id: str | None = None,
) -> TicketMessage:
    """Adds a message to a locked ticket; nothing follows from it. It ends a snooze, unless it is a note."""
    message = TicketMessage(
        id=message_id or new_id("msg"),
        ticket_id=ticket.id,
        author_id=user_id,
        body=body.strip(),
        kind=kind,
        automatic=automatic,
        desk_author=desk_author,
        occurred_at=await market_now(session),
    )
    session.add(message)
    if kind == PUBLIC and ticket.snoozed_at is not None:
        ticket.snoozed_at = ticket.snoozed_until = None
    await session.flush()
    await in_force.told(session, ticket.id, cause=message.id)
    return message


async def move(session: AsyncSession, ticket: Ticket, actor: Actor, trigger: str) -> None:
    """Moves a locked ticket. Raises IllegalTransition."""
    await ticket_steps.move(session, ticket, actor.user_id, actor.role, trigger)


def _check_text(field: str, text: str, longest: int) -> None:
    if not text.strip() or len(text) > longest:
        raise BadInput(
            f"The {field} must have 1 to {longest} characters.", field=field, remedy="Shorten it, or say something."
        )
