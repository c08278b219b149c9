"""What people do with a ticket besides answering it: claim it, snooze it, and see who else is there. Wall times."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain.approvals import Actor
from domain.errors import BadInput, Conflict, NotFound
from firm import held_answers, ticket_steps, tickets
from firm.service import clocks
from firm.service import policy as policies
from firm.service.timers import SNOOZE
from store import audit
from store.clock import market_now
from store.models import Ticket, TicketLook, User
from store.service_time import service_now

_LONGEST_SNOOZE: Final = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Looking:
    """Somebody of the firm who has a ticket open now."""

    user_id: str
    name: str
    writing: bool


async def claim(session: AsyncSession, *, ticket_id: str, actor: Actor, take_over: bool = False) -> Ticket:
    """Takes a ticket for a few minutes, which every activity prolongs. `take_over`: also from somebody who has it.

    Raises NotFound, NotAllowed, Conflict (somebody else has it).
    """
    ticket = await tickets.locked(session, ticket_id, _staff(actor))
    now, before = await service_now(session), ticket.assignee_id
    if take_over and not tickets.is_free(ticket, actor.user_id, now):
        ticket.assignee_id = None
        await _record(session, ticket, actor, "ticket.taken_over", {"from": str(before)})
    await tickets.take_up(session, ticket, actor)
    return ticket


async def release(session: AsyncSession, *, ticket_id: str, actor: Actor) -> Ticket:
    """Gives a ticket back. Nothing happens when somebody else has it. Raises NotFound, NotAllowed."""
    ticket = await tickets.locked(session, ticket_id, _staff(actor))
    if ticket.assignee_id == actor.user_id:
        ticket.assignee_id = ticket.lease_until = None
    return ticket


async def snooze(session: AsyncSession, *, ticket_id: str, actor: Actor, until: datetime | None) -> Ticket:
    """Puts a ticket aside until a moment, or until the trader writes (`until` None). Its clocks run on, and the ticket
    comes back when one of them is late. Raises NotFound, NotAllowed, BadInput, Conflict (it is solved)."""
    ticket = await tickets.locked(session, ticket_id, _staff(actor))
    now = await service_now(session)
    if ticket.state == "solved":
        raise Conflict("This ticket is solved; it cannot be snoozed.")
    if until is not None and not now < until <= now + _LONGEST_SNOOZE:
        raise BadInput(
            "A ticket can be snoozed for up to 90 days.",
            field="until",
            remedy="Choose a later time.",
        )
    await held_answers.let_go(session, ticket)  # one that leaves later would take the ticket back
    ticket.snoozed_at, ticket.snoozed_until = now, until
    ticket.snoozes += 1
    if until is not None:
        ticket.last_snoozed_until = until
        await clocks.set_timer(session, ticket.id, ticket.trader_id, SNOOZE, ticket.snoozes, until)
    told = "" if until is None else until.isoformat(timespec="minutes")
    await _record(session, ticket, actor, "ticket.snoozed", {"until": told})
    return ticket


async def wake(session: AsyncSession, *, ticket_id: str, actor: Actor) -> Ticket:
    """Ends a snooze. Raises NotFound, NotAllowed."""
    ticket = await tickets.locked(session, ticket_id, _staff(actor))
    ticket.snoozed_at = ticket.snoozed_until = None
    return ticket


async def look(session: AsyncSession, *, ticket_id: str, actor: Actor, writing: bool) -> list[Looking]:
    """Notes that this person has the ticket open, and whether they write. Writing prolongs their own claim; reading is
    no activity. Returns who else is there. Raises NotFound, NotAllowed."""
    _staff(actor)
    root_id, now = await ticket_steps.root_of(session, ticket_id), await service_now(session)
    values = {"seen_at": now, "writing": writing}
    row = insert(TicketLook).values(ticket_id=root_id, user_id=actor.user_id, **values)
    await session.execute(row.on_conflict_do_update(index_elements=["ticket_id", "user_id"], set_=values))
    if writing:
        ticket = await session.get_one(Ticket, root_id)
        lasts = ticket.lease_until is not None and ticket.lease_until > now
        if ticket.assignee_id == actor.user_id and lasts:
            await tickets.take_up(session, await tickets.locked(session, root_id, actor), actor)
    there = await looking(session, [root_id])
    return [each for each in there.get(root_id, []) if each.user_id != actor.user_id]


async def looking(session: AsyncSession, ticket_ids: Sequence[str]) -> dict[str, list[Looking]]:
    """Returns who has these tickets open now, by ticket."""
    if not ticket_ids:
        return {}
    _, policy = await policies.in_force(session)
    since = await service_now(session) - timedelta(seconds=policy.looking_seconds)
    rows = await session.execute(
        select(TicketLook, User.name)
        .join(User, User.id == TicketLook.user_id)
        .where(TicketLook.ticket_id.in_(ticket_ids), TicketLook.seen_at > since)
        .order_by(TicketLook.user_id)
    )
    found = dict[str, list[Looking]]()
    for row, name in rows:
        found.setdefault(row.ticket_id, []).append(Looking(row.user_id, name, row.writing))
    return found


def _staff(actor: Actor) -> Actor:
    """Raises NotFound for a trader, who learns nothing of the desk."""
    if actor.role == "trader":
        raise NotFound
    return actor


async def _record(session: AsyncSession, ticket: Ticket, actor: Actor, action: str, evidence: dict[str, str]) -> None:
    await audit.record(
        session,
        action=action,
        subject_kind="ticket",
        subject_id=ticket.id,
        occurred_at=await market_now(session),
        actor=actor.user_id,
        role=actor.role,
        evidence=evidence,
    )
