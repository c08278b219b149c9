"""Messages that could not be delivered after many attempts: money or an account waits for a person to look."""

from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Select, literal

from domain.approvals import STAFF
from front.subjects.subject import Right, Subject
from store.models import InboxEvent, OutboxMessage
from store.read.queue import Row, Waiting, waiting_rows

_READ: Final = Right("queue.read", STAFF)
_TARGET: Final = timedelta(hours=1)
_PAGE: Final = "/messages"


def _inbox() -> Select[Any]:
    return waiting_rows(
        subject_id=InboxEvent.id, state=literal("parked"), since=InboxEvent.parked_at, note=InboxEvent.kind
    ).where(InboxEvent.parked_at.is_not(None), InboxEvent.handled_at.is_(None))


def _outbox() -> Select[Any]:
    return waiting_rows(
        subject_id=OutboxMessage.id, state=literal("parked"), since=OutboxMessage.parked_at, note=OutboxMessage.target
    ).where(OutboxMessage.parked_at.is_not(None), OutboxMessage.dispatched_at.is_(None))


def _inbox_words(row: Row) -> str:
    return f"Payment event ({row.note}) that could not be handled"


def _outbox_words(row: Row) -> str:
    return f"Message to {row.note} that could not be delivered"


INBOX: Final = Subject(
    name="inbox",
    label="payment event",
    plural="payment events",
    waits_as="Payment events that could not be handled",
    waiting=Waiting(_inbox, _TARGET, _inbox_words),
    read=_READ,
    under="/risk",
    list_page=_PAGE,
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
    list_page=_PAGE,
    urgent=True,
    todo="Delivery has failed too many times. Try it again or give it up on the page Messages.",
)
