"""Tickets: traders' questions. Answered on the ticket's own page, so they have no decision. One that was put aside
does not wait; its deadline, in wall time, is that of its clocks."""

from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Select

from domain.approvals import PEOPLE
from front.subjects.subject import Right, Subject
from store.models import Ticket
from store.read.search import Findable
from store.read.waiting import Row, Waiting, waiting_rows


def _rows() -> Select[Any]:
    return waiting_rows(
        subject_id=Ticket.id,
        state=Ticket.state,
        since=Ticket.changed_at,
        deadline=Ticket.due_at,
        account_id=Ticket.account_id,
        trader_id=Ticket.trader_id,
        holder_id=Ticket.assignee_id,
        held_until=Ticket.lease_until,
    ).where(Ticket.state == "open", Ticket.snoozed_at.is_(None))


def _words(_: Row) -> str:
    return "Question"


TICKET: Final = Subject(
    name="ticket",
    label="ticket",
    plural="tickets",
    waits_as="Tickets to answer",
    waiting=Waiting(_rows, timedelta(hours=24), _words),
    read=Right("tickets.read", PEOPLE),
    under="/tickets",
    page="/tickets",
    list_page="/tickets?state=open",
    todo="Answer this ticket on its own page. It leaves the queue once it is answered, solved or snoozed there.",
    find=Findable("tkt", Ticket, lambda scope: scope.own(Ticket.trader_id)),
)
