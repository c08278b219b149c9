"""Waits until the core has finished all work that is due at the current market time.

The demo advances market time in steps. All work must be finished between two steps, or the same seed would not produce
the same run. The core is idle if nothing waits in outbox, inbox or wake-ups, surveillance has read every deal, no
business object is in a transient state, and no workflow that received a message has pending work.
"""

import asyncio
import time
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, ScalarSelect, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from domain.disputes import DISPUTE
from domain.errors import Unavailable
from domain.lifecycle import CHALLENGE
from domain.payouts.payout import PAYOUT
from store import outbox
from store.db import Database
from store.models import (
    Base,
    Challenge,
    DealRow,
    Dispute,
    InboxEvent,
    MarketClock,
    OutboxMessage,
    Payout,
    SurveillanceCursor,
    Wakeup,
)

_PATIENCE_SECONDS: Final = 120
_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 0.1  # between two looks, in seconds: each costs the core a part of them


def _count_of(model: type[Base], *which: ColumnElement[bool]) -> ScalarSelect[int]:
    return select(func.count()).select_from(model).where(*which).scalar_subquery()


_WATERMARK: Final = select(func.min(MarketClock.watermark)).scalar_subquery()
_NEWEST_DEAL: Final = select(func.coalesce(func.max(DealRow.id), 0)).scalar_subquery()
_CURSOR: Final = select(func.coalesce(func.min(SurveillanceCursor.last_deal), 0)).scalar_subquery()
_PENDING: Final = select(
    _count_of(
        OutboxMessage,
        OutboxMessage.dispatched_at.is_(None),
        OutboxMessage.parked_at.is_(None),
        OutboxMessage.topic != outbox.BULK_MAIL,  # nobody waits for those mails
    ).label("outbox"),
    _count_of(InboxEvent, InboxEvent.handled_at.is_(None), InboxEvent.parked_at.is_(None)).label("inbox"),
    _count_of(Wakeup, Wakeup.fired_at.is_(None), Wakeup.due_at <= _WATERMARK).label("wakeups"),
    _count_of(Challenge, Challenge.state.in_(CHALLENGE.transient)).label("challenges"),
    _count_of(Payout, Payout.state.in_(PAYOUT.transient)).label("payouts"),
    _count_of(Dispute, Dispute.state.in_(DISPUTE.transient)).label("disputes"),
    (_NEWEST_DEAL - _CURSOR).label("unread_deals"),
)


async def _pending(session: AsyncSession) -> dict[str, int]:
    return _counted((await session.execute(_PENDING)).one())


def _counted(row: Row[Any]) -> dict[str, int]:
    return {name: int(count) for name, count in row._mapping.items() if count}


class Quiescence:
    """Waits until the core is idle. Each wait checks only workflows that received messages after the previous one."""

    def __init__(self, db: Database, temporal: Client) -> None:
        self._db = db
        self._temporal = temporal
        self._since: datetime | None = None

    async def reached(self, *, also: Iterable[str] = ()) -> None:
        """Returns when the core is idle. Raises Unavailable with the pending work once that has not changed for
        two minutes: a slow machine has the time it needs.

        `also`: workflows that were called directly by an update, which leaves no outbox row.
        """
        pause, extra = _FIRST_PAUSE, set(also)
        busy, before = list[str](), dict[str, Any]()
        while True:
            waiting: dict[str, Any] = _counted(await self._db.fetch_at_once(_PENDING, {}))
            if not waiting:
                async with self._db.transaction() as session:
                    now = await session.scalar(select(func.clock_timestamp()))
                    touched = await self._touched(session, since=self._since) | extra
                    waiting = await _pending(session)
            if not waiting:
                # while one of them works on, the others need not be asked
                busy = await self._busy(touched & set(busy[:1])) or await self._busy(touched)
                if not busy:
                    async with self._db.transaction() as session:
                        # a workflow may have sent a message between the two queries, and it may have been delivered
                        waiting = await _pending(session)
                        late = await self._touched(session, since=now)
                    if not waiting and not late:
                        self._since = now
                        return
                    waiting = waiting or {"workflows": sorted(late)[:5]}
                else:
                    waiting = {"workflows": busy[:5]}
            if waiting != before:
                before, deadline = waiting, time.monotonic() + _PATIENCE_SECONDS
            if time.monotonic() > deadline:
                raise Unavailable(
                    f"The core was not idle, and nothing moved for {_PATIENCE_SECONDS} s; pending: {waiting}.",
                    remedy="See the logs of worker and relay in the data folder.",
                )
            await asyncio.sleep(pause)
            pause = min(_LONGEST_PAUSE, pause * 1.5)

    async def _touched(self, session: AsyncSession, *, since: datetime | None) -> set[str]:
        messages = select(OutboxMessage.target).where(OutboxMessage.topic != "venue.lock")
        wakeups = select(Wakeup.workflow_id).where(Wakeup.fired_at.is_not(None))
        if since is not None:
            messages = messages.where(OutboxMessage.dispatched_at >= since)
            wakeups = wakeups.where(Wakeup.fired_at >= since)
        return {*(await session.scalars(messages)), *(await session.scalars(wakeups))}

    async def _busy(self, workflow_ids: set[str]) -> list[str]:
        gate = asyncio.Semaphore(16)

        async def busy(workflow_id: str) -> bool:
            async with gate:
                try:
                    description = await self._temporal.get_workflow_handle(workflow_id).describe()
                except RPCError as error:
                    if error.status == RPCStatusCode.NOT_FOUND:
                        return False
                    raise
            raw = description.raw_description
            return bool(raw.pending_activities) or raw.HasField("pending_workflow_task")

        ids = sorted(workflow_ids)
        flags = await asyncio.gather(*(busy(workflow_id) for workflow_id in ids))
        return [workflow_id for workflow_id, flag in zip(ids, flags, strict=True) if flag]
