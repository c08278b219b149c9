"""Clocks of tickets on the record: events are added, and what they come to is kept beside them for lists and timers.

The caller holds the lock of the ticket at the end of the chain of merges; it guards the clocks of all that were merged
into it.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain import record_keys
from domain.service.clocks import Cause, Clock, ClockEvent, EventKind, Follows, fold, follows
from domain.service.policy import CLOCKS, ClockName
from firm import reviews
from firm.service import policy as policies
from store import upsert
from store.models import Ticket, TicketClock, TicketClockEvent, TicketTimer
from store.service_time import service_now

_ENDS: Final = frozenset({"fulfil", "stop", "pause"})
_KEY: Final = ("ticket_id", "clock")
_KEPT: Final = ("status", "generation", "policy_number", "due_at", "breached_at")
Clocks = dict[ClockName, Clock]


async def family(session: AsyncSession, root_id: str) -> list[str]:
    """Returns the ids of a ticket and of all that were merged into it, in order."""
    found = await session.scalars(select(Ticket.id).where(Ticket.root_id == root_id).order_by(Ticket.id))
    return [root_id, *found]


async def events(session: AsyncSession, ticket_ids: Sequence[str]) -> dict[str, dict[ClockName, list[ClockEvent]]]:
    """Returns the events of the clocks of these tickets, oldest first."""
    found: dict[str, dict[ClockName, list[ClockEvent]]] = {each: {} for each in ticket_ids}
    rows = await session.scalars(
        select(TicketClockEvent).where(TicketClockEvent.ticket_id.in_(ticket_ids)).order_by(TicketClockEvent.number)
    )
    for row in rows:
        found[row.ticket_id].setdefault(name_of(row.clock), []).append(_event(row))
    return found


def name_of(text: str) -> ClockName:
    return next(name for name in CLOCKS if name == text)


def _event(row: TicketClockEvent) -> ClockEvent:
    return ClockEvent(_kind(row.kind), row.at, row.target_minutes)


def _kind(text: str) -> EventKind:
    kinds: tuple[EventKind, ...] = ("activate", "pause", "resume", "fulfil", "stop", "policy", "breach")
    return next(kind for kind in kinds if kind == text)


async def clocks(session: AsyncSession, ticket_id: str) -> Clocks:
    """Returns the clocks of one ticket as their events left them."""
    of_ticket = (await events(session, [ticket_id]))[ticket_id]
    return {name: fold(found) for name, found in of_ticket.items()}


async def note(session: AsyncSession, root: Ticket, cause: Cause) -> None:
    """Adds the events that follow from what happened to a ticket. A question starts the clocks of the ticket itself; an
    answer or its end counts for all that were merged into it."""
    is_new = cause == "opened"  # nothing of it is on the record yet
    members = [root.id] if is_new or cause == "split" else await family(session, root.id)
    known: dict[str, dict[ClockName, list[ClockEvent]]]
    known = {root.id: {}} if is_new else await events(session, members)
    _, policy = await policies.in_force(session)
    changed: Clocks = {}
    for ticket_id in members:
        now = {name: fold(found) for name, found in known[ticket_id].items()}
        made = follows(cause, now, policy)
        if ticket_id != root.id and cause == "trader_wrote":  # only what was paused goes on
            made = [each for each in made if each[1] == "resume"]
        changed |= await _add(session, ticket_id, root.trader_id, cause, known[ticket_id], made)
    if is_new:
        root.due_at = min((due for clock in changed.values() if (due := clock.due(policy.calendar))), default=None)
    elif changed or cause == "split":
        await settle(session, root, None if cause == "split" else members)


async def _add(
    session: AsyncSession,
    ticket_id: str,
    trader_id: str | None,
    cause: str,
    known: Mapping[ClockName, list[ClockEvent]],
    made: Iterable[Follows],
) -> Clocks:
    """Adds events to the clocks of one ticket, and keeps what they come to. Returns the clocks that changed."""
    now, (_, policy) = await service_now(session), await policies.in_force(session)
    changed, ended = dict[ClockName, Clock](), list[ClockName]()
    for name, kind in made:
        target = policy.target_minutes(name) if kind in ("activate", "policy") else 0
        event = ClockEvent(kind, now, target)
        session.add(
            TicketClockEvent(
                ticket_id=ticket_id,
                trader_id=trader_id,
                clock=name,
                kind=kind,
                cause=cause,
                target_minutes=target,
                at=now,
            )
        )
        changed[name] = fold([*known.get(name, ()), event])
        if kind in _ENDS:
            ended.append(name)
    await keep(session, ticket_id, trader_id, changed)
    for name in ended:
        await _close_reviews(session, ticket_id, name, starts(known.get(name, ())))
    await session.flush()
    return changed


async def keep(session: AsyncSession, ticket_id: str, trader_id: str | None, changed: Clocks) -> None:
    """Keeps what the events of clocks come to, and sets the timers of their deadlines."""
    number, policy = await policies.in_force(session)
    due = {name: clock.due(policy.calendar) for name, clock in changed.items()}
    rows = [
        {
            "ticket_id": ticket_id,
            "clock": name,
            "trader_id": trader_id,
            "status": clock.status,
            "generation": clock.generation,
            "policy_number": number,
            "due_at": due[name],
            "breached_at": clock.breached,
        }
        for name, clock in changed.items()
    ]
    await upsert.add_or_change(session, TicketClock, rows, of=_KEY, to=_KEPT)
    timers = [(name, clock.generation, at) for name, clock in changed.items() if (at := due[name]) is not None]
    await _set_timers(session, ticket_id, trader_id, timers)


async def set_timer(
    session: AsyncSession, ticket_id: str, trader_id: str | None, clock: str, generation: int, due: datetime
) -> None:
    """Sets the timer of a generation. Timers of earlier ones stay, and are dropped when they fire."""
    await _set_timers(session, ticket_id, trader_id, [(clock, generation, due)])


async def _set_timers(
    session: AsyncSession, ticket_id: str, trader_id: str | None, timers: Iterable[tuple[str, int, datetime]]
) -> None:
    rows = [
        {"ticket_id": ticket_id, "clock": clock, "generation": generation, "trader_id": trader_id, "due_at": due}
        for clock, generation, due in timers
    ]
    await upsert.add(session, TicketTimer, rows, unless=("ticket_id", "clock", "generation"))


async def settle(session: AsyncSession, root: Ticket, members: Sequence[str] | None = None) -> None:
    """Sets the date at which a ticket is late: the earliest of its own clocks and of those merged into it. `members`:
    the ids of all of them, where they are known."""
    members = members or await family(session, root.id)
    await session.flush()
    root.due_at = await session.scalar(
        select(func.min(TicketClock.due_at)).where(TicketClock.ticket_id.in_(members), TicketClock.status == "running")
    )


async def recompute(session: AsyncSession, *, limit: int) -> int:
    """Applies a new policy to the next open clocks that an earlier one gave their deadlines; returns how many. What ran
    and paused until now stays as it was."""
    number, _ = await policies.in_force(session)
    of_earlier = (TicketClock.policy_number < number, TicketClock.status.in_(("running", "paused")))
    behind = await session.scalars(
        select(TicketClock.ticket_id).where(*of_earlier).order_by(TicketClock.ticket_id).limit(limit)
    )
    roots = await session.scalars(
        select(func.coalesce(Ticket.root_id, Ticket.id)).where(Ticket.id.in_(set(behind))).distinct()
    )
    found = 0
    for root_id in sorted(roots):
        root = await session.get_one(Ticket, root_id, with_for_update=True, populate_existing=True)
        members = await family(session, root.id)
        known = await events(session, members)
        rows = await session.execute(
            select(TicketClock.ticket_id, TicketClock.clock).where(TicketClock.ticket_id.in_(members), *of_earlier)
        )
        for ticket_id, clock in rows.all():
            await _add(session, ticket_id, root.trader_id, "policy", known[ticket_id], [(name_of(clock), "policy")])
            found += 1
        await settle(session, root)
    return found


def starts(known: Iterable[ClockEvent]) -> int:
    """Returns how often a clock was started."""
    return sum(event.kind == "activate" for event in known)


async def _close_reviews(session: AsyncSession, ticket_id: str, clock: ClockName, started: int) -> None:
    """Nobody has to act on a clock that was late and does not run any more."""
    late = [record_keys.late_clock(ticket_id, clock, number) for number in range(1, started + 1)]
    await reviews.settled(session, late, "The ticket was answered or ended.")
