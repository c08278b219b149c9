"""Running workflows: which payload keys their histories need, and how they are ended to start again from the record."""

from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

from google.protobuf.message import Message
from temporalio.api.common.v1 import Payload
from temporalio.client import Client, WorkflowHandle
from temporalio.converter import WorkflowSerializationContext
from temporalio.service import RPCError, RPCStatusCode

from relay.codec import UNREADABLE, EncryptionCodec, key_id_of

_RUNNING: Final = "ExecutionStatus = 'Running'"
_SHARDS: Final = f"{_RUNNING} AND WorkflowType = 'MonitorShard'"


async def running(client: Client) -> AsyncIterator[WorkflowHandle[Any, Any]]:
    """Yields a handle of each running workflow's newest run."""
    async for found in client.list_workflows(_RUNNING):
        yield client.get_workflow_handle(found.id, run_id=found.run_id)


async def another_firms(client: Client, codec: EncryptionCodec) -> str | None:
    """Returns the id of a running shard whose input our keys cannot read: the namespace is that of another firm. Shards
    have the same ids in each firm, so two firms in one namespace would take each other's."""
    async for found in client.list_workflows(_SHARDS, limit=1):
        context = WorkflowSerializationContext(namespace=client.namespace, workflow_id=found.id)
        handle = client.get_workflow_handle(found.id, run_id=found.run_id)
        async for event in handle.fetch_history_events(page_size=1):
            given = event.workflow_execution_started_event_attributes.input.payloads
            read = await codec.with_context(context).decode(given)
            return found.id if any(payload.metadata.get("encoding") == UNREADABLE for payload in read) else None
    return None


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
