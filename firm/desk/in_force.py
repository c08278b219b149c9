"""Which desk people work at. `propos migrate` puts the one of the settings in force; without one they work here."""

from typing import Final

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain.keys import new_id
from domain.tickets import MERGED
from firm import messages
from store.models import Ticket, TicketDeskRow

OWN: Final = "own"
_IN_FORCE: Final = "ticket_desk"  # as this transaction has read it
_READING: Final = "reads_ticket_desk"
_ENDED: Final = ("solved", MERGED)
NAME: Final = select(TicketDeskRow.name).where(TicketDeskRow.in_force)


async def put_in_force(session: AsyncSession, name: str) -> None:
    """Has people work at the desk `name` from now on: every ticket that is not solved is copied there. OWN: they work
    here. The one that is in force already changes nothing."""
    if name == (await in_force(session) or OWN):
        return
    session.info.pop(_IN_FORCE, None)
    await session.execute(update(TicketDeskRow).values(in_force=False))
    if name == OWN:
        return
    row = insert(TicketDeskRow).values(name=name, in_force=True)
    await session.execute(row.on_conflict_do_update(index_elements=["name"], set_={"in_force": True}))
    cause = f"{name}/{new_id('evt')}"  # of this switch: what was written since an earlier one is copied too
    for ticket_id in await session.scalars(select(Ticket.id).where(Ticket.state.not_in(_ENDED)).order_by(Ticket.id)):
        await messages.copy_to_desk(session, ticket_id, cause=cause)


async def in_force(session: AsyncSession) -> str | None:
    """Returns the desk where people work, the same one within a transaction; None: they work here."""
    if _IN_FORCE not in session.info:
        take(session, await session.scalar(NAME))
    found: str | None = session.info[_IN_FORCE]
    return found


def take(session: AsyncSession, name: str | None) -> None:
    """Takes the desk that was read (`NAME`) as the one in force."""
    session.info[_IN_FORCE] = name


async def told(session: AsyncSession, ticket_id: str, *, cause: str) -> None:
    """Something happened to a ticket that the desk must know, unless it was the desk that told us."""
    if not session.info.get(_READING) and await in_force(session) is not None:
        await messages.copy_to_desk(session, ticket_id, cause=cause)


def reads_the_desk(session: AsyncSession) -> None:
    """What this transaction does to tickets was done at the desk."""
    session.info[_READING] = True
