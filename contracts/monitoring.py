"""The activity of workflow `MonitorShard`."""

from temporalio import activity

from contracts.messages import ShardStart


@activity.defn(name="monitor.run_shard")
async def run_shard(start: ShardStart) -> None:
    """Judges a shard's accounts live until the worker shuts down. Sends heartbeats; runs on the task queue
    `monitor`."""
    raise NotImplementedError
