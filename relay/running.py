"""Running workflows: which payload keys their histories need, and how they are ended to start again from the record."""

from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

from google.protobuf.message import Message
from temporalio.api.common.v1 import Payload
from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode

from relay.codec import key_id_of

_RUNNING: Final = "ExecutionStatus = 'Running'"


async def running(client: Client) -> AsyncIterator[WorkflowHandle[Any, Any]]:
    """Yields a handle of each running workflow's newest run."""
    async for found in client.list_workflows(_RUNNING):
        yield client.get_workflow_handle(found.id, run_id=found.run_id)


async def payload_keys(handle: WorkflowHandle[Any, Any]) -> frozenset[str]:
    """Returns the ids of the keys that a workflow's history and its pending work need; none for one that is gone."""
    found: set[str] = set()
    try:
        async for event in handle.fetch_history_events():
            found.update(_key_ids(event))
        found.update(_key_ids((await handle.describe()).raw_description))
    except RPCError as error:
        if error.status != RPCStatusCode.NOT_FOUND:
            raise
    return frozenset(found)


async def end_to_restart(handle: WorkflowHandle[Any, Any], reason: str) -> bool:
    """Terminates the workflow; the relay starts it again from the record. Returns False for one that has ended."""
    try:
        await handle.terminate(reason=reason)
    except RPCError as error:
        if error.status != RPCStatusCode.NOT_FOUND:
            raise
        return False
    return True


def _key_ids(message: Message) -> Iterator[str]:
    if isinstance(message, Payload):
        key_id = key_id_of(message)
        if key_id is not None:
            yield key_id
        return
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        if field.message_type.GetOptions().map_entry:
            parts = list(value.values())
        else:
            parts = list(value) if field.is_repeated else [value]
        for part in parts:
            if isinstance(part, Message):
                yield from _key_ids(part)
