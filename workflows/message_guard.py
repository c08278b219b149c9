"""Checks every message to a workflow. A message it cannot use is dropped or refused, and never fails the workflow task.

An unexpected error in a handler fails the workflow task, which is then retried for ever. The SDK calls handlers with
any number of arguments that was sent, and keeps signals without a handler in memory. Every signal and update of PropOS
takes exactly one message.
"""

from collections.abc import Sequence
from typing import Any

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError
from temporalio.worker import (
    ExecuteWorkflowInput,
    HandleSignalInput,
    HandleUpdateInput,
    Interceptor,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)

from contracts.drops import DropReason, ReportDrop
from domain.errors import BadInput


class MessageGuard(Interceptor):
    """`note` is called for each dropped signal, with the workflow id and the reason. It never blocks."""

    def __init__(self, note: ReportDrop) -> None:
        self._note = note

    def workflow_interceptor_class(self, input: WorkflowInterceptorClassInput) -> type[WorkflowInboundInterceptor]:
        return _inbound(self._note)


def _inbound(note: ReportDrop) -> type[WorkflowInboundInterceptor]:
    def report_dropped(why: DropReason) -> None:
        if not workflow.unsafe.is_replaying():
            note(workflow.info().workflow_id, why)

    def unknown_signal(_name: str, _arguments: Sequence[RawValue]) -> None:
        report_dropped("unknown_signal")

    class Inbound(WorkflowInboundInterceptor):
        async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:
            workflow.set_dynamic_signal_handler(unknown_signal)
            return await super().execute_workflow(input)

        async def handle_signal(self, input: HandleSignalInput) -> None:
            known = workflow.get_signal_handler(input.signal) is not None
            if known and len(input.args) != 1:
                report_dropped("wrong_arguments")
                return
            await super().handle_signal(input)

        async def handle_update_handler(self, input: HandleUpdateInput) -> Any:
            if len(input.args) != 1:
                raise ApplicationError(
                    f"The update {input.update} takes one message.", type=BadInput.type, non_retryable=True
                )
            return await super().handle_update_handler(input)

    return Inbound
