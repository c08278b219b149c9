"""A real gateway that reads the fake DXtrade, and what it has told."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from adapters.dxtrade.feed import DxtradeFeed
from adapters.dxtrade.platform import Dxtrade
from adapters.journals.embedded import EmbeddedJournal
from gateway.gateway import Gateway, GatewayConfig, gateway
from gateway.recording import Recording
from ports.platform import AccountChanged, Batch, Event
from tests.contract.dxtrade_thread import DxtradeThread
from tests.contract.platform_contract import new_key

E = TypeVar("E", bound=Event)


class Watched:
    """A gateway that reads the fake, and what it has told."""

    def __init__(self, venue: DxtradeThread, platform: Dxtrade, built: Gateway, reading: asyncio.Task[None]) -> None:
        self.venue, self.platform, self.gateway, self._reading = venue, platform, built, reading

    def told(self, kind: type[E], login: int | None = None) -> list[E]:
        stored = self.gateway.journal.read(0, 1_000_000)
        events = [event for each in stored for event in Batch.model_validate_json(each.body).events]
        return [
            event
            for event in events
            if isinstance(event, kind) and (login is None or getattr(event, "login", login) == login)
        ]

    async def until(self, true: Callable[[], Any]) -> None:
        """Waits for something; the timeout of the test ends a wait in vain."""
        while not true():
            if self._reading.done():
                self._reading.result()
            await asyncio.sleep(0.02)

    async def account(self) -> int:
        """An account with 1,000.00 that may trade, and is told so."""
        platform = self.platform
        login = await platform.create_account(key=new_key(), group="two-step/1", currency="USD", leverage=100)
        await platform.balance_operation(login, key=new_key(), operation="deposit", amount_minor=1000_00)
        await platform.set_trading(login, key=new_key(), enabled=True)
        await self.until(lambda: login in self.gateway.sequencer.books)
        await self.until(lambda: any(each.change == "enabled" for each in self.told(AccountChanged, login)))
        return login

    async def agrees(self, login: int) -> None:
        """Waits until the gateway's book is the account at the venue."""
        book = self.gateway.sequencer.books[login]

        async def same() -> bool:
            return not book.differences(await self.platform.snapshot(login))

        while not await same():
            await asyncio.sleep(0.05)


@asynccontextmanager
async def watching(venue: DxtradeThread, folder: Path, recording: Recording | None = None) -> AsyncIterator[Watched]:
    platform, feed = Dxtrade("live", venue.settings()), DxtradeFeed("live", venue.settings())
    journal = EmbeddedJournal(folder / "journal.sqlite3")
    config = GatewayConfig(reconcile_seconds=600)
    async with gateway(platform, feed, journal, recording, config) as built:
        reading = asyncio.create_task(built.reader.run())
        watched = Watched(venue, platform, built, reading)
        try:
            await watched.until(lambda: built.sequencer.live)
            yield watched
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            await feed.aclose()
            await platform.aclose()
