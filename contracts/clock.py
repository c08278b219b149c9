"""Market time for workflows: timers only wake, this says how late it is."""

from temporalio import activity

from contracts.messages import MarketNow


@activity.defn(name="clock.market_time")
async def market_time() -> MarketNow:
    """Market time as the record has it."""
    raise NotImplementedError
