"""The history of a workflow as people read it: each event in words, with its time, attempt, failure and content.

It is the real history that Temporal keeps, oldest first, a page at a time. Content is decrypted in this process with
our keys, and shown only to who may read it.
"""

import base64
import binascii
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import EventType, RetryState
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client
from temporalio.converter import PayloadCodec, WorkflowSerializationContext
from temporalio.service import RPCError, RPCStatusCode

from contracts.ids import challenge_workflow, dispute_workflow, payout_workflow
from domain.errors import BadInput, NotFound, Unavailable
from domain.wording import span
from domain.workflow_words import activity_words, message_words
from front.deps import ApiDeps
from store.read.pages import View

WORKFLOWS: Final = {"challenge": challenge_workflow, "payout": payout_workflow, "dispute": dispute_workflow}
_PAGE: Final = 100  # events of Temporal; those about the workflow's own bookkeeping are left out
_LONGEST: Final = 4000  # characters of one content
_RPC: Final = timedelta(seconds=5)
_AWAY: Final = "Temporal cannot be reached now, so the history cannot be read. Everything on the record is still shown."


class HistoryLine(View):
    """One event. `attempt`: of an activity, from 1. `failure`: what went wrong; only its type for a reader who may not
    know the content. `content`: what it carries, as text; empty when it carries nothing, or the reader may not know
    it."""

    number: int
    at: datetime
    words: str
    attempt: int | None
    failure: str
    content: str


class WorkflowHistory(View):
    """A page of events, oldest first. `run`: which run of the workflow; a long one is continued in a new run.
    `earlier_run`, `later_run`: the runs before and after it. `next_at`: where the next page begins; None on the last
    page."""

    workflow: str
    run: str
    earlier_run: str | None
    later_run: str | None
    items: tuple[HistoryLine, ...]
    next_at: str | None


async def history(
    deps: ApiDeps, kind: str, subject_id: str, *, run: str = "", at: str = "", content: bool = False
) -> WorkflowHistory:
    """Returns a page of the history of the workflow of a challenge, payout or dispute. `content`: the reader may know
    what the events carry. Raises NotFound, BadInput (`at`), Unavailable (Temporal is away)."""
    workflow_id, token = WORKFLOWS[kind](subject_id), _token(at)
    try:
        client: Any = await deps.temporal()
        handle = client.get_workflow_handle(workflow_id, run_id=run or None)
        events = handle.fetch_history_events(page_size=_PAGE, next_page_token=token, rpc_timeout=_RPC)
        await events.fetch_next_page(page_size=_PAGE)
    except RPCError as error:
        if error.status in (RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT):
            raise NotFound(
                "There is no history here: the workflow has not started, or its history is no longer kept.",
                remedy="Read the timeline; it has every step for good.",
            ) from error
        raise Unavailable(_AWAY, remedy="Try again in a moment.") from error
    except (RuntimeError, OSError) as error:
        raise Unavailable(_AWAY, remedy="Try again in a moment.") from error
    reading = _Reading(_reader(client, workflow_id) if content else None)
    lines = [await reading.line(event) for event in events.current_page or ()]
    rest = events.next_page_token
    return WorkflowHistory(
        workflow=workflow_id,
        run=run,
        earlier_run=reading.earlier_run,
        later_run=reading.later_run,
        items=tuple(line for line in lines if line is not None),
        next_at=base64.urlsafe_b64encode(rest).decode() if rest else None,
    )


def _token(at: str) -> bytes | None:
    """Raises BadInput."""
    try:
        return base64.b64decode(at, altchars=b"-_", validate=True) if at else None
    except (ValueError, binascii.Error):
        raise BadInput("This place is not one of ours.", field="at", remedy="Start at the first page.") from None


def _reader(client: Client, workflow_id: str) -> PayloadCodec | None:
    """Returns what decrypts the content of this workflow."""
    bound = client.data_converter.with_context(WorkflowSerializationContext(client.namespace, workflow_id))
    return bound.payload_codec


@dataclass
class _Reading:
    """Reads the events of one page. `reader`: None when the content stays hidden."""

    reader: PayloadCodec | None
    activities: dict[int, str] = field(default_factory=dict)  # by the event that scheduled them
    earlier_run: str | None = None
    later_run: str | None = None

    async def line(self, event: HistoryEvent) -> HistoryLine | None:
        """Returns None for an event that says nothing to a person."""
        name = EventType.Name(event.event_type).removeprefix("EVENT_TYPE_").lower()
        read = _READERS.get(name)
        if read is None:
            return None
        detail = getattr(event, f"{name}_event_attributes")
        said = read(self, event.event_id, detail)
        return HistoryLine(
            number=event.event_id,
            at=event.event_time.ToDatetime(tzinfo=UTC),
            words=said.words,
            attempt=said.attempt,
            failure="" if said.failure is None else said.before + await self._failure(said.failure),
            content=await self._content(said.payloads),
        )

    async def _content(self, payloads: Sequence[Payload]) -> str:
        if self.reader is None or not payloads:
            return ""
        return "\n".join(_text(payload) for payload in await self.reader.decode(payloads))[:_LONGEST]

    async def _failure(self, failure: Failure) -> str:
        """Returns what a failure says, with its cause: the texts for who may know the content, else the types. Texts
        may quote what the event carries."""
        if self.reader is not None:
            decoded = Failure()
            decoded.CopyFrom(failure)
            await self.reader.decode_failure(decoded)
            failure = decoded
        links = [failure, failure.cause] if failure.HasField("cause") else [failure]
        found = [_type(each) if self.reader is None else _message(each) for each in links]
        return " ".join(dict.fromkeys(part for part in found if part)) or "No further details."

    def activity(self, scheduled: int) -> str:
        return self.activities.get(scheduled, f"The step of event {scheduled}")


@dataclass(frozen=True)
class _Said:
    words: str
    payloads: Sequence[Payload] = ()
    attempt: int | None = None
    failure: Failure | None = None
    before: str = ""  # what is said before the failure


_Read = Callable[["_Reading", int, Any], _Said]


def _text(payload: Payload) -> str:
    """Returns what a decrypted payload says. The codec has marked what it could not decrypt."""
    encoding = payload.metadata.get("encoding", b"")
    if encoding == b"binary/null":
        return "nothing"
    if encoding != b"json/plain":
        return "(cannot be read with our keys)"
    return json.dumps(json.loads(payload.data), ensure_ascii=False, indent=2, sort_keys=True)


def _type(failure: Failure) -> str:
    """Returns the type of an error of ours. Only Temporal's own failures have none: their texts are fixed."""
    if failure.HasField("application_failure_info"):
        return f"{failure.application_failure_info.type}." if failure.application_failure_info.type else ""
    return "" if failure.HasField("encoded_attributes") else str(failure.message)


def _message(failure: Failure) -> str:
    """Returns the text of a decrypted failure: ours are encrypted with what else they carry."""
    if not failure.HasField("encoded_attributes"):
        return str(failure.message)
    payload = failure.encoded_attributes
    if payload.metadata.get("encoding", b"") != b"json/plain":
        return "(cannot be read with our keys)"
    return str(json.loads(payload.data).get("message", ""))


def _payloads(*groups: Any) -> Sequence[Payload]:
    return [payload for group in groups for payload in group.payloads]


def _started(reading: _Reading, _: int, detail: Any) -> _Said:
    reading.earlier_run = detail.continued_execution_run_id or None
    words = "The workflow continues in a new run." if reading.earlier_run else "The workflow started."
    return _Said(words, _payloads(detail.input))


def _continued(reading: _Reading, _: int, detail: Any) -> _Said:
    reading.later_run = detail.new_execution_run_id or None
    return _Said("The workflow continues in a new run, because the history is long.", _payloads(detail.input))


def _scheduled(reading: _Reading, number: int, detail: Any) -> _Said:
    words = activity_words(detail.activity_type.name)
    reading.activities[number] = words
    return _Said(f"{words}: scheduled.", _payloads(detail.input))


def _begun(reading: _Reading, _: int, detail: Any) -> _Said:
    failure = detail.last_failure if detail.HasField("last_failure") else None
    words = f"{reading.activity(detail.scheduled_event_id)}: started."
    return _Said(words, attempt=detail.attempt, failure=failure, before="The previous attempt failed: ")


def _completed(reading: _Reading, _: int, detail: Any) -> _Said:
    return _Said(f"{reading.activity(detail.scheduled_event_id)}: completed.", _payloads(detail.result))


def _failed(reading: _Reading, _: int, detail: Any) -> _Said:
    again = detail.retry_state == RetryState.RETRY_STATE_IN_PROGRESS
    words = f"{reading.activity(detail.scheduled_event_id)}: failed{'; it will be tried again' if again else ''}."
    return _Said(words, failure=detail.failure)


def _timed_out(reading: _Reading, _: int, detail: Any) -> _Said:
    return _Said(f"{reading.activity(detail.scheduled_event_id)}: no answer in time.", failure=detail.failure)


def _timer(_: _Reading, __: int, detail: Any) -> _Said:
    return _Said(f"Waits for an event; checks again within {span(detail.start_to_fire_timeout.seconds)}.")


def _signalled(_: _Reading, __: int, detail: Any) -> _Said:
    return _Said(f"Received: {message_words(detail.signal_name)}.", _payloads(detail.input))


def _asked(_: _Reading, __: int, detail: Any) -> _Said:
    asked = detail.accepted_request.input
    return _Said(f"A person decides: {message_words(asked.name)}.", _payloads(asked.args))


def _answered(_: _Reading, __: int, detail: Any) -> _Said:
    if detail.outcome.HasField("failure"):
        return _Said("The decision was refused.", failure=detail.outcome.failure)
    return _Said("The decision was carried out.", _payloads(detail.outcome.success))


def _over(words: str) -> "_Read":
    def read(_: _Reading, __: int, detail: Any) -> _Said:
        failed = hasattr(detail, "failure") and detail.HasField("failure")
        result = _payloads(detail.result) if hasattr(detail, "result") else ()
        return _Said(words, result, failure=detail.failure if failed else None)

    return read


_READERS: Final[Mapping[str, _Read]] = {
    "workflow_execution_started": _started,
    "workflow_execution_continued_as_new": _continued,
    "workflow_execution_signaled": _signalled,
    "workflow_execution_update_accepted": _asked,
    "workflow_execution_update_completed": _answered,
    "workflow_execution_completed": _over("The workflow ended."),
    "workflow_execution_failed": _over("The workflow failed."),
    "workflow_execution_timed_out": _over("The workflow timed out."),
    "workflow_execution_terminated": _over("A person ended the workflow in Temporal."),
    "workflow_execution_canceled": _over("The workflow was cancelled."),
    "workflow_task_failed": _over("The workflow could not continue; it will be tried again."),
    "activity_task_scheduled": _scheduled,
    "activity_task_started": _begun,
    "activity_task_completed": _completed,
    "activity_task_failed": _failed,
    "activity_task_timed_out": _timed_out,
    "timer_started": _timer,
}
