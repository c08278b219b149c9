"""Dropped messages: each is counted; the first per workflow and reason is logged and opens a review.

Anyone who reaches Temporal's port can send any number of messages. So only workflows of subjects on the record open a
review, one per workflow and reason.
"""

import asyncio
from collections import deque
from typing import Final

import structlog
from prometheus_client import Counter
from sqlalchemy.exc import InterfaceError, OperationalError

from contracts.drops import DROP_SENTENCES, DropReason
from domain import record_keys
from firm import lifecycles, reviews
from store.db import Database

_WAITING: Final = 1000  # entries waiting to be recorded; beyond it the oldest are only counted
_REMEMBERED: Final = 10_000
_EVERY_SECONDS: Final = 1.0
_AWAY: Final = (InterfaceError, OperationalError)  # the database is away: entries wait for it

_dropped = Counter("propos_messages_dropped_total", "Messages that no workflow could use", ["why"])
_log = structlog.get_logger("drops")


class Drops:
    """Collects dropped messages in memory and records them from a loop."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[str, DropReason]] = deque(maxlen=_WAITING)
        self._reported: set[tuple[str, DropReason]] = set()

    def note(self, workflow_id: str, why: DropReason) -> None:
        """Count a dropped message; see `contracts.drops.ReportDrop`."""
        _dropped.labels(why).inc()
        if (workflow_id, why) in self._reported:
            return
        if len(self._reported) >= _REMEMBERED:
            self._reported.clear()
        self._reported.add((workflow_id, why))
        self._waiting.append((workflow_id, why))

    async def run(self, db: Database, stop: asyncio.Event) -> None:
        """Record dropped messages every second until `stop`."""
        while not stop.is_set():
            try:
                await self.record(db)
            except _AWAY as error:
                _log.warning("dropped messages wait for the database", error=type(error).__name__)
            try:
                async with asyncio.timeout(_EVERY_SECONDS):
                    await stop.wait()
            except TimeoutError:
                continue

    async def record(self, db: Database) -> None:
        """Log the waiting entries, and open a review for each subject on the record."""
        while self._waiting:
            workflow_id, why = self._waiting.popleft()
            try:
                await _open_review(db, workflow_id, why)
            except _AWAY:
                self._waiting.appendleft((workflow_id, why))
                raise
            _log.warning("message dropped", workflow_id=workflow_id, why=why)


async def _open_review(db: Database, workflow_id: str, why: DropReason) -> None:
    async with db.transaction() as session:
        if await lifecycles.is_ours(session, workflow_id):
            await reviews.report(
                session,
                key=record_keys.dropped_review(workflow_id, why),
                kind=reviews.MESSAGE_DROPPED,
                detail={"workflow": workflow_id, "what": why, "words": DROP_SENTENCES[why]},
            )
