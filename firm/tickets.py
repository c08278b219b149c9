"""Tickets: a trader asks, the firm answers, until it is solved."""

from typing import Any, Final

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain import keys
from domain.approvals import Actor
from domain.errors import BadInput, NotAllowed, NotFound
from domain.keys import new_id
from domain.tickets import TICKET
from store import audit, rows, transitions
from store.clock import market_now
from store.models import Account, Payout, Ticket, TicketMessage, Transition

ANSWERERS: Final = frozenset({"support", "admin"})
MAX_SUBJECT: Final = 200
MAX_BODY: Final = 10_000


async def open_ticket(
    session: AsyncSession,
    *,
    actor: Actor,
    subject: str,
    body: str,
    account_id: str | None = None,
    payout_id: str | None = None,
) -> Ticket:
    """A trader asks, perhaps about an account or a payout of theirs. Raises NotAllowed, NotFound, BadInput."""
    if actor.trader_id is None:
        raise NotAllowed("Tickets are opened by traders.")
    _check_text("subject", subject, MAX_SUBJECT)
    _check_text("body", body, MAX_BODY)
    owners = [
        await session.scalar(select(model.trader_id).where(model.id == about))
        for model, about in ((Account, account_id), (Payout, payout_id))
        if about is not None
    ]
    if any(owner != actor.trader_id for owner in owners):
        raise NotFound
    now = await market_now(session)
    ticket = Ticket(
        id=new_id("tkt"),
        trader_id=actor.trader_id,
        account_id=account_id,
        payout_id=payout_id,
        subject=subject.strip(),
        state=TICKET.initial,
        opened_at=now,
        changed_at=now,
    )
    session.add(ticket)
    await session.flush()
    await _say(session, ticket, actor, body)
    await audit.record(
        session,
        action="ticket.opened",
        subject_kind="ticket",
        subject_id=ticket.id,
        occurred_at=now,
        actor=actor.user_id,
        role=actor.role,
    )
    return ticket


async def reply(session: AsyncSession, *, ticket_id: str, actor: Actor, body: str) -> Ticket:
    """Adds a message by the trader or the firm; the other side must act next. Raises NotFound (also for another
    trader's ticket), NotAllowed, BadInput."""
    ticket = await _locked(session, ticket_id, actor)
    _check_text("body", body, MAX_BODY)
    await _say(session, ticket, actor, body)
    await _move(session, ticket, actor, "trader_replied" if actor.role == "trader" else "firm_replied")
    return ticket


async def solve(session: AsyncSession, *, ticket_id: str, actor: Actor) -> Ticket:
    """Close it; a further reply of the trader opens it again. Raises NotFound, NotAllowed, IllegalTransition."""
    ticket = await _locked(session, ticket_id, actor)
    await _move(session, ticket, actor, "ticket_solved")
    return ticket


async def _locked(session: AsyncSession, ticket_id: str, actor: Actor) -> Ticket:
    ticket = await rows.locked(session, Ticket, ticket_id, references_too=True)
    if actor.role == "trader" and ticket.trader_id != actor.trader_id:
        raise NotFound
    if actor.role != "trader" and actor.role not in ANSWERERS:
        raise NotAllowed(f"Answering tickets needs the role admin or support; yours is {actor.role}.")
    return ticket


async def _say(session: AsyncSession, ticket: Ticket, actor: Actor, body: str) -> None:
    message = TicketMessage(
        id=new_id("msg"),
        ticket_id=ticket.id,
        author_id=actor.user_id,
        body=body.strip(),
        occurred_at=await market_now(session),
    )
    session.add(message)
    await session.flush()


async def _move(session: AsyncSession, ticket: Ticket, actor: Actor, trigger: str) -> None:
    """Moves the ticket. Each message is its own step, so the key counts the steps under the row lock."""
    ticket.changed_at = await market_now(session)
    of_ticket: tuple[Any, ...] = (Transition.subject_kind == "ticket", Transition.subject_id == ticket.id)
    taken = await session.scalar(select(func.count()).where(*of_ticket))
    ticket.state = await transitions.apply(
        session,
        TICKET,
        subject_kind="ticket",
        subject_id=ticket.id,
        state_now=ticket.state,
        trigger=trigger,
        key=keys.counted_step(int(taken or 0), trigger),
        occurred_at=ticket.changed_at,
        actor=actor.user_id,
        role=actor.role,
    )


def _check_text(field: str, text: str, longest: int) -> None:
    if not text.strip() or len(text) > longest:
        raise BadInput(
            f"The {field} must have 1 to {longest} characters.", field=field, remedy="Shorten it, or say something."
        )
