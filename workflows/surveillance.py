"""Surveillance: the patterns follow the deals on any worker that takes the activity."""

from datetime import timedelta
from typing import Final

from temporalio import workflow
from temporalio.common import RetryPolicy, VersioningBehavior

with workflow.unsafe.imports_passed_through():
    from contracts import cases
    from contracts.messages import SurveillanceStart

_ATTEMPT: Final = timedelta(hours=2)  # the activity itself ends sooner, so that histories stay short
_HEARTBEAT: Final = timedelta(seconds=15)


@workflow.defn(name="Surveillance", versioning_behavior=VersioningBehavior.AUTO_UPGRADE)
class SurveillanceWorkflow:
    @workflow.run
    async def run(self, start: SurveillanceStart) -> None:
        while not workflow.info().is_continue_as_new_suggested():
            await workflow.execute_activity(
                cases.follow_deals,
                start,
                start_to_close_timeout=_ATTEMPT,
                heartbeat_timeout=_HEARTBEAT,
                retry_policy=RetryPolicy(
                    initial_interval=timedelta(milliseconds=500), maximum_interval=timedelta(seconds=10)
                ),
            )
        workflow.continue_as_new(start)
