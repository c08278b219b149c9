"""A gateway that reads the fake MT5 server."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from adapters.journals.embedded import EmbeddedJournal
from adapters.mt5.feed import Mt5Feed
from adapters.mt5.platform import Mt5Platform
from gateway.gateway import Gateway, GatewayConfig, gateway
from gateway.recording import Recording
from ports.platform import Batch, Event
from sandbox.mt5.server import FakeServer
from tests.contract.fake_mt5 import RunningFake

POLLS = (
    "/api/user/account/get_batch",
    "/api/position/get_batch",
    "/api/order/get_batch",
    "/api/history/get_batch",
    "/api/deal/get_batch",
    "/api/time/server",
)
FASTER = {"poll_seconds": "0.02", "timeout": "2"}


@dataclass
class Reading:
    fake: RunningFake
    gateway: Gateway
    platform: Mt5Platform

    def events(self, kind: type[Event] | None = None) -> list[Any]:
        batches = [Batch.model_validate_json(stored.body) for stored in self.gateway.journal.read(0, 10**6)]
        return [event for batch in batches for event in batch.events if kind is None or isinstance(event, kind)]

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(120):
            while not condition():
                await asyncio.sleep(0.02)

    async def settled(self) -> None:
        """Waits until the books agree with the fake."""
        await self.until(lambda: self.books() == self.truth())

    def books(self) -> dict[int, Any]:
        return {
            login: (book.balance_minor, {(id, each.lots) for id, each in book.positions.items()})
            for login, book in self.gateway.sequencer.books.items()
        }

    def truth(self) -> dict[int, Any]:
        def look(fake: FakeServer) -> dict[int, Any]:
            return {
                login: (
                    int(user.balance * 100),
                    {(str(p.ticket), Decimal(p.volume) / 10**8) for p in fake.state.positions_of(login)},
                )
                for login, user in fake.state.users.items()
            }

        return self.fake.run(look)


@asynccontextmanager
async def reading(
    fake: RunningFake, folder: Path | None = None, *, compare_every: float = 1.0, **given: str
) -> AsyncIterator[Reading]:
    settings = fake.settings(**{**FASTER, **given})
    platform, feed = Mt5Platform("mt5", settings), Mt5Feed("mt5", settings)
    journal = EmbeddedJournal(Path(":memory:") if folder is None else folder / "journal.sqlite3")
    recording = None if folder is None else Recording(folder, 7)
    config = GatewayConfig(reconcile_seconds=compare_every)
    async with gateway(platform, feed, journal, recording, config) as built:
        task = asyncio.create_task(built.reader.run())
        try:
            here = Reading(fake, built, platform)
            await here.until(lambda: built.sequencer.live)
            yield here
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await feed.aclose()
            await platform.aclose()


def trade(fake: RunningFake, login: int) -> None:
    """A position with stops that are moved, closed in two parts; one that its stop closes; a pending order filled."""
    first = fake.control("order", login=login, symbol="EURUSD", side="buy", lots="0.10", reason=1, expert=77)[
        "position"
    ]
    fake.control("stops", position=first, stop_loss="1.09", take_profit="1.2")
    fake.control("quote", quotes={"EURUSD": ["1.10100", "1.10110"]})
    fake.control("close", position=first, lots="0.04")
    fake.control("close", position=first)
    fake.control("order", login=login, symbol="EURUSD", side="sell", lots="0.01", stop_loss="1.10200")
    fake.control("quote", quotes={"EURUSD": ["1.10290", "1.10300"]})
    order = fake.control("pending", login=login, symbol="EURUSD", type=2, lots="0.02", price="1.1")["order"]
    fake.control("fill_order", order=order)
    fake.control("deposit", login=login, amount="12.34", comment="bonus of the broker")
