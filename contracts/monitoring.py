"""The one activity of workflow `MonitorShard`."""

from temporalio import activity

from contracts.messages import ShardStart


@activity.defn(name="monitor.run_shard")
async def run_shard(start: ShardStart) -> None:
    """Judge a shard's accounts live, until the worker shuts down. Heartbeats; runs on the queue `monitor`."""
    raise NotImplementedError
