"""Messages that no workflow can read: dropped, told to people once, and the workflow goes on."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from sqlalchemy import select
from temporalio.api.common.v1 import Payload
from temporalio.client import Client, WorkflowUpdateFailedError
from temporalio.common import RawValue
from temporalio.converter import WorkflowSerializationContext
from temporalio.worker import Replayer

from contracts.ids import payout_workflow
from contracts.messages import RiskChanged
from relay.temporal import data_converter
from store.models import Review
from tests.challenge_world import KEYS
from tests.payout_stage import PATIENCE_SECONDS, Stage, a_stage
from tests.payout_world import MEDIUM
from tests.servers import NAMESPACE
from worker import workflow_runner
from workflows.message_guard import MessageGuard
from workflows.registry import WORKFLOWS

ONE_MESSAGE = RiskChanged(key="somebody/else")


@pytest.fixture
async def stage(database_url: str, temporal_address: str) -> AsyncIterator[Stage]:
    async with a_stage(database_url, temporal_address) as found:
        yield found


@pytest.fixture
async def stranger(temporal_address: str) -> Client:
    """Whoever reaches Temporal's port and has no key."""
    return await Client.connect(temporal_address, namespace=NAMESPACE)


async def sealed(workflow_id: str, keys: str = KEYS) -> RawValue:
    """A message as we encrypt it for `workflow_id`."""
    context = WorkflowSerializationContext(namespace=NAMESPACE, workflow_id=workflow_id)
    (payload,) = await data_converter(keys).with_context(context).encode([ONE_MESSAGE])
    return RawValue(payload)


def forged(**metadata: bytes) -> RawValue:
    return RawValue(Payload(metadata=metadata, data=b"x"))


async def bad_messages(own: str) -> list[tuple[str, Sequence[Any]]]:
    """(signal, arguments) of everything that cannot be read by the workflow `own`."""
    shape = data_converter(KEYS).with_context(WorkflowSerializationContext(namespace=NAMESPACE, workflow_id=own))
    wrong = [RawValue(payload) for payload in await shape.encode([{"nonsense": 1}])]
    return [
        ("risk_changed", [{"key": "plain"}]),
        ("risk_changed", []),
        ("risk_changed", [await sealed(own), await sealed(own)]),
        ("risk_changed", [await sealed("payout/pay_other")]),
        ("risk_changed", [await sealed(own, "lost:" + KEYS.partition(":")[2])]),
        ("risk_changed", wrong),
        ("risk_changed", [forged(encoding=b"binary/encrypted")]),
        ("risk_changed", [forged(**{"encoding": b"binary/encrypted", "encryption-key-id": b"\xff\xfe"})]),
        ("risk_changed", [forged(**{"encoding": b"binary/encrypted", "encryption-key-id": b"k1"})]),
        ("nobody_knows_this", [{"key": "plain"}]),
        ("nobody_knows_this", []),
        ("nobody_knows_this", [await sealed(own)]),
    ]


async def test_what_cannot_be_read_is_dropped_and_the_payout_is_decided_and_paid(
    stage: Stage, stranger: Client
) -> None:
    trader, fay = await stage.world.add_trader("tina"), await stage.world.add_user("fay", "finance")
    payout_id = await stage.world.request(trader, MEDIUM)
    await stage.becomes(payout_id, "awaiting_approval")
    workflow_id = payout_workflow(payout_id)
    handle = stranger.get_workflow_handle(workflow_id)
    for signal, arguments in await bad_messages(workflow_id):
        await handle.signal(signal, args=arguments)
    assert (await stage.decide(workflow_id, "approve", fay))["state"] == "approved"
    await stage.becomes(payout_id, "sent")
    stage.world.provider.becomes(payout_id, "paid")
    await stage.transfer_changed(payout_id, "evt_1")
    await stage.ends(payout_id, "paid")
    assert stage.world.provider.calls == 1
    history = await handle.fetch_history()
    assert not [event for event in history.events if event.HasField("workflow_task_failed_event_attributes")]
    replayer = Replayer(
        workflows=list(WORKFLOWS),
        workflow_runner=workflow_runner(),
        data_converter=data_converter(KEYS),
        namespace=NAMESPACE,
        interceptors=[MessageGuard(stage.drops.note)],
    )
    assert (await replayer.replay_workflow(history)).replay_failure is None


async def test_an_update_that_cannot_be_read_is_refused_and_the_next_one_counts(stage: Stage, stranger: Client) -> None:
    trader = await stage.world.add_trader("tina")
    payout_id = await stage.world.request(trader, MEDIUM)
    await stage.becomes(payout_id, "awaiting_approval")
    workflow_id = payout_workflow(payout_id)
    handle = stranger.get_workflow_handle(workflow_id)
    for name in ("approve", "cancel"):
        for arguments in ([], [{"key": "plain"}], [await sealed("payout/pay_other")], [await sealed(workflow_id)] * 2):
            async with asyncio.timeout(PATIENCE_SECONDS):
                with pytest.raises(WorkflowUpdateFailedError):
                    await handle.execute_update(name, args=arguments)
    assert (await stage.decide(workflow_id, "cancel", trader))["state"] == "releasing"
    await stage.ends(payout_id, "cancelled")
    assert stage.world.provider.calls == 0


async def test_people_are_told_once_per_workflow_and_kind(stage: Stage, stranger: Client) -> None:
    payout_id = await stage.world.request(await stage.world.add_trader("tina"), MEDIUM)
    await stage.becomes(payout_id, "awaiting_approval")
    workflow_id = payout_workflow(payout_id)
    handle = stranger.get_workflow_handle(workflow_id)
    for _ in range(3):
        for signal, arguments in await bad_messages(workflow_id):
            await handle.signal(signal, args=arguments)

    async def told() -> bool:
        await stage.drops.record(stage.world.db)
        async with stage.world.db.transaction() as session:
            rows = (await session.scalars(select(Review).where(Review.kind == "message_dropped"))).all()
        assert {row.detail["workflow"] for row in rows} <= {workflow_id}
        assert len(rows) <= 3
        return sorted(row.detail["what"] for row in rows) == ["unknown_signal", "unreadable", "wrong_arguments"]

    await stage.until(told)


async def test_a_workflow_that_is_no_subject_of_ours_fills_no_queue(stage: Stage, stranger: Client) -> None:
    stage.drops.note("payout/pay_made-up", "unreadable")
    stage.drops.note("anything/else", "unreadable")
    await stage.drops.record(stage.world.db)
    async with stage.world.db.transaction() as session:
        assert (await session.scalars(select(Review))).all() == []
