"""A shard of the live monitor: one long-running activity with heartbeats. Temporal places and restarts it."""

from datetime import timedelta
from typing import Final

from temporalio import workflow
from temporalio.common import RetryPolicy, VersioningBehavior

with workflow.unsafe.imports_passed_through():
    from contracts.ids import MONITOR_QUEUE
    from contracts.messages import ShardStart
    from contracts.monitoring import run_shard

# Without a heartbeat for this long, another worker takes the shard, after the longest pause: attempts are never counted
# from one again. A shard must be judged again within ten seconds, so about half of them remain for the rebuild.
_HEARTBEAT_TIMEOUT: Final = timedelta(seconds=4)
_ATTEMPT: Final = timedelta(days=365)
_RETRY: Final = RetryPolicy(
    initial_interval=timedelta(milliseconds=200), backoff_coefficient=1.5, maximum_interval=timedelta(seconds=1)
)


@workflow.defn(name="MonitorShard", versioning_behavior=VersioningBehavior.AUTO_UPGRADE)
class MonitorShardWorkflow:
    @workflow.init
    def __init__(self, start: ShardStart) -> None:
        self._start = start

    @workflow.run
    async def run(self, start: ShardStart) -> None:
        """Run the shard. The activity is started again whenever it ends, also after an error."""
        while not workflow.info().is_continue_as_new_suggested():
            await workflow.execute_activity(
                run_shard,
                self._start,
                task_queue=MONITOR_QUEUE,
                start_to_close_timeout=_ATTEMPT,
                heartbeat_timeout=_HEARTBEAT_TIMEOUT,
                retry_policy=_RETRY,
            )
        workflow.continue_as_new(self._start)
