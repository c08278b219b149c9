"""The page of a ticket: the conversation, its clocks, and beside it what the record says and what can be done."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from console.addresses import href
from console.present.account import gauges
from console.views.account import Gauge
from console.views.parts import Link
from domain.approvals import Actor
from domain.rules.base import VenueCalendar
from domain.tickets import TICKET
from firm import ticket_context, ticket_desk, ticket_macros
from firm.service import ahead
from firm.service import policy as policies
from firm.service import sums as clock_sums
from firm.service.sums import ClockSum
from firm.ticket_context import TicketContext
from firm.ticket_desk import Looking
from front import permissions
from store.models import Ticket
from store.read import mails_in
from store.read import tickets as read
from store.read.mails_in import IncomingMailView
from store.read.pages import Window
from store.read.tickets import TicketView
from store.scope import Scope
from store.service_time import service_now

_OTHERS: Final = Window(limit=20)


@dataclass(frozen=True)
class Draft:
    """What somebody wrote and did not send yet. `fills`: what macros filled into it. `problem`: why it was not sent.
    `seen`: the newest message that they had read when they wrote."""

    body: str = ""
    fills: tuple[str, ...] = ()
    problem: str = ""
    remedy: str = ""
    seen: str = ""
    note: bool = False


@dataclass(frozen=True)
class SnoozeChoice:
    label: str
    value: str


@dataclass(frozen=True)
class TicketPage:
    """`now`: the service clock, wall time. `arrived`: ids of messages that came after the draft was begun. The parts
    from `context` on are for staff."""

    ticket: TicketView
    now: datetime
    draft: Draft
    may_reply: bool
    may_solve: bool
    may_work: bool
    may_rate: bool
    arrived: frozenset[str] = frozenset()
    context: TicketContext | None = None
    gauges: Sequence[Gauge] = ()
    answers: Sequence[tuple[str, str]] = ()  # sentence, address of its proof
    sums: Sequence[ClockSum] = ()
    looking: Sequence[Looking] = ()
    macros: Sequence[tuple[str, str]] = ()  # id, name
    others: Sequence[Link] = ()
    snoozes: Sequence[SnoozeChoice] = ()
    mine: bool = False
    mails: Sequence[IncomingMailView] = ()


async def page(
    session: AsyncSession,
    scope: Scope,
    actor: Actor,
    ticket_id: str,
    *,
    draft: Draft | None = None,
    calendars: Mapping[str, VenueCalendar] | None = None,
) -> TicketPage:
    """Raises NotFound."""
    await ahead.read(session)
    ticket, draft = await read.one(session, scope, ticket_id), draft or Draft()
    is_root = ticket.merged_into is None
    found = TicketPage(
        ticket=ticket,
        mails=await mails_in.of_visible_ticket(session, scope, ticket.id),
        now=await service_now(session),
        draft=draft,
        may_reply=is_root and permissions.may(actor, "tickets.write"),
        may_solve=is_root and permissions.may(actor, "tickets.solve") and TICKET.allows(ticket.state, "ticket_solved"),
        may_work=permissions.may(actor, "tickets.work"),
        may_rate=permissions.may(actor, "tickets.rate") and ticket.solved_times > 0,
        arrived=_arrived(ticket, draft.seen),
    )
    return found if not scope.staff else await _for_staff(session, scope, actor, found, calendars)


def _arrived(ticket: TicketView, seen: str) -> frozenset[str]:
    ids = [message.id for message in ticket.messages]
    return frozenset(ids[ids.index(seen) + 1 :]) if seen in ids else frozenset()


async def _for_staff(
    session: AsyncSession,
    scope: Scope,
    actor: Actor,
    found: TicketPage,
    calendars: Mapping[str, VenueCalendar] | None,
) -> TicketPage:
    ticket = found.ticket
    row = await session.get_one(Ticket, ticket.merged_into or ticket.id)
    members = None if ticket.merged_into else [ticket.id, *(each.ticket_id for each in ticket.merged)]
    known = row.trader_id is not None
    context = await ticket_context.of(session, row, members=members, calendars=calendars) if known else None
    there = (await ticket_desk.looking(session, [row.id])).get(row.id, [])
    of_trader = (await read.page(session, scope, _OTHERS, trader_id=row.trader_id)).items if known else ()
    return replace(
        found,
        may_rate=False,
        context=context,
        gauges=[] if context is None or context.account is None else gauges(context.account, context.breach),
        answers=[
            (each.sentence, href(each.kind, each.id) if each.kind else "")
            for each in (() if context is None else context.answers)
        ],
        sums=await clock_sums.of_ticket(session, row.id, members=members),
        looking=[each for each in there if each.user_id != actor.user_id],
        macros=await _macros(session) if known and found.may_reply else [],
        others=[
            Link(each.subject, href("ticket", each.id), each.state, each.id)
            for each in of_trader
            if each.id != row.id and each.merged_into is None
        ],
        snoozes=await _snoozes(session, ticket, found.now),
        mine=ticket.assignee_id == actor.user_id,
    )


async def _macros(session: AsyncSession) -> list[tuple[str, str]]:
    return [(macro.id, macro.name) for macro in await ticket_macros.in_use(session)]


async def _snoozes(session: AsyncSession, ticket: TicketView, now: datetime) -> list[SnoozeChoice]:
    """The moments that people put a ticket aside to, in business hours; the last one again while it is ahead."""
    _, policy = await policies.in_force(session)
    calendar = policy.calendar
    tomorrow = calendar.add(calendar.close_of(now, 0), timedelta(0))
    choices = [
        ("for 2 business hours", calendar.add(now, timedelta(hours=2))),
        ("until the next business day", tomorrow),
        ("for a week", calendar.add(now + timedelta(days=7), timedelta(0))),
    ]
    if ticket.last_snoozed_until is not None and ticket.last_snoozed_until > now:
        choices.insert(0, ("as before", ticket.last_snoozed_until))
    return [
        SnoozeChoice(f"{label}, {until:%a %d %b %H:%M} UTC", until.isoformat(timespec="seconds"))
        for label, until in choices
    ] + [SnoozeChoice("until the trader writes", "")]
