"""The gateway of Tradovate as a process serves it, and a shard that reads it."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from adapters.journals.embedded import EmbeddedJournal
from adapters.tradovate.plugin import PLUGIN
from adapters.tradovate.settings import TradovateSettings
from cli.gateway.process import serve
from domain.errors import Unavailable
from gateway.recording import Recording
from ports.platform import Event, GapInStream, TradingPlatform

_WAIT = 180  # seconds


class Shard:
    """Reads the stream in a thread, as shards do."""

    def __init__(self, platform: TradingPlatform, after: int = 0) -> None:
        self._after = after
        self.stream = platform.open_stream()
        self.events: list[Event] = []
        self.changed = threading.Condition()
        self.numbers: list[int] = []
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        """A new gateway numbers from the time of its start: a reader that knows nothing begins at the first batch. A
        connection that ends, or is silent on a slow machine, is opened again."""
        while not self._stopped.is_set():
            try:
                self._follow()
            except GapInStream as gap:
                self._after = gap.first - 1
            except Unavailable:
                self._stopped.wait(0.2)

    def _follow(self) -> None:
        for batch in self.stream.batches(self._after):
            if batch is not None:
                self._after = batch.number
                with self.changed:
                    self.events += batch.events
                    self.numbers.append(batch.number)
                    self.changed.notify_all()
            if self._stopped.is_set():
                return

    async def until(self, login: int, kind: type[Event], count: int) -> list[Event]:
        def found() -> list[Event]:
            return [each for each in self.events if isinstance(each, kind) and getattr(each, "login", login) == login]

        def wait() -> list[Event]:
            with self.changed:
                assert self.changed.wait_for(lambda: len(found()) >= count, _WAIT), (kind, self.events[-20:])
                return found()

        return await asyncio.to_thread(wait)

    async def stop(self) -> None:
        self._stopped.set()
        await asyncio.to_thread(self._thread.join)
        self.stream.close()


@asynccontextmanager
async def running_gateway(values: TradovateSettings, folder: Path) -> AsyncIterator[TradingPlatform]:
    assert PLUGIN.feed is not None
    platform, feed, stop = PLUGIN.build("futures", values), PLUGIN.feed("futures", values), asyncio.Event()
    journal = EmbeddedJournal(folder / "journal.sqlite3")
    task = asyncio.create_task(serve(platform, feed, journal, Recording(folder, 7), values, stop))
    try:
        async with asyncio.timeout(_WAIT):
            while not await asyncio.to_thread(_answers, platform):
                await asyncio.sleep(0.05)
        yield platform
    finally:
        stop.set()
        await task
        await feed.aclose()
        await platform.aclose()


def _answers(platform: TradingPlatform) -> bool:
    stream = platform.open_stream()
    try:
        return bool(stream.symbols())
    except Unavailable:
        return False
    finally:
        stream.close()
