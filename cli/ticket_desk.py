"""The desk at which people work on tickets: `PROPOS_TICKETS` names it, and `own` is our own."""

from typing import TYPE_CHECKING

from domain.errors import BadInput
from firm.desk.in_force import OWN
from ports.tickets import TicketDesk
from settings import Settings, adapter_variable, environment_name

if TYPE_CHECKING:
    from relay.desk.copier import DeskNotes


def build_ticket_desk(settings: Settings) -> TicketDesk | None:
    """Returns the desk of a third party; None: people work here. Raises BadInput, naming the variable that is wrong."""
    name = settings.tickets
    if name == OWN:
        return None
    if name not in settings.ticket_desks:
        variable = environment_name("tickets")
        raise BadInput(
            f"{variable} is {name!r}, which is not configured.",
            field=variable,
            remedy=f"Set {adapter_variable('ticket_desks', name, '<field>')}, or {variable}={OWN}.",
        )
    from cli.adapters import configured

    desk: TicketDesk = configured("ticket_desks", name, settings.ticket_desks[name]).build()
    return desk


def desk_notes(settings: Settings) -> "DeskNotes":
    """Returns what is noted on each ticket for the people of the desk."""
    from relay.desk.copier import DeskNotes

    return DeskNotes(url=settings.api_url, with_answers=settings.tickets_note == "answers")


async def healthy(settings: Settings) -> str:
    """Asks the desk. Raises BadInput, Unavailable."""
    desk = build_ticket_desk(settings)
    if desk is None:
        return "people work here"
    try:
        return await desk.healthy()
    finally:
        await desk.aclose()
