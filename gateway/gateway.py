"""A gateway whole: reader, books, journal, hub and locks of one venue."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import datetime

from pydantic import BaseModel

from gateway.clock import VenueClock
from gateway.hub import Hub
from gateway.locks import Locks
from gateway.reader import VenueReader
from gateway.recording import Recording
from gateway.sequencer import Sequencer
from ports.journal import Journal
from ports.platform import TradingPlatform
from ports.venue import VenueFeed


class GatewayConfig(BaseModel):
    """`keep_batches`: how many stay replayable. `wall_clock`: the venue lives in real time; False for a simulated one
    with a market time of its own. `reconcile_seconds`: between two comparisons of every account with the venue."""

    keep_batches: int = 500_000
    wall_clock: bool = True
    reconcile_seconds: float = 60.0


class Status(BaseModel):
    """How a gateway is. `clock_lag_ms`: the shortest time from the venue's clock to receipt, lately; far from zero, the
    clocks differ."""

    platform: str
    connected: bool
    caught_up: bool
    trouble: str
    last_message_at: datetime | None
    market_time: datetime
    batch: int
    accounts: int
    clock_lag_ms: float | None
    readers: dict[str, int]
    unreadable: list[str]
    counts: dict[str, int]


@dataclass
class Gateway:
    feed: VenueFeed
    sequencer: Sequencer
    reader: VenueReader
    hub: Hub
    locks: Locks
    journal: Journal
    clock: VenueClock

    def status(self) -> Status:
        lag = self.clock.lag
        return Status(
            platform=self.feed.name,
            connected=self.reader.connected,
            caught_up=self.sequencer.live,
            trouble=self.reader.trouble,
            last_message_at=self.reader.last_message_at,
            market_time=self.sequencer.position[1],
            batch=self.journal.last(),
            accounts=len(self.sequencer.books),
            clock_lag_ms=None if lag is None else round(lag.total_seconds() * 1000, 1),
            readers=self.hub.readers,
            unreadable=self.reader.unreadable,
            counts=asdict(self.sequencer.counts),
        )


@asynccontextmanager
async def gateway(
    platform: TradingPlatform,
    feed: VenueFeed,
    journal: Journal,
    recording: Recording | None,
    config: GatewayConfig,
) -> AsyncIterator[Gateway]:
    """Builds a gateway; the caller runs its `reader`."""
    clock = VenueClock(wall=config.wall_clock)
    sequencer = Sequencer(journal, first_number=time.time_ns() // 1000, clock=clock)
    hub = Hub(journal, keep=config.keep_batches)
    reader = VenueReader(feed, sequencer, journal, hub, recording, reconcile_every=config.reconcile_seconds)
    try:
        yield Gateway(feed, sequencer, reader, hub, Locks(platform, journal), journal, clock)
    finally:
        hub.stop()
        if recording is not None:
            recording.close()
        journal.close()
