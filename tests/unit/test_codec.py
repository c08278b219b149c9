"""What Temporal stores opens with our keys only, and only in the workflow it was written for."""

import base64

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.converter import ActivitySerializationContext, SerializationContext, WorkflowSerializationContext

from contracts.messages import PaymentSettled
from relay.codec import EncryptionCodec, PayloadRefused, parse_keys
from relay.temporal import data_converter

OLD, NEW = (f"{name}:" + base64.b64encode(letter * 32).decode() for name, letter in (("k1", b"a"), ("k2", b"b")))
HERE = WorkflowSerializationContext(namespace="propos", workflow_id="challenge/chl_1")
MESSAGE = PaymentSettled(key="k", checkout_id="co_1")


def _activity(workflow_id: str) -> ActivitySerializationContext:
    return ActivitySerializationContext(
        namespace="propos",
        activity_id="1",
        activity_type="challenges.check_payment",
        activity_task_queue="core",
        workflow_id=workflow_id,
        workflow_type="Challenge",
        is_local=False,
    )


async def _written(keys: str = OLD, context: SerializationContext = HERE) -> list[Payload]:
    return await data_converter(keys).with_context(context).encode([MESSAGE])


async def test_a_message_comes_back_and_nothing_of_it_shows() -> None:
    payloads = await _written()
    assert b"co_1" not in payloads[0].SerializeToString()
    assert dict(payloads[0].metadata) == {"encoding": b"binary/encrypted", "encryption-key-id": b"k1"}
    read = await data_converter(OLD).with_context(_activity("challenge/chl_1")).decode(payloads, [PaymentSettled])
    assert read == [MESSAGE]
    assert (await _written())[0].data != payloads[0].data, "a nonce is never used twice"


@pytest.mark.parametrize(
    "context",
    [
        WorkflowSerializationContext(namespace="propos", workflow_id="challenge/chl_2"),
        WorkflowSerializationContext(namespace="other", workflow_id="challenge/chl_1"),
        _activity("payout/pay_1"),
    ],
)
async def test_ciphertext_that_was_moved_does_not_open(context: SerializationContext) -> None:
    with pytest.raises(PayloadRefused, match="does not belong"):
        await data_converter(OLD).with_context(context).decode(await _written())


async def test_altered_plain_and_foreign_payloads_are_refused() -> None:
    reader = data_converter(OLD).with_context(HERE)
    (payload,) = await _written()
    altered = Payload(metadata=payload.metadata, data=payload.data[:-1] + bytes([payload.data[-1] ^ 1]))
    plain = Payload(metadata={"encoding": b"json/plain"}, data=b"{}")
    for wrong in (altered, plain, *await _written(NEW)):
        with pytest.raises(PayloadRefused):
            await reader.decode([wrong])


async def test_after_a_rotation_old_payloads_still_open() -> None:
    rotated = data_converter(f"{NEW},{OLD}").with_context(HERE)
    assert await rotated.decode(await _written(OLD), [PaymentSettled]) == [MESSAGE]
    assert (await rotated.encode([MESSAGE]))[0].metadata["encryption-key-id"] == b"k2"


async def test_nothing_is_written_without_a_workflow_to_bind_to() -> None:
    with pytest.raises(PayloadRefused):
        await EncryptionCodec(parse_keys(OLD)).encode([Payload(data=b"x")])


@pytest.mark.parametrize("text", ["", "k1:", "k1:" + base64.b64encode(b"short").decode()])
def test_bad_keys_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="at least one key of 32 bytes"):
        parse_keys(text)
