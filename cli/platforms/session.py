"""A gateway in memory over a venue's feed: the real reader, sequencer and recording, without a server."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from adapters.journals.embedded import EmbeddedJournal
from adapters.platforms.http_stream import GatewaySettings
from gateway.clock import VenueClock
from gateway.hub import Hub
from gateway.reader import VenueReader
from gateway.recording import Recording, read
from gateway.sequencer import Sequencer
from ports.platform import Batch, Event
from ports.venue import Message, VenueFeed

_FIRST = 1_000
_LOOK = 0.1
_LONGEST_END = 10.0


class Session:
    """Reads `feed` into a journal in memory and a recording in `folder`. `start` again after `stop` is a restart of the
    gateway: it continues from the stored cursors."""

    def __init__(self, feed: VenueFeed, values: GatewaySettings, folder: Path) -> None:
        self._feed, self._values, self._folder = feed, values, folder
        self._journal = EmbeddedJournal(Path(":memory:"))
        self._task: asyncio.Task[None] | None = None
        self.sequencer: Sequencer
        self.reader: VenueReader

    def start(self) -> None:
        clock = VenueClock(wall=self._values.gateway_wall_clock)
        self.sequencer = Sequencer(self._journal, first_number=_FIRST, clock=clock)
        hub = Hub(self._journal, keep=1_000_000)
        self._recording = Recording(self._folder, keep_days=2)
        every = self._values.gateway_reconcile_seconds
        self.reader = VenueReader(
            self._feed, self.sequencer, self._journal, hub, self._recording, reconcile_every=every
        )
        self._task = asyncio.create_task(self.reader.run())

    async def stop(self) -> bool:
        """Returns whether the reading ended soon after it was cancelled."""
        task, self._task = self._task, None
        if task is None:
            return True
        task.cancel()
        await asyncio.wait((task,), timeout=_LONGEST_END)
        if task.done() and not task.cancelled():
            task.exception()  # what ended it before is known: `until` raised it
        self._recording.close()
        return task.done()

    async def close(self) -> None:
        await self.stop()
        self._journal.close()

    async def until(self, enough: Callable[[], bool], patience: float) -> bool:
        """Returns whether it came true within `patience` seconds. Raises what ended the reading."""
        try:
            async with asyncio.timeout(patience):
                while not enough():
                    if self._task is not None and self._task.done():
                        await self._task
                        return False
                    await asyncio.sleep(_LOOK)
        except TimeoutError:
            return False
        return True

    def events(self) -> list[Event]:
        """Everything that was told, over all connections."""
        batches = [Batch.model_validate_json(each.body) for each in self._journal.read(0, 1_000_000)]
        return [event for batch in batches for event in batch.events]

    def messages(self) -> list[Message]:
        return [each for file in sorted(self._folder.glob("raw-*.jsonl")) for each in read(file)]

    def trouble(self) -> str:
        """What is wrong, for a person."""
        said = [self.reader.trouble, *(f"Not understood: {each}." for each in self.reader.unreadable[-3:])]
        return " ".join(each for each in said if each) or "Nothing is known to be wrong."
