"""How workflows call activities: bounded attempts in time, tried again until the outside answers."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final, TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError

Arg = TypeVar("Arg")
Result = TypeVar("Result")

_ATTEMPT: Final = timedelta(seconds=30)
_RETRY: Final = RetryPolicy(
    initial_interval=timedelta(milliseconds=250), backoff_coefficient=2, maximum_interval=timedelta(seconds=30)
)


async def call(stub: Callable[[Arg], Awaitable[Result]], arg: Arg) -> Result:
    """Run the activity behind a stub; only a refusal that is final comes back as an error."""
    return await workflow.execute_activity(stub, arg, start_to_close_timeout=_ATTEMPT, retry_policy=_RETRY)


def update_id() -> str:
    """The id of the update that is being handled: whoever decides compares it with the person's request."""
    info = workflow.current_update_info()
    return info.id if info else ""


async def ask(stub: Callable[[Arg], Awaitable[Result]], arg: Arg) -> Result:
    """`call` for an update: a refusal reaches the person with its own type and sentence."""
    try:
        return await call(stub, arg)
    except ActivityError as error:
        if isinstance(error.cause, ApplicationError):
            raise error.cause from None
        raise
