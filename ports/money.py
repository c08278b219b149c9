"""Data that acquirers, payment rails and statement sources share, and what each outbound call may answer.

Every call that has an effect takes an idempotency `key` of ours and ends in one of five ways:

done              the call returns the result; the same key returns it again
refused for good  RefusedForGood: the other side refuses this key for ever, and answers the same when asked again
retry later       Unavailable: nothing happened
in progress       InProgress: an earlier call under this key is not finished
unknown           OutcomeUnknown: the call may have taken effect

Every other error (BadInput, NotFound, Conflict, IdempotencyMismatch) refuses one attempt. An earlier call under the
same key may still take effect. So after any but the first two ways, look the effect up by the key (`find_...`), then
repeat the call with the same key. A provider forgets idempotency keys (Stripe: after 24 hours), but `find_...` must
find an effect for as long as its record exists.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal, Protocol

from pydantic import BaseModel, ConfigDict, StringConstraints

# An id or a word of the other side, without spaces and short enough for the inbox.
Word = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,120}$")]
Kind = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,40}$")]


class Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


EventKind = Literal[
    "checkout.paid",
    "checkout.expired",
    "charge.refunded",
    "charge.disputed",
    "chargeback.changed",
    "transfer.paid",
    "transfer.returned",
    "transfer.changed",
    "payee.changed",
    "identity.changed",
]


class WebhookEvent(Data):
    """A verified hint: the event's id, its kind and its object. Read the object again to learn what is true.

    `kind`: an EventKind, or a kind that we do not know. `object_id`: of a checkout event the id of the checkout or of
    any object of its payment (`fetch_checkout` takes them all), else of the chargeback, transfer, payee or identity
    session. `problem`: why the event cannot be handled; a person must look at it. Such an event has the provider's id
    or one made from its content, and `object_id` is "-" if unreadable.
    """

    event_id: Word
    kind: Kind
    object_id: Word
    created_at: datetime | None
    problem: str | None = None


class EventSource(Protocol):
    """A connection that tells us of changes. `name`: the name in the firm's settings."""

    name: str

    async def events(self, after: str | None) -> list[WebhookEvent]:
        """Returns all events after the event id `after`, oldest first, to find lost webhooks. None: as far back as the
        other side keeps them. An unreadable event has a `problem`. Raises CursorForgotten when the other side no longer
        knows that id, Unavailable for an answer that is not a list."""
        ...

    def parse_webhook(self, body: bytes, headers: Mapping[str, str], now: datetime) -> WebhookEvent | None:
        """Verifies and reads a webhook; None for one that is genuine and concerns nobody here. Raises BadSignature for
        a wrong, missing or old (300 s) signature, BadInput for a body without an event id. An event that has an id and
        is otherwise unreadable has a `problem`."""
        ...
