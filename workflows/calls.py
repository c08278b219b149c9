"""Calls of activities by workflows: each attempt has a time limit and is retried until the outside answers."""

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
    """Run the activity of a stub and return its result. Raises ActivityError only for a final refusal."""
    return await workflow.execute_activity(stub, arg, start_to_close_timeout=_ATTEMPT, retry_policy=_RETRY)


def update_id() -> str:
    """Returns the id of the current update. The deciding activity compares it with the person's request."""
    info = workflow.current_update_info()
    return info.id if info else ""


async def ask(stub: Callable[[Arg], Awaitable[Result]], arg: Arg) -> Result:
    """Like `call`, for updates: a refusal is raised with its own type and sentence, for the person who asked."""
    return await _refused_as_said(call(stub, arg))


async def ask_here(stub: Callable[[Arg], Awaitable[Result]], arg: Arg) -> Result:
    """Like `ask`, for one short transaction: the activity runs in the worker that runs the workflow. A process that
    dies before its result is in the history runs it again, so the activity must be one that can be repeated."""
    return await _refused_as_said(
        workflow.execute_local_activity(stub, arg, start_to_close_timeout=_ATTEMPT, retry_policy=_RETRY)
    )


async def _refused_as_said(calling: Awaitable[Result]) -> Result:
    try:
        return await calling
    except ActivityError as error:
        if isinstance(error.cause, ApplicationError):
            raise error.cause from None
        raise
