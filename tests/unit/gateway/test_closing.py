"""The connection of a feed is closed when its reading ends, and not some time later."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from domain.errors import Unavailable
from ports.platform import SymbolSpec
from ports.venue import Message
from tests.unit.gateway.script import EURUSD, ScriptedFeed, World


class Sockets(ScriptedFeed):
    """Has a connection open while it is read; is asked for its symbols before each."""

    def __init__(self) -> None:
        super().__init__()
        self.open = self.opened = 0
        self.again = asyncio.Event()

    async def symbols(self) -> list[SymbolSpec]:
        if self.opened:
            self.again.set()
            await asyncio.Event().wait()
        return [EURUSD]

    async def messages(self, cursors: Mapping[str, str]) -> AsyncIterator[Message]:
        self.open, self.opened = self.open + 1, self.opened + 1
        try:
            yield self.message()
            yield self.message()
        finally:
            self.open -= 1


class Full:
    """A queue that takes only what the gateway says itself."""

    async def put(self, message: Message) -> None:
        if message.channel == "ws":
            raise Unavailable("No room.")

    async def join(self) -> None:
        return None


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path / "journal.sqlite3")
    made.feed = Sockets()
    made.kill()
    made.reader._queue = Full()  # type: ignore[assignment]
    return made


async def test_a_connection_whose_reading_breaks_off_is_closed_before_the_next(world: World) -> None:
    feed = world.feed
    assert isinstance(feed, Sockets)
    reading = asyncio.create_task(world.reader._keep_connected())
    await feed.again.wait()
    assert (feed.opened, feed.open) == (1, 0)
    reading.cancel()
    await asyncio.wait((reading,))


async def test_questions_whose_reading_breaks_off_are_closed(world: World) -> None:
    feed = world.feed
    assert isinstance(feed, Sockets)
    with pytest.raises(Unavailable):
        await world.reader._pass_on(feed.messages({}))
    assert feed.open == 0
