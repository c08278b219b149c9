"""Messages that were set aside for a person, oldest first. For staff."""

from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Select, false, func, literal, select, union_all
from sqlalchemy.ext.asyncio import AsyncSession

from store import outbox
from store.models import InboxEvent, OutboxMessage
from store.read.pages import Page, View, Window, keyset

Box = Literal["inbox", "outbox"]


class ParkedMessage(View):
    """`box`: inbox (an event of a provider) or outbox (to a workflow, a platform or a mailbox). `name`: its kind, and
    `about`: whom it is for. `given_up`: a person gave it up, and payouts wait for it: a reset of a balance. Wall times.
    """

    box: str
    number: int
    name: str
    about: str
    error: str
    attempts: int
    given_up: bool
    since: datetime
    received_at: datetime


async def page(session: AsyncSession, window: Window, *, box: Box | None = None) -> Page[ParkedMessage]:
    """`box`: those of this one only."""
    boxes = {"inbox": _events(), "outbox": _messages()}
    waiting = union_all(*(boxes.values() if box is None else (boxes[box],))).subquery("waiting")
    keys = [waiting.c.since, waiting.c.box, waiting.c.number]
    rows, cursor = await keyset(session, select(waiting), keys, window, descending=False)
    names = ParkedMessage.model_fields
    items = tuple(ParkedMessage(**{name: row._mapping[name] for name in names}) for row in rows)
    return Page[ParkedMessage](items=items, next_cursor=cursor)


def _events() -> Select[Any]:
    row = InboxEvent
    return select(
        literal("inbox").label("box"),
        row.id.label("number"),
        func.concat(row.provider, " ", row.kind).label("name"),
        row.object_id.label("about"),
        func.coalesce(row.error, "").label("error"),
        row.attempts.label("attempts"),
        false().label("given_up"),
        row.parked_at.label("since"),
        row.received_at.label("received_at"),
    ).where(row.parked_at.is_not(None), row.handled_at.is_(None))


def _messages() -> Select[Any]:
    row = OutboxMessage
    return select(
        literal("outbox").label("box"),
        row.id.label("number"),
        func.concat_ws(" ", row.topic, func.nullif(row.name, "")).label("name"),
        row.target.label("about"),
        func.coalesce(row.error, "").label("error"),
        row.attempts.label("attempts"),
        row.dispatched_at.is_not(None).label("given_up"),
        row.parked_at.label("since"),
        row.recorded_at.label("received_at"),
    ).where(outbox.WAITS_FOR_PERSON)
