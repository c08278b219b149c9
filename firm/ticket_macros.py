"""Macros on the record: people with the right write them; whoever answers a ticket has one filled in with facts."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from domain.approvals import Actor
from domain.errors import BadInput, Conflict, NotAllowed, NotFound
from domain.keys import new_id
from domain.rules.base import VenueCalendar
from domain.service import macros
from firm import ticket_context, ticket_steps, tickets
from store import audit, rows
from store.clock import market_now
from store.models import Ticket, TicketFill, TicketMacro

WRITERS: Final = frozenset({"admin"})
MAX_NAME: Final = 80
MAX_TEXT: Final = 4000


@dataclass(frozen=True, slots=True)
class Filled:
    """A macro with its facts, for a person to edit. `as_of`: market time of the facts."""

    id: str
    text: str
    facts: dict[str, str]
    as_of: datetime


async def save(
    session: AsyncSession, *, actor: Actor, name: str, body: str, macro_id: str | None = None
) -> TicketMacro:
    """Writes a macro, or changes one. Raises NotAllowed, NotFound, BadInput (an unknown fact), Conflict (the name is
    taken, or it was retired)."""
    _check_writes(actor)
    if not 1 <= len(name.strip()) <= MAX_NAME:
        raise BadInput(f"The name must have 1 to {MAX_NAME} characters.", field="name", remedy="Write a short name.")
    if not 1 <= len(body.strip()) <= MAX_TEXT:
        raise BadInput(f"The text must have 1 to {MAX_TEXT} characters.", field="body", remedy="Shorten it.")
    macros.check(body)
    now = await market_now(session)
    if macro_id is None:
        macro = TicketMacro(id=new_id("mac"), version=0)
        session.add(macro)
    else:
        macro = await _locked(session, macro_id)
    macro.name, macro.body, macro.version = name.strip(), body.strip(), macro.version + 1
    macro.changed_by, macro.changed_at = actor.user_id, now
    try:
        await session.flush()
    except IntegrityError as exc:
        raise Conflict("Another macro has this name.", remedy="Choose another name.") from exc
    await _record(session, macro, actor, "macro.changed")
    return macro


async def retire(session: AsyncSession, *, actor: Actor, macro_id: str) -> TicketMacro:
    """Takes a macro out of use. Raises NotAllowed, NotFound, Conflict."""
    _check_writes(actor)
    macro = await _locked(session, macro_id)
    macro.retired_at = await market_now(session)
    await _record(session, macro, actor, "macro.retired")
    return macro


async def fill(
    session: AsyncSession,
    *,
    ticket_id: str,
    macro_id: str,
    actor: Actor,
    calendars: Mapping[str, VenueCalendar] | None = None,
) -> Filled:
    """Fills a macro in with what the record says of a ticket now, and keeps those facts.

    Raises NotFound, NotAllowed, BadInput that names every fact that is missing, Conflict (the macro was retired).
    """
    if actor.role not in tickets.ANSWERERS:
        raise NotAllowed(f"Answering tickets needs the role admin or support; yours is {actor.role}.")
    macro = await session.get(TicketMacro, macro_id)
    if macro is None:
        raise NotFound
    if macro.retired_at is not None:
        raise Conflict("This macro is not in use any more.", remedy="Choose another one.")
    ticket = await session.get_one(Ticket, await ticket_steps.root_of(session, ticket_id))
    known = await ticket_context.of(session, ticket, calendars=calendars)
    text, used = macros.fill(macro.body, ticket_context.facts(known))
    row = TicketFill(
        id=new_id("fil"),
        ticket_id=ticket.id,
        trader_id=ticket.trader_id,
        macro_id=macro.id,
        macro_version=macro.version,
        user_id=actor.user_id,
        facts=json.dumps(used),
        as_of=known.as_of,
    )
    session.add(row)
    await session.flush()
    return Filled(row.id, text, used, known.as_of)


async def in_use(session: AsyncSession) -> list[TicketMacro]:
    """Returns the macros that can be used, by name."""
    found = await session.scalars(select(TicketMacro).where(TicketMacro.retired_at.is_(None)))
    return sorted(found, key=lambda macro: macro.name.casefold())


def _check_writes(actor: Actor) -> None:
    if actor.role not in WRITERS:
        raise NotAllowed(f"Changing macros needs the role admin; yours is {actor.role}.")


async def _locked(session: AsyncSession, macro_id: str) -> TicketMacro:
    macro = await rows.locked(session, TicketMacro, macro_id)
    if macro.retired_at is not None:
        raise Conflict("This macro is not in use any more.", remedy="Write a new one.")
    return macro


async def _record(session: AsyncSession, macro: TicketMacro, actor: Actor, action: str) -> None:
    await audit.record(
        session,
        action=action,
        subject_kind="macro",
        subject_id=macro.id,
        occurred_at=await market_now(session),
        actor=actor.user_id,
        role=actor.role,
        evidence={"version": macro.version},
    )
