"""Whether the firm's data flow: waiting and parked messages of inbox and outbox, and the age of each price feed."""

from typing import Any, Final

from sqlalchemy import ColumnElement, Select, func, literal, select, union_all
from sqlalchemy.ext.asyncio import AsyncSession

from store.models import InboxEvent, MarketClock, OutboxMessage
from store.outbox import ASIDE
from store.read.pages import View

_ASIDE: Final = "aside"


class Delivery(View):
    """Counts of messages. `aside_waiting`: of those of the outbox that leave after everything else, which are in no
    other count of what waits. `lag_seconds` is how long the oldest due message has waited, in wall time; what leaves
    after everything else does not count for it."""

    inbox_waiting: int
    inbox_parked: int
    outbox_waiting: int
    outbox_parked: int
    aside_waiting: int
    lag_seconds: float


async def delivery(session: AsyncSession) -> Delivery:
    # a SELECT for each index of what waits and what is set aside: the tables keep what was delivered
    inbox, outbox = InboxEvent.handled_at.is_(None), OutboxMessage.dispatched_at.is_(None)
    aside = OutboxMessage.topic.in_(ASIDE)
    boxes = union_all(
        _box("inbox", False, InboxEvent.next_at, inbox, InboxEvent.parked_at.is_(None)),
        _box("inbox", True, InboxEvent.next_at, inbox, InboxEvent.parked_at.is_not(None)),
        _box("outbox", False, OutboxMessage.next_at, outbox, OutboxMessage.parked_at.is_(None), ~aside),
        _box(_ASIDE, False, OutboxMessage.next_at, outbox, OutboxMessage.parked_at.is_(None), aside),
        _box("outbox", True, OutboxMessage.next_at, outbox, OutboxMessage.parked_at.is_not(None)),
    ).subquery("boxes")
    overdue = func.extract("epoch", func.clock_timestamp() - func.min(boxes.c.next_at))
    rows = await session.execute(
        select(boxes.c.box, boxes.c.parked, func.count(), overdue).group_by(boxes.c.box, boxes.c.parked)
    )
    counts: dict[tuple[str, bool], int] = {}
    lag = 0.0
    for box, parked, count, seconds in rows:
        counts[box, parked] = count
        if not parked and box != _ASIDE:
            lag = max(lag, float(seconds))
    return Delivery(
        inbox_waiting=counts.get(("inbox", False), 0),
        inbox_parked=counts.get(("inbox", True), 0),
        outbox_waiting=counts.get(("outbox", False), 0),
        outbox_parked=counts.get(("outbox", True), 0),
        aside_waiting=counts.get((_ASIDE, False), 0),
        lag_seconds=round(lag, 3),
    )


async def feed_ages(session: AsyncSession) -> dict[str, float]:
    """Returns feed -> seconds of wall time since its prices were last judged."""
    age = func.extract("epoch", func.clock_timestamp() - MarketClock.recorded_at)
    rows = await session.execute(select(MarketClock.feed, age))
    return {feed: round(float(seconds), 3) for feed, seconds in rows}


def _box(name: str, parked: bool, next_at: Any, *conditions: ColumnElement[bool]) -> Select[Any]:
    return select(literal(name).label("box"), literal(parked).label("parked"), next_at.label("next_at")).where(
        *conditions
    )
