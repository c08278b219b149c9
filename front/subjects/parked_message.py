"""Messages that could not be delivered after many attempts: money or an account waits for a person to look. So does a
reset of a balance that was given up, since payouts of the account still wait for it."""

from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Select, case, func, literal

from domain.approvals import STAFF
from front.subjects.subject import Right, Subject
from store import outbox
from store.models import InboxEvent, OutboxMessage
from store.read.waiting import Row, Waiting, waiting_rows

_READ: Final = Right("queue.read", STAFF)
_TARGET: Final = timedelta(hours=1)
_PAGE: Final = "/messages"


def _inbox() -> Select[Any]:
    return waiting_rows(
        subject_id=InboxEvent.id, state=literal("parked"), since=InboxEvent.parked_at, note=InboxEvent.kind
    ).where(InboxEvent.parked_at.is_not(None), InboxEvent.handled_at.is_(None))


def _outbox() -> Select[Any]:
    row, given_up = OutboxMessage, OutboxMessage.dispatched_at.is_not(None)
    return waiting_rows(
        subject_id=row.id,
        state=case((given_up, "given_up"), else_="parked"),
        since=row.parked_at,
        account_id=case((given_up, row.payload["account_id"].astext)),
        note=case(
            (given_up, func.concat("Reset of the balance of login ", row.target, " that was given up")),
            else_=func.concat("Message to ", row.target, " that could not be delivered"),
        ),
    ).where(outbox.WAITS_FOR_PERSON)


def _inbox_words(row: Row) -> str:
    return f"Payment event ({row.note}) that could not be handled"


def _outbox_words(row: Row) -> str:
    return str(row.note)


INBOX: Final = Subject(
    name="inbox",
    label="payment event",
    plural="payment events",
    waits_as="Payment events that could not be handled",
    waiting=Waiting(_inbox, _TARGET, _inbox_words),
    read=_READ,
    under="/risk",
    list_page=f"{_PAGE}?box=inbox",
    urgent=True,
    todo="Delivery has failed too many times. Try it again or give it up on the page Messages.",
)

OUTBOX: Final = Subject(
    name="outbox",
    label="message",
    plural="messages",
    waits_as="Messages that could not be delivered",
    waiting=Waiting(_outbox, _TARGET, _outbox_words),
    read=_READ,
    under="/risk",
    list_page=f"{_PAGE}?box=outbox",
    urgent=True,
    todo="Delivery has failed too many times. Try it again or give it up on the page Messages.",
)
