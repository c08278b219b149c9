"""The fake Tradovate as one of several venues of a simulated firm: it follows the sandbox's market."""

import asyncio
from collections.abc import Iterable

from sandbox.feed import Quote
from sandbox.follower import Follower, Following
from sandbox.hearing import Hearing
from sandbox.tradovate.courier import Courier
from sandbox.tradovate.fake import FakeTradovate
from sandbox.tradovate.floor import TradingFloor
from sandbox.tradovate.keeping import Keeper


class Replay:
    """A FollowingVenue, with its follower. Raises BadInput when no contract fits the symbols."""

    def __init__(self, fake: FakeTradovate, follows: Following) -> None:
        self.floor = TradingFloor(fake, follows.symbols)
        self._keeper = Keeper(follows.folder, fake, self.floor)
        self._fake = fake
        self._hearing = Hearing(follows.gateway)
        self._courier = fake.hub.courier = Courier(fake.hub, self._hearing)
        self._follower = Follower(follows, self)

    @property
    def is_following(self) -> bool:
        return self._follower.is_following

    @property
    def news(self) -> int:
        return self.floor.news

    async def run(self) -> None:
        """Runs until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._courier.run())
                tasks.create_task(self._follower.run())
        finally:
            self._keeper.keep_market()
            self._keeper.close()
            await self._hearing.aclose()

    def play(self, quotes: Iterable[Quote], start_us: int, end_us: int, ends_at: int | None) -> None:
        self.floor.play(quotes, start_us, end_us, ends_at)

    async def tell(self) -> None:
        self._keeper.keep_market()
        await self._courier.send()

    async def stand(self) -> None:
        self._keeper.keep_market()
        await self._courier.stand(self._fake.rows.now())
