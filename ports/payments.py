"""Port of a payment provider: fees come in through a hosted checkout, profit shares go out through transfers.

Every call that moves money has an idempotency `key` of ours and ends in one of five ways:

done              the call returns the result; the same key returns it again
refused for good  RefusedForGood: the provider refuses this key for ever, and answers the same when asked again
retry later       Unavailable: nothing happened
in progress       InProgress: an earlier call under this key is not finished
unknown           OutcomeUnknown: the call may have taken effect

Every other error (BadInput, NotFound, Conflict, IdempotencyMismatch) refuses one attempt. An earlier call under the
same key may still take effect. So after any but the first two ways, look the effect up by the key (`find_transfer`),
then repeat the call with the same key. Webhooks are hints: `parse_webhook` verifies the signature and names the object;
`fetch_*` returns its true status.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal, Protocol

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from domain.errors import NotConfigured

# An id or a word of the provider, without spaces and short enough for the inbox.
Word = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,120}$")]
Kind = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,40}$")]
# What the table of a provider's movements can keep.
EntryWord = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,80}$")]


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Checkout(_Data):
    """A payment by a buyer. `refunded`: in full. A partly refunded checkout stays `paid`; `entries` show the amount."""

    checkout_id: str
    url: str
    reference: str  # our challenge id
    status: Literal["open", "paid", "expired", "refunded", "charged_back"]
    amount_minor: int
    currency: str


class Transfer(_Data):
    transfer_id: str
    key: str
    reference: str  # our payout id
    status: Literal["pending", "paid", "returned"]
    amount_minor: int
    currency: str
    failure: str | None = None


EventKind = Literal[
    "checkout.paid", "checkout.expired", "charge.refunded", "charge.disputed", "transfer.paid", "transfer.returned"
]


class WebhookEvent(_Data):
    """A verified hint: the event's id, its kind and its object.

    `kind`: an EventKind, or a kind that we do not know. `problem`: why the event cannot be handled; a person must look
    at it. Such an event has the provider's id or one made from its content, and `object_id` is "-" if unreadable.
    """

    event_id: Word
    kind: Kind
    object_id: Word
    created_at: datetime | None
    problem: str | None = None


class ProviderEntry(_Data):
    """One movement of money at the provider. Positive amounts come in to the firm, negative amounts go out.

    `kind`: charge, refund, dispute, transfer, transfer_return, or a word that we do not know. `problem` says what of
    the entry cannot be read: such an entry is shown to a person and never booked. Its unreadable fields are "-", 0 or
    1970, and its id is made of its content if it has none.
    """

    entry_id: EntryWord
    object_id: EntryWord
    reference: Annotated[str, StringConstraints(pattern=r"^[ -~]{0,40}$")]
    kind: Annotated[str, StringConstraints(pattern=r"^[!-~]{1,20}$")]
    amount_minor: Annotated[int, Field(ge=-(2**63), lt=2**63)]
    currency: Annotated[str, StringConstraints(pattern=r"^[!-~]{1,4}$")]
    at: AwareDatetime
    problem: str | None = None


class PaymentProvider(Protocol):
    """`name`: the name in the firm's settings."""

    name: str

    async def create_checkout(
        self, *, key: str, reference: str, amount_minor: int, currency: str, description: str, return_url: str
    ) -> Checkout: ...

    async def fetch_checkout(self, checkout_id: str) -> Checkout: ...

    async def expire_checkout(self, checkout_id: str, *, key: str) -> Checkout:
        """Closes an open checkout, so that it can no longer be paid, and returns it. A checkout that is no longer open
        is returned unchanged: `paid` when the buyer was faster."""
        ...

    async def refund(self, checkout_id: str, *, key: str) -> Checkout:
        """Refunds the remaining amount of a paid checkout. The same key refunds once."""
        ...

    async def create_transfer(
        self, *, key: str, reference: str, amount_minor: int, currency: str, beneficiary: str
    ) -> Transfer:
        """Sends money to a beneficiary. The same key returns the first transfer; the same key with another
        amount or beneficiary raises IdempotencyMismatch. Raises RefusedForGood, InProgress, OutcomeUnknown."""
        ...

    async def fetch_transfer(self, transfer_id: str) -> Transfer: ...

    async def find_transfer(self, key: str) -> Transfer | None:
        """Returns the transfer made under `key`; None if there is none yet. A later call may still make one."""
        ...

    async def entries(self, after: str | None) -> list[ProviderEntry]:
        """Returns all money movements after the entry id `after`, oldest first. Unreadable ones have a `problem`.
        Raises CursorForgotten when the provider no longer knows that id, Unavailable for an answer that is not a list.
        """
        ...

    async def events(self, after: str | None) -> list[WebhookEvent]:
        """Returns all events after the event id `after`, oldest first, to find lost webhooks. An unreadable event has a
        `problem`. Raises CursorForgotten when the provider no longer knows that id, Unavailable for an answer that is
        not a list."""
        ...

    def parse_webhook(self, body: bytes, headers: Mapping[str, str], now: datetime) -> WebhookEvent:
        """Verifies and reads a webhook. Raises BadSignature for a wrong, missing or old (300 s) signature, BadInput for
        a body without an event id. An event that has an id and is otherwise unreadable has a `problem`."""
        ...

    async def healthy(self) -> str: ...

    async def aclose(self) -> None: ...


class PaymentCapabilities(_Data):
    """The features of a provider. `takes_fees`: checkouts and refunds. `sends_payouts`: transfers; the provider is a
    rail."""

    takes_fees: bool
    sends_payouts: bool


@dataclass(frozen=True)
class Providers:
    """The configured payment providers by name. `checkout`: takes the fees of new challenges. `rail`: sends new
    payouts."""

    by_name: Mapping[str, PaymentProvider]
    checkout: str
    rail: str

    def of(self, name: str) -> PaymentProvider:
        """Returns the provider for a challenge's column `provider` or a payout's column `rail`. Raises
        NotConfigured."""
        if name not in self.by_name:
            raise NotConfigured("payment provider", name, "PROPOS_PAYMENTS")
        return self.by_name[name]

    async def aclose(self) -> None:
        for provider in self.by_name.values():
            await provider.aclose()
