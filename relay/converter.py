"""Pydantic messages to payloads and back, one refusal per payload that cannot be read.

What a refusal leads to, the SDK decides: a signal is dropped, an update or a query is refused, an activity's result
fails the workflow task, which is tried again until somebody puts it right.
"""

import copy
from collections.abc import Sequence
from typing import Any, NoReturn, Self

from temporalio.api.common.v1 import Payload
from temporalio.contrib.pydantic import PydanticPayloadConverter
from temporalio.converter import EncodingPayloadConverter, SerializationContext, WorkflowSerializationContext

from contracts.drops import ReportDrop
from relay.codec import UNREADABLE, PayloadRefused


class _Marked(EncodingPayloadConverter):
    """Refuses what the codec could not decrypt."""

    @property
    def encoding(self) -> str:
        return UNREADABLE.decode()

    def to_payload(self, value: Any) -> Payload | None:
        return None

    def from_payload(self, payload: Payload, type_hint: type | None = None) -> NoReturn:
        raise PayloadRefused(payload.data.decode())


class PropOSPayloadConverter(PydanticPayloadConverter):
    def __init__(self) -> None:
        super().__init__()
        self._set_converters(*self.converters.values(), _Marked())


def noting(note: ReportDrop) -> type[PropOSPayloadConverter]:
    """A converter class that tells `note` of each message to a workflow that cannot be read, in replay as well."""

    class Noting(PropOSPayloadConverter):
        workflow_id = ""

        def with_context(self, context: SerializationContext) -> Self:
            bound = copy.copy(super().with_context(context))
            bound.workflow_id = context.workflow_id if isinstance(context, WorkflowSerializationContext) else ""
            return bound

        def from_payloads(self, payloads: Sequence[Payload], type_hints: list[type] | None = None) -> list[Any]:
            try:
                return super().from_payloads(payloads, type_hints)
            except Exception:
                if self.workflow_id:
                    note(self.workflow_id, "unreadable")
                raise

    return Noting
