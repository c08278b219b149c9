"""Market time for workflows."""

from collections.abc import Awaitable, Callable, Sequence

from temporalio import activity

from activities.deps import Deps
from contracts.messages import MarketNow
from store.clock import market_now


class ClockActivities:
    def __init__(self, deps: Deps) -> None:
        self._db = deps.db

    def all(self) -> Sequence[Callable[..., Awaitable[object]]]:
        return [self.market_time]

    @activity.defn(name="clock.market_time")
    async def market_time(self) -> MarketNow:
        async with self._db.transaction() as session:
            return MarketNow(at=await market_now(session))
