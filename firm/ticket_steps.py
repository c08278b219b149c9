"""Steps of a ticket: the lock of the ticket at the end of a chain of merges, and its moves from state to state."""

from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain import record_keys
from domain.errors import NotFound
from domain.tickets import MERGED, TICKET
from firm.desk import in_force
from store import rows, transitions
from store.clock import market_now
from store.models import Ticket, Transition


async def root_of(session: AsyncSession, ticket_id: str) -> str:
    """Returns the id of the ticket that messages to this one go to: itself, or the end of the chain of merges. Raises
    NotFound."""
    found = (await session.execute(select(Ticket.id, Ticket.root_id).where(Ticket.id == ticket_id))).one_or_none()
    if found is None:
        raise NotFound
    return str(found.root_id or found.id)


async def locked_root(session: AsyncSession, ticket_id: str) -> Ticket:
    """Returns the ticket at the end of the chain of merges, locked. Raises NotFound."""
    ticket = await rows.locked(session, Ticket, await root_of(session, ticket_id), references_too=True)
    if ticket.root_id is not None:  # it was merged while this waited for the lock
        ticket = await rows.locked(session, Ticket, ticket.root_id, references_too=True)
    return ticket


async def move(session: AsyncSession, ticket: Ticket, user_id: str, role: str, trigger: str) -> None:
    """Moves a locked ticket. Each message is its own step, so the key counts the steps under the row lock. Raises
    IllegalTransition."""
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
        key=record_keys.counted_step(int(taken or 0), trigger),
        occurred_at=ticket.changed_at,
        actor=user_id,
        role=role,
    )
    if trigger == "ticket_solved":
        ticket.solved_times += 1
    if ticket.state in ("solved", MERGED):
        ticket.snoozed_at = ticket.snoozed_until = None
        await in_force.told(session, ticket.id, cause=str(taken))
