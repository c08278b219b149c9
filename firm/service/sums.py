"""How the deadline of a clock came about, day by day: a person who doubts it can add it up."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncSession

from domain.service.calendar import BusinessCalendar, DayLine
from domain.service.clocks import Clock, fold
from domain.service.policy import CLOCK_WORDS, CLOCKS, ClockName
from firm.service import clocks
from firm.service import policy as policies
from store.read.pages import View
from store.service_time import service_now

_MOST_LINES: Final = 60
_MINUTE: Final = timedelta(minutes=1)


class SumLine(View):
    """One local day. `hours`: what of it was open and counted, in local time ("08:00 to 12:30"). `total_minutes`: the
    sum up to its end. `closed`: why nothing of it counts; empty when something does."""

    day: date
    hours: tuple[str, ...]
    minutes: int
    total_minutes: int
    closed: str


class ClockSum(View):
    """A clock of a ticket, or of one merged into it. `spent_minutes` of `target_minutes` of open time have passed.
    `lines` add up to the deadline of a running clock, else to what was spent; of a long time the last 60 days. Wall
    times; `zone` is that of the lines."""

    ticket_id: str
    clock: ClockName
    label: str
    status: str
    target_minutes: int
    spent_minutes: int
    due_at: datetime | None
    breached_at: datetime | None
    ended_at: datetime | None
    zone: str
    lines: tuple[SumLine, ...]


async def of_ticket(session: AsyncSession, root_id: str, *, members: Sequence[str] | None = None) -> list[ClockSum]:
    """Returns every clock that was ever started, those that run first. `members`: the family of the ticket, where the
    caller has read it."""
    now, (_, policy) = await service_now(session), await policies.in_force(session)
    members = members or await clocks.family(session, root_id)
    known = await clocks.events(session, members)
    found = [
        _sum(ticket_id, name, fold(known[ticket_id][name]), policy.calendar, now)
        for ticket_id in members
        for name in CLOCKS
        if name in known[ticket_id]
    ]
    return sorted(found, key=lambda each: (each.due_at is None, each.due_at or now, each.ticket_id, each.clock))


def _sum(ticket_id: str, name: ClockName, clock: Clock, calendar: BusinessCalendar, now: datetime) -> ClockSum:
    due = clock.due(calendar)
    spans = list(clock.spans)
    if clock.since is not None and due is not None:
        spans.append((clock.since, max(due, clock.since)))
    lines, total = list[SumLine](), timedelta(0)
    for start, end in spans:
        for line in calendar.lines(start, end):
            lines.append(_line(line, total, calendar.zone))
        total += calendar.between(start, end)
    return ClockSum(
        ticket_id=ticket_id,
        clock=name,
        label=CLOCK_WORDS[name],
        status=clock.status,
        target_minutes=clock.target // _MINUTE,
        spent_minutes=clock.spent(calendar, now) // _MINUTE,
        due_at=due,
        breached_at=clock.breached,
        ended_at=clock.ended,
        zone=calendar.zone,
        lines=tuple(lines[-_MOST_LINES:]),
    )


def _line(line: DayLine, before: timedelta, zone: str) -> SumLine:
    local = ZoneInfo(zone)
    return SumLine(
        day=line.day,
        hours=tuple(f"{start.astimezone(local):%H:%M} to {end.astimezone(local):%H:%M}" for start, end in line.spans),
        minutes=line.open // _MINUTE,
        total_minutes=(before + line.total) // _MINUTE,
        closed=line.closed,
    )
