"""Support tickets and their messages. Traders read neither notes nor anything of the desk."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Final, Literal

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from domain.errors import BadInput, NotFound
from domain.tickets import TICKET
from store.db import as_firm
from store.models import (
    Account,
    Ticket,
    TicketClock,
    TicketFill,
    TicketMacro,
    TicketMessage,
    TicketRating,
    Trader,
    User,
)
from store.read import listing
from store.read.finding import Named, of_account
from store.read.listing import (
    EVERYTHING,
    UPDATED,
    Asked,
    Condition,
    Filter,
    Listing,
    Order,
    Totals,
    equals,
    updated_since,
)
from store.read.pages import Page, View, Window, account_number
from store.rows import keep
from store.scope import Scope
from store.service_time import service_now

Aside = Literal["without", "only", "with"]
_Assignee = aliased(User)


class TicketRow(View):
    """`trader_id`: None for the ticket of somebody who is no trader, or did not prove to be one; `trader_name` is the
    mail address then. `merged_into`: the ticket that messages to this one go to.

    For staff only, else empty: `linked_to`, the ticket that the first mail named; `due_at`, when the first clock is
    late; `snoozed_at` and `snoozed_until`; `assignee`, who has claimed it until `lease_until`. These are wall times.
    """

    id: str
    updated_at: datetime
    trader_id: str | None
    trader_name: str
    linked_to: str | None = None
    account_id: str | None
    account_number: str | None
    payout_id: str | None
    subject: str
    state: str
    opened_at: datetime
    changed_at: datetime
    merged_into: str | None = None
    due_at: datetime | None = None
    snoozed_at: datetime | None = None
    snoozed_until: datetime | None = None
    assignee_id: str | None = None
    assignee: str | None = None
    lease_until: datetime | None = None


class FillView(View):
    """What a macro filled into an answer, as it was at `as_of` (market time)."""

    macro: str
    version: int
    facts: dict[str, str]
    as_of: datetime


class MessageView(View):
    """`author` is the person's name for staff; traders see their own name or "Support". `kind`: public, a note that
    only staff reads, or an answer that is held for some seconds and can be taken back; `author_id` is for staff only.
    `ticket_id`: the ticket it was written on, which may have been merged into this one."""

    id: str
    author: str
    author_id: str | None = None
    from_firm: bool
    body: str
    occurred_at: datetime
    kind: str = "public"
    automatic: bool = False
    ticket_id: str = ""
    filled: tuple[FillView, ...] = ()


class ClockView(View):
    """A clock of a ticket, or of one merged into it. Wall times."""

    ticket_id: str
    clock: str
    status: str
    due_at: datetime | None
    breached_at: datetime | None


class MergeView(View):
    """A ticket that was merged into this one, directly or through others."""

    ticket_id: str
    subject: str
    into: str


class RatingView(View):
    """`round`: how often the ticket had been solved by then."""

    round: int
    score: int
    comment: str | None
    given_at: datetime


class TicketView(TicketRow):
    """`newest`: id of the newest message; an answer names it, so that nothing is overlooked. `rating` is of the newest
    solution."""

    messages: tuple[MessageView, ...]
    newest: str = ""
    solved_times: int = 0
    last_snoozed_until: datetime | None = None
    clocks: tuple[ClockView, ...] = ()
    merged: tuple[MergeView, ...] = ()
    rating: RatingView | None = None


def _statement(scope: Scope) -> Select[Any]:
    return _all().where(scope.own(Ticket.trader_id))


@cache
def _all() -> Select[Any]:
    return (
        select(Ticket, Account.number, Trader.name.label("trader_name"), _Assignee.name.label("assignee"))
        .outerjoin(Trader, Trader.id == Ticket.trader_id)
        .outerjoin(Account, Account.id == Ticket.account_id)
        .outerjoin(_Assignee, _Assignee.id == Ticket.assignee_id)
    )


def _fields(scope: Scope, row: Any, now: datetime | None) -> dict[str, Any]:
    ticket: Ticket = row.Ticket
    found = {
        "id": ticket.id,
        "updated_at": ticket.updated_at,
        "trader_id": ticket.trader_id,
        "trader_name": row.trader_name or ticket.contact or "",
        "account_id": ticket.account_id,
        "account_number": None if row.number is None else account_number(row.number),
        "payout_id": ticket.payout_id,
        "subject": ticket.subject,
        "state": ticket.state,
        "opened_at": ticket.opened_at,
        "changed_at": ticket.changed_at,
        "merged_into": ticket.root_id,
    }
    if not scope.staff or now is None:
        return found
    lasts = ticket.lease_until is not None and ticket.lease_until > now
    return found | {
        "linked_to": ticket.linked_to,
        "due_at": ticket.due_at,
        "snoozed_at": ticket.snoozed_at,
        "snoozed_until": ticket.snoozed_until,
        "assignee_id": ticket.assignee_id if lasts else None,
        "assignee": row.assignee if lasts else None,
        "lease_until": ticket.lease_until if lasts else None,
    }


def _found(named: Named) -> list[Condition]:
    found = named.beside(Ticket.trader_id, Ticket.account_id)
    return [*found, Ticket.id == named.text] if named.is_id("tkt") else found


TICKETS: Final = Listing(
    name="tickets",
    rows=Ticket,
    owner=Ticket.trader_id,
    filters={
        "state": Filter("State", equals(Ticket.state), tuple(sorted(TICKET.states))),
        "account": Filter("Account", of_account(Ticket.account_id)),
        "trader": Filter("Trader", equals(Ticket.trader_id)),
        "updated_since": updated_since(Ticket.updated_at),
    },
    orders={
        "opened": Order(lambda _: [Ticket.recorded_at, Ticket.id]),
        "due": Order(lambda _: [Ticket.due_at, Ticket.id], closest_first=True),
        UPDATED: Order(lambda _: [Ticket.updated_at, Ticket.id]),
    },
    order="-opened",
    finds=_found,
    searches="trader’s name or e-mail address, account number, login, ticket id",
)


@dataclass(frozen=True)
class AtDesk:
    """Which tickets staff wants: with or without the snoozed ones, or only those; those that `assignee_id` has claimed
    now; those whose clock runs."""

    aside: Aside = "with"
    assignee_id: str | None = None
    has_deadline: bool = False

    def conditions(self, now: datetime) -> list[Condition]:
        found: list[Condition] = []
        if self.aside != "with":
            is_here = Ticket.snoozed_at.is_(None)
            found.append(is_here if self.aside == "without" else ~is_here)
        if self.assignee_id is not None:
            found += [Ticket.assignee_id == self.assignee_id, Ticket.lease_until > now]
        if self.has_deadline:
            found.append(Ticket.due_at.is_not(None))
        return found


ANYWHERE: Final = AtDesk()


def _beside(asked: Asked, desk: AtDesk, now: datetime | None) -> list[Condition]:
    """`now`: for staff. Sorted by deadline, only tickets whose clock runs are listed. Raises BadInput."""
    by_deadline = asked.order.removeprefix("-") == "due"
    if now is None:
        if by_deadline:
            raise BadInput(
                "Tickets are sorted by when they were opened.", field="sort", remedy="Use opened or -opened."
            )
        return []
    runs: list[Condition] = [Ticket.due_at.is_not(None)] if by_deadline else []
    return [*runs, *desk.conditions(now)]


async def page(
    session: AsyncSession,
    scope: Scope,
    window: Window,
    asked: Asked = EVERYTHING,
    *,
    account_id: str | None = None,
    trader_id: str | None = None,
    desk: AtDesk = ANYWHERE,
) -> Page[TicketRow]:
    """`account_id`, `trader_id`: of this account or trader only. `desk`: for staff."""
    statement = _statement(scope)
    for column, wanted in ((Ticket.account_id, account_id), (Ticket.trader_id, trader_id)):
        if wanted is not None:
            statement = statement.where(column == wanted)
    now = await service_now(session) if scope.staff else None
    also = _beside(asked, desk, now)
    found = await listing.rows(session, TICKETS, statement, scope, window, asked, also)
    items = tuple(TicketRow(**_fields(scope, row, now)) for row in found.rows)
    return Page[TicketRow](items=items, next_cursor=found.next_cursor, previous_cursor=found.previous_cursor)


async def totals(session: AsyncSession, scope: Scope, asked: Asked, desk: AtDesk) -> Totals:
    also = _beside(asked, desk, await service_now(session) if scope.staff else None)
    return await listing.totals(session, TICKETS, scope, asked, also)


async def one(session: AsyncSession, scope: Scope, ticket_id: str) -> TicketView:
    """Raises NotFound."""
    row = (await session.execute(_statement(scope).where(Ticket.id == ticket_id))).one_or_none()
    if row is None:
        raise NotFound
    ticket: Ticket = row.Ticket
    keep(session, ticket)
    merged = (await session.scalars(select(Ticket).where(Ticket.root_id == ticket_id).order_by(Ticket.id))).all()
    members = [ticket_id, *(each.id for each in merged)]
    messages = await _messages(session, scope, members, ticket.contact)
    desk = await _desk(session, ticket, members) if scope.staff else {}
    return TicketView(
        **_fields(scope, row, await service_now(session)),
        messages=messages,
        newest=messages[-1].id if messages else "",
        solved_times=ticket.solved_times,
        merged=tuple(
            MergeView(ticket_id=each.id, subject=each.subject, into=each.merged_into or "") for each in merged
        ),
        rating=await _rating(session, ticket),
        **desk,
    )


async def _messages(
    session: AsyncSession, scope: Scope, members: list[str], contact: str | None
) -> tuple[MessageView, ...]:
    statement = (
        select(TicketMessage, User.name, User.role)
        .outerjoin(User, User.id == TicketMessage.author_id)
        .where(TicketMessage.ticket_id.in_(members))
        .order_by(TicketMessage.recorded_at, TicketMessage.id)
    )
    if not scope.staff:
        statement = statement.where(TicketMessage.kind == "public")
    async with as_firm(session):  # some of those who write are staff
        rows = (await session.execute(statement)).all()
    filled = await _filled(session, members) if scope.staff else {}
    return tuple(
        MessageView(
            id=message.id,
            author=_author(message, name or contact, scope.staff or role == "trader"),
            author_id=message.author_id if scope.staff else None,
            from_firm=role not in ("trader", None) or message.desk_author is not None,
            body=message.body,
            occurred_at=message.occurred_at,
            kind=message.kind,
            automatic=message.automatic,
            ticket_id=message.ticket_id,
            filled=tuple(filled.get(message.id, ())),
        )
        for message, name, role in rows
    )


def _author(message: TicketMessage, name: str | None, named: bool) -> str:
    if message.author_id is None and message.desk_author is None:
        return name or "Unknown sender"
    return (message.desk_author or name or "Unknown sender") if named else "Support"


async def _filled(session: AsyncSession, members: list[str]) -> Mapping[str, list[FillView]]:
    rows = await session.execute(
        select(TicketFill, TicketMacro.name)
        .join(TicketMacro, TicketMacro.id == TicketFill.macro_id)
        .where(TicketFill.ticket_id.in_(members), TicketFill.message_id.is_not(None))
        .order_by(TicketFill.id)
    )
    found = dict[str, list[FillView]]()
    for row, name in rows:
        view = FillView(macro=name, version=row.macro_version, facts=json.loads(row.facts), as_of=row.as_of)
        found.setdefault(row.message_id, []).append(view)
    return found


async def _desk(session: AsyncSession, ticket: Ticket, members: list[str]) -> dict[str, Any]:
    clocks = await session.scalars(
        select(TicketClock).where(TicketClock.ticket_id.in_(members)).order_by(TicketClock.ticket_id, TicketClock.clock)
    )
    return {
        "last_snoozed_until": ticket.last_snoozed_until,
        "clocks": tuple(
            ClockView(
                ticket_id=clock.ticket_id,
                clock=clock.clock,
                status=clock.status,
                due_at=clock.due_at,
                breached_at=clock.breached_at,
            )
            for clock in clocks
        ),
    }


async def _rating(session: AsyncSession, ticket: Ticket) -> RatingView | None:
    row = await session.get(TicketRating, (ticket.id, ticket.solved_times)) if ticket.solved_times else None
    if row is None:
        return None
    return RatingView(round=row.round, score=row.score, comment=row.comment, given_at=row.given_at)


async def ratings(session: AsyncSession) -> Mapping[int, int]:
    """Returns how many ratings of each score there are."""
    rows = await session.execute(select(TicketRating.score, func.count()).group_by(TicketRating.score))
    return {score: int(count) for score, count in rows}
