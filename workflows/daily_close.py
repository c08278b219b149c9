"""The daily close of one clock group: after each reset, check that every account has its snapshot."""

from datetime import timedelta
from typing import Final

from temporalio import workflow
from temporalio.common import VersioningBehavior

with workflow.unsafe.imports_passed_through():
    from contracts import operations
    from contracts.messages import DailyCloseStart, MarketTimeReached
    from workflows.calls import call

# A wake-up on the record signals a due reset. Before a feed has started there is no market time to set one.
_CHECK_INTERVAL: Final = timedelta(minutes=10)
_CHECK_INTERVAL_BEFORE_FEED: Final = timedelta(seconds=10)
_GOES_ON: Final = "goes-on-after-a-close"  # before it, each close ended the run


@workflow.defn(name="DailyClose", versioning_behavior=VersioningBehavior.AUTO_UPGRADE)
class DailyCloseWorkflow:
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
                await self._wait_for_wakeup(_CHECK_INTERVAL if report.feed_running else _CHECK_INTERVAL_BEFORE_FEED)
            if workflow.info().is_continue_as_new_suggested() or (report.closed and not workflow.patched(_GOES_ON)):
                workflow.continue_as_new(start)

    async def _wait_for_wakeup(self, at_most: timedelta) -> None:
        try:
            await workflow.wait_condition(lambda: self._woken, timeout=at_most)
        except TimeoutError:
            return

    @workflow.signal
    def market_time_reached(self, message: MarketTimeReached) -> None:
        self._woken = True
