"""A gateway that reads the fake of cTrader, and what a test sees of it."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from adapters.ctrader.feed import CTraderFeed
from adapters.ctrader.platform import CTraderPlatform
from adapters.journals.embedded import EmbeddedJournal
from gateway.gateway import Gateway, GatewayConfig, gateway
from gateway.recording import Recording
from ports.platform import Batch, Deal, Event
from tests.contract.ctrader_fake import CTraderFake

PATIENCE = 120.0
E = TypeVar("E", bound=Event)


@dataclass
class Watched:
    fake: CTraderFake
    gateway: Gateway
    began: int  # the batch before the first of this run

    def events(self, kind: type[E]) -> list[E]:
        stored = self.gateway.journal.read(0, 1_000_000)
        batches = [Batch.model_validate_json(batch.body) for batch in stored]
        return [event for batch in batches for event in batch.events if isinstance(event, kind)]

    def deals(self, login: int) -> list[Deal]:
        return [deal for deal in self.events(Deal) if deal.login == login]

    async def until(self, come: Callable[[], Any]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not come():
                await asyncio.sleep(0.02)

    async def balanced(self, *logins: int) -> None:
        """Waits until the gateway's books are those of the broker."""
        await self.until(lambda: all(self._agrees(login) for login in logins))

    def _agrees(self, login: int) -> bool:
        book, account = self.gateway.sequencer.books.get(login), self.fake.get(f"/accounts/{login}")
        return book is not None and (book.balance_minor, sorted(book.positions)) == (
            account["balance"],
            sorted(str(position) for position in account["positions"]),
        )


@asynccontextmanager
async def watched(fake: CTraderFake, folder: Path, grants: str, **changes: Any) -> AsyncIterator[Watched]:
    settings = fake.settings(grants, **changes)
    feed, platform = CTraderFeed("ctrader", settings, look_again=0.5), CTraderPlatform("ctrader", settings)
    journal = EmbeddedJournal(folder / "journal.db")
    config = GatewayConfig(reconcile_seconds=1.0)
    try:
        async with gateway(platform, feed, journal, Recording(folder / "raw", 7), config) as made:
            running = asyncio.create_task(made.reader.run())
            try:
                seen = Watched(fake, made, journal.last())
                await seen.until(lambda: running.done() or made.sequencer.live)
                yield seen
            finally:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
    finally:
        await feed.aclose()
        await platform.aclose()


def once(deals: list[Deal]) -> list[Deal]:
    """No deal is told twice."""
    twice = {name: count for name, count in Counter(deal.deal_id for deal in deals).items() if count > 1}
    assert twice == {}
    return deals
