"""Surveillance of windows: every six hours of market time all patterns look at the last weeks of the whole firm.

The parts of a window are activities: any worker takes them, and one that dies is begun again where its last sign of
life was.
"""

import asyncio
from collections.abc import Awaitable
from datetime import timedelta
from typing import Final

from temporalio import workflow
from temporalio.common import RetryPolicy, VersioningBehavior
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from contracts import surveillance
    from contracts.messages import SurveillanceWindowsStart
    from contracts.surveillance import WindowPart, WindowPlan
    from workflows.calls import call

_CHECK_INTERVAL: Final = timedelta(minutes=5)
_LONGEST: Final = timedelta(hours=1)
_HEARTBEAT: Final = timedelta(seconds=30)
_AT_ONCE: Final = 4
_RETRY: Final = RetryPolicy(
    initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=1), maximum_attempts=5
)


@workflow.defn(name="SurveillanceWindows", versioning_behavior=VersioningBehavior.AUTO_UPGRADE)
class SurveillanceWindowsWorkflow:
    @workflow.run
    async def run(self, start: SurveillanceWindowsStart) -> None:
        while not workflow.info().is_continue_as_new_suggested():
            plan = await call(surveillance.plan_window, start)
            if plan.parts:
                await self._judge(plan)
                start = SurveillanceWindowsStart(after=plan.at)
            else:
                await workflow.sleep(_CHECK_INTERVAL)
        workflow.continue_as_new(start)

    async def _judge(self, plan: WindowPlan) -> None:
        """One pattern that fails again and again keeps no other from its window: it is tried in the next one."""
        places = asyncio.Semaphore(_AT_ONCE)
        await asyncio.gather(*(self._judge_part(part, places) for part in plan.parts))

    async def _judge_part(self, part: WindowPart, places: asyncio.Semaphore) -> None:
        async with places:
            judging: Awaitable[object] = workflow.execute_activity(
                surveillance.judge_window,
                part,
                start_to_close_timeout=_LONGEST,
                heartbeat_timeout=_HEARTBEAT,
                retry_policy=_RETRY,
            )
            try:
                await judging
            except ActivityError as error:
                workflow.logger.error("a part of a window failed: %s %s: %s", part.pattern, part.part, error.cause)
