"""Tells people what happened: batches of business events become notifications."""

from dataclasses import dataclass, field
from typing import Final

from prometheus_client import Counter

from firm.notifications import telling
from firm.notifications.again import Again
from store.db import Database

_BATCH: Final = 200

_told = Counter("propos_relay_events_told_total", "Business events that were looked at for notifications")


@dataclass(frozen=True)
class Notifier:
    """`site`: the address of the console. Several relays may run one each. `again`: what failed and is tried again."""

    db: Database
    site: str
    again: Again = field(default_factory=Again)

    async def step(self) -> int:
        """Tells of one batch of events. Returns how many."""
        async with self.db.transaction() as session:
            told = await telling.tell(session, limit=_BATCH, site=self.site, again=self.again)
        _told.inc(told)
        return told
