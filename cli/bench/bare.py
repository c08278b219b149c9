"""The baseline of the payout benchmark: a workflow that calls activities which do nothing."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

from temporalio import activity, workflow
from temporalio.common import RetryPolicy

_ATTEMPT: Final = timedelta(seconds=30)
_RETRY: Final = RetryPolicy(initial_interval=timedelta(milliseconds=250), maximum_interval=timedelta(seconds=30))


@activity.defn(name="bench.nothing")
async def nothing(number: int) -> int:
    return number


@workflow.defn(name="BenchBare")
class BareWorkflow:
    """Calls as many activities as it is told, one after another, with the limits that a payout has."""

    @workflow.run
    async def run(self, activities: int) -> int:
        for number in range(activities):
            await workflow.execute_activity(nothing, number, start_to_close_timeout=_ATTEMPT, retry_policy=_RETRY)
        return activities


def all_activities() -> list[Callable[..., Any]]:
    return [nothing]
