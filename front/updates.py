"""Decisions by people: updates of running workflows, whose refusals come back as our own errors."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final, TypeVar

import structlog
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.client import WorkflowUpdateFailedError, WorkflowUpdateRPCTimeoutOrCancelledError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from contracts.failures import error_of
from contracts.messages import DecisionRequest, RefundRequest
from domain.errors import NothingLeft, OutcomeUnknown, PropOSError, Unavailable
from domain.states import StateMachine
from front.deps import ApiDeps, TemporalClient

_RPC_SECONDS: Final = 20
_PATIENCE_SECONDS: Final = 45
_AGAIN: Final = "Repeat it with the same Idempotency-Key."
_log = structlog.get_logger("front.updates")

M = TypeVar("M", bound=BaseModel)
StateOf = Callable[[AsyncSession], Awaitable[str]]


def update_key(user_id: str, key: str) -> str:
    """The update id of a person's idempotency key, 40 hex digits.

    It holds the user, since two people may choose the same key and decide on the same thing.
    """
    return hashlib.sha256(f"{user_id}/{key}".encode()).hexdigest()[:40]


async def connected(deps: ApiDeps) -> TemporalClient:
    """Raises Unavailable."""
    try:
        return await deps.temporal()
    except (RuntimeError, RPCError, OSError, Unavailable) as error:
        raise Unavailable("The workflow engine cannot be reached; nothing was decided.", remedy=_AGAIN) from error


async def decide(
    deps: ApiDeps,
    workflow_id: str,
    update: str,
    request: DecisionRequest | RefundRequest,
    *,
    machine: StateMachine,
    state_of: StateOf,
    result: type[M],
) -> M:
    """Send the update and wait until it is carried out. `state_of` reads the subject's state from the record.

    Raises what the workflow refused with, NothingLeft when the subject is at its end, Unavailable while its workflow is
    not there yet, OutcomeUnknown when no answer came in time.
    """
    handle = (await connected(deps)).get_workflow_handle(workflow_id)
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            taken = await handle.execute_update(
                update,
                request,
                id=request.key,
                result_type=result,
                rpc_timeout=timedelta(seconds=_RPC_SECONDS),
            )
    except WorkflowUpdateFailedError as error:
        raise _refusal(error) from error
    except (WorkflowUpdateRPCTimeoutOrCancelledError, TimeoutError) as error:
        raise OutcomeUnknown("The decision was not answered in time and may have been taken.", remedy=_AGAIN) from error
    except RPCError as error:
        if error.status != RPCStatusCode.NOT_FOUND:
            raise Unavailable("The workflow engine did not accept the decision.", remedy=_AGAIN) from error
        raise await _absent(deps, machine, state_of) from error
    return result.model_validate(taken)


async def _absent(deps: ApiDeps, machine: StateMachine, state_of: StateOf) -> PropOSError:
    """No workflow runs under that id: it has ended, or was not started yet."""
    async with deps.db.transaction() as session:
        state = await state_of(session)
    if state in machine.terminal:
        return NothingLeft(f"This {machine.noun} is {state.replace('_', ' ')}; nothing is left to decide.")
    return Unavailable(f"This {machine.noun} is still being set up.", remedy=_AGAIN)


def _refusal(error: BaseException) -> PropOSError:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ApplicationError) and (known := error_of(cause.type, cause.message)) is not None:
            return known
        cause = getattr(cause, "cause", None) or cause.__cause__
    _log.error("an update failed with a foreign error", error=type(error).__name__)
    return PropOSError("The decision could not be carried out.", remedy="Tell us the request id.")
