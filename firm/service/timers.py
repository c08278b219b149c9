"""Timers of tickets that came due: a clock is late, or a snooze ends. A timer of an earlier generation is dropped."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain import record_keys
from domain.service.clocks import ClockEvent, fold
from domain.service.policy import CLOCK_WORDS, ClockName
from firm import reviews
from firm.service import clocks
from firm.service import policy as policies
from store.models import Ticket, TicketClockEvent, TicketTimer
from store.service_time import service_now

SNOOZE: Final = "snooze"


@dataclass(frozen=True, slots=True)
class Fired:
    """A timer that was dealt with. `outcome`: late, woken, or dropped."""

    ticket_id: str
    clock: str
    outcome: str


async def fire(session: AsyncSession, *, limit: int) -> list[Fired]:
    """Deals with the timers that are due, at most `limit`, the earliest first."""
    now = await service_now(session)
    due = await session.scalars(
        select(TicketTimer)
        .where(TicketTimer.due_at <= now, TicketTimer.fired_at.is_(None))
        .order_by(TicketTimer.due_at, TicketTimer.ticket_id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    timers = due.all()
    of_ticket = {timer.ticket_id for timer in timers}
    roots = dict(
        (
            await session.execute(
                select(Ticket.id, func.coalesce(Ticket.root_id, Ticket.id)).where(Ticket.id.in_(of_ticket))
            )
        )
        .tuples()
        .all()
    )
    found = list[Fired]()
    for timer in sorted(timers, key=lambda each: (roots[each.ticket_id], each.ticket_id)):
        root = await session.get_one(Ticket, roots[timer.ticket_id], with_for_update=True, populate_existing=True)
        outcome = await _wake(session, timer) if timer.clock == SNOOZE else await _late(session, timer, root, now)
        timer.fired_at, timer.outcome = datetime.now(UTC), outcome
        found.append(Fired(timer.ticket_id, timer.clock, outcome))
    return found


async def _wake(session: AsyncSession, timer: TicketTimer) -> str:
    ticket = await session.get_one(Ticket, timer.ticket_id)
    if ticket.snoozed_at is None or ticket.snoozes != timer.generation:
        return "dropped"
    ticket.snoozed_at = ticket.snoozed_until = None
    return "woken"


async def _late(session: AsyncSession, timer: TicketTimer, root: Ticket, now: datetime) -> str:
    """A clock of the same generation is late. The ticket wakes up then, and a review is opened."""
    name: ClockName = clocks.name_of(timer.clock)
    known = (await clocks.events(session, [timer.ticket_id]))[timer.ticket_id].get(name, [])
    clock, (_, policy) = fold(known), await policies.in_force(session)
    due = clock.due(policy.calendar)
    if clock.generation != timer.generation or due is None or due > now:
        return "dropped"
    if clock.breached is None:
        await _note_breach(session, timer, name, known, now)
    root.snoozed_at = root.snoozed_until = None
    detail = {
        "ticket_id": root.id,
        "clock": CLOCK_WORDS[name],
        "due": due.isoformat(timespec="seconds"),
        "allowed": f"{int(clock.target.total_seconds() // 60)} minutes of business hours",
    }
    key = record_keys.late_clock(timer.ticket_id, name, clocks.starts(known))
    await reviews.report(session, key=key, kind=reviews.SERVICE_LATE, detail=detail)
    return "late"


async def _note_breach(
    session: AsyncSession, timer: TicketTimer, name: ClockName, known: Sequence[ClockEvent], now: datetime
) -> None:
    session.add(
        TicketClockEvent(
            ticket_id=timer.ticket_id,
            trader_id=timer.trader_id,
            clock=name,
            kind="breach",
            cause="timer",
            target_minutes=0,
            at=now,
        )
    )
    late = {name: fold([*known, ClockEvent("breach", now)])}
    await clocks.keep(session, timer.ticket_id, timer.trader_id, late)
