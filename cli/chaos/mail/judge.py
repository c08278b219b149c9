"""What must be zero after the conversations: read from the record and from what the world received."""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from cli.chaos.mail.world import Person, World
from firm import mails
from store.models import OutgoingMailRow, Ticket, TicketMessage

FIGURES: Final = ("lost", "duplicated", "wrong_thread", "loops", "leaked_context", "unmarked_bounces")
_MARKER: Final = re.compile(r"\[(?:mail|forged|auto)-[0-9a-f]{12}\]")


async def judge(session: AsyncSession, world: World) -> Mapping[str, int]:
    """Returns the figures by name.

    lost: mails of people that are in no ticket. duplicated: those that are there twice. wrong_thread: conversations in
    more than one ticket, and mails in a ticket of somebody else. loops: what programs sent that became a message, and
    mails of the firm that no person wrote beyond one a day and address. leaked_context: forged mails in a trader's
    ticket, strangers' tickets about an account, and answers that somebody else got. unmarked_bounces: addresses that
    are still written to although mail came back.
    """
    found: dict[str, list[Ticket]] = defaultdict(list)
    rows = await session.execute(select(TicketMessage.body, Ticket).join(Ticket, Ticket.id == TicketMessage.ticket_id))
    for body, ticket in rows:
        for marker in _MARKER.findall(body):
            found[marker].append(ticket)
    threads: dict[int, set[str]] = defaultdict(set)
    wrong = 0
    for marker, person in world.markers.items():
        for ticket in found.get(marker, []):
            threads[person.number].add(ticket.id)
            wrong += not _is_of(ticket, person)
    strangers = [ticket for tickets in found.values() for ticket in tickets if ticket.trader_id is None]
    leaked = sum(ticket.trader_id is not None for marker in world.forged for ticket in found.get(marker, []))
    leaked += sum(ticket.account_id is not None or ticket.payout_id is not None for ticket in strangers)
    programs = await session.execute(select(OutgoingMailRow.recipient).where(OutgoingMailRow.automatic))
    often = Counter(str(recipient) for (recipient,) in programs)
    unmarked = 0
    for person in world.people.values():
        if person.kind == "dead" and world.counted.bounces:
            unmarked += not await mails.is_undeliverable(session, person.address)
    return {
        "lost": sum(not found.get(marker) for marker in [*world.markers, *world.forged]),
        "duplicated": sum(max(0, len(tickets) - 1) for tickets in found.values()),
        "wrong_thread": wrong + sum(len(tickets) - 1 for tickets in threads.values()),
        "loops": sum(len(found.get(marker, [])) for marker in world.automatic)
        + sum(times - 1 for times in often.values()),
        "leaked_context": leaked + len(world.misdelivered),
        "unmarked_bounces": unmarked,
    }


def _is_of(ticket: Ticket, person: Person) -> bool:
    if person.is_trader:
        return ticket.trader_id == f"trd_{person.number}"
    return ticket.contact == person.address
