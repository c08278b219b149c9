"""Tells people what happened, and what is due: batches of events and deadlines become notifications."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from prometheus_client import Counter

from firm.notifications import reminders, telling
from firm.notifications.reminders import Pace, Work
from store.db import Database

_BATCH: Final = 200
_REMIND_SECONDS: Final = 30.0  # deadlines are hours away

_told = Counter("propos_relay_events_told_total", "Business events that were looked at for notifications")


@dataclass
class Notifier:
    """`site`: the address of the console. `works`: the kinds of work whose deadlines people are reminded of. Several
    relays may run one each."""

    db: Database
    site: str
    works: Mapping[str, Work] = field(default_factory=dict)
    pace: Pace = field(default_factory=Pace)
    _next_look: float = 0.0

    async def step(self) -> int:
        """Tells of one batch of events, and now and then of deadlines. Returns how many events and people."""
        async with self.db.transaction() as session:
            told = await telling.tell(session, limit=_BATCH, site=self.site)
        _told.inc(told)
        if told or not self.works or time.monotonic() < self._next_look:
            return told
        self._next_look = time.monotonic() + _REMIND_SECONDS
        return await self.remind()

    async def remind(self) -> int:
        async with self.db.transaction() as session:
            return await reminders.remind(session, self.works, site=self.site, pace=self.pace)
