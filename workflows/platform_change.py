"""An account goes to another platform: shut at the old one, opened at the new one, switched by the shards, resumed.

The record says which step comes next. The workflow takes it, and looks again when a shard has done its part.
"""

from datetime import timedelta
from typing import Final

from temporalio import workflow
from temporalio.common import VersioningBehavior

with workflow.unsafe.imports_passed_through():
    from contracts import platform_changes as steps
    from contracts.messages import MarketTimeReached, PlatformChangeStart
    from domain.platform_changes import PLATFORM_CHANGE
    from workflows.calls import call

# A shard signals that it has done its part, and a venue that was not ready is asked again: at first soon, then rarely.
_FIRST_PAUSE: Final = timedelta(seconds=1)
_LONGEST_PAUSE: Final = timedelta(minutes=5)


@workflow.defn(name="PlatformChange", versioning_behavior=VersioningBehavior.PINNED)
class PlatformChangeWorkflow:
    @workflow.init
    def __init__(self, start: PlatformChangeStart) -> None:
        self._state = ""
        self._woken = False

    @workflow.run
    async def run(self, start: PlatformChangeStart) -> str:
        pause = _FIRST_PAUSE
        while self._state not in PLATFORM_CHANGE.terminal:
            before, self._woken = self._state, False
            self._state = (await call(steps.take_step, start)).state
            if self._state != before:
                pause = _FIRST_PAUSE
            elif workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new(start)
            else:
                await self._wait(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
        return self._state

    async def _wait(self, pause: timedelta) -> None:
        try:
            await workflow.wait_condition(lambda: self._woken, timeout=pause)
        except TimeoutError:
            return

    @workflow.signal
    def market_time_reached(self, _fact: MarketTimeReached) -> None:
        self._woken = True

    @workflow.query
    def status(self) -> str:
        return self._state
