"""The daily close of one clock group: after each reset, check that every account has its snapshot."""

from datetime import timedelta
from typing import Final

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from contracts import operations
    from contracts.messages import DailyCloseStart, MarketTimeReached
    from workflows.calls import call

# The wake-up on the record says when a reset is due; before any feed has started there is no market time to set it in.
_LOOK_AGAIN: Final = timedelta(minutes=10)
_UNTIL_A_FEED: Final = timedelta(seconds=10)


@workflow.defn(name="DailyClose")
class DailyClose:
    @workflow.init
    def __init__(self, start: DailyCloseStart) -> None:
        self._woken = False

    @workflow.run
    async def run(self, start: DailyCloseStart) -> None:
        while True:
            self._woken = False
            report = await call(operations.check_daily_close, start)
            start = start.model_copy(update={"after": report.after})
            if report.caught_up:
                await self._rest(_LOOK_AGAIN if report.feed_running else _UNTIL_A_FEED)
            if report.closed or workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new(start)

    async def _rest(self, at_most: timedelta) -> None:
        try:
            await workflow.wait_condition(lambda: self._woken, timeout=at_most)
        except TimeoutError:
            return

    @workflow.signal
    def market_time_reached(self, message: MarketTimeReached) -> None:
        self._woken = True
