"""Payments: fees in through a hosted checkout, profit shares out through transfers.

Every call that moves money carries an idempotency `key` of ours and ends in one of five ways:

done              it returns what was made; the same key returns it again
refused for good  RefusedForGood: the provider says of this very key that it will never be done, and says so again
retry later       Unavailable: nothing happened
in progress       InProgress: an earlier call under this key is not finished
unknown           OutcomeUnknown: it may have happened

Every other error (BadInput, NotFound, Conflict, IdempotencyMismatch) refuses one attempt and says nothing about an
earlier call under the same key, which may still take effect. So after anything but the first two ways: look the effect
up by the key (`find_transfer`), then repeat the call with the same key.
Webhooks are hints: `parse_webhook` verifies the signature and names the object, `fetch_*` gives the truth.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal, Protocol

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from domain.errors import NotConfigured

# What the inbox can keep: an id or a word of the provider's, without spaces.
Word = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,120}$")]
Kind = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,40}$")]
# What the table of a provider's movements can keep.
EntryWord = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,80}$")]


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Checkout(_Data):
    """What came in. `refunded` is all of it; after a part it is still `paid`, and only `entries` say how much went."""

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
    """A verified hint: event id, what happened, which object.

    `kind`: an EventKind, or a word that we do not know. `problem` says why nobody can act on the event: it is kept for
    a person, under the provider's id or one made of its content, and `object_id` is "-" where none can be read.
    """

    event_id: Word
    kind: Kind
    object_id: Word
    created_at: datetime | None
    problem: str | None = None


class ProviderEntry(_Data):
    """One movement of money at the provider, signed from the firm's point of view (in +, out -).

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
    """`name` is the firm's own for this provider."""

    name: str

    async def create_checkout(
        self, *, key: str, reference: str, amount_minor: int, currency: str, description: str, return_url: str
    ) -> Checkout: ...

    async def fetch_checkout(self, checkout_id: str) -> Checkout: ...

    async def expire_checkout(self, checkout_id: str, *, key: str) -> Checkout:
        """Close an open checkout, so that it cannot be paid any more. One that is no longer open is answered as it
        stands: `paid` when the buyer was faster."""
        ...

    async def refund(self, checkout_id: str, *, key: str) -> Checkout:
        """Refund what is left of a paid checkout. The same key refunds once."""
        ...

    async def create_transfer(
        self, *, key: str, reference: str, amount_minor: int, currency: str, beneficiary: str
    ) -> Transfer:
        """Send money to a beneficiary. The same key returns the first transfer; the same key with another
        amount or beneficiary raises IdempotencyMismatch. Raises RefusedForGood, InProgress, OutcomeUnknown."""
        ...

    async def fetch_transfer(self, transfer_id: str) -> Transfer: ...

    async def find_transfer(self, key: str) -> Transfer | None:
        """The transfer that was made under `key`; None while there is none, which is no promise that none follows."""
        ...

    async def entries(self, after: str | None) -> list[ProviderEntry]:
        """Returns all money movements after the entry id `after`, oldest first. One that cannot be read is in the list
        with its `problem`. Raises CursorForgotten when the provider does not know that id any more, Unavailable for an
        answer that is no list."""
        ...

    async def events(self, after: str | None) -> list[WebhookEvent]:
        """All events after the event id `after`, oldest first: the sweep for webhooks that never came. One that cannot
        be read is in the list with its `problem`. Raises CursorForgotten when the provider does not know that id any
        more, Unavailable for an answer that is no list."""
        ...

    def parse_webhook(self, body: bytes, headers: Mapping[str, str], now: datetime) -> WebhookEvent:
        """Verify and read; raises BadSignature for a wrong, missing or stale (300 s) signature, BadInput for a body
        without an event id. An event with an id that cannot be read otherwise has a `problem`."""
        ...

    async def healthy(self) -> str: ...

    async def aclose(self) -> None: ...


class PaymentCapabilities(_Data):
    """What a provider can do. `takes_fees`: checkouts and refunds. `sends_payouts`: transfers, which make it a rail."""

    takes_fees: bool
    sends_payouts: bool


@dataclass(frozen=True)
class Providers:
    """The configured payment providers by name. `checkout` takes fees of new challenges, `rail` sends new payouts."""

    by_name: Mapping[str, PaymentProvider]
    checkout: str
    rail: str

    def of(self, name: str) -> PaymentProvider:
        """The provider of a challenge's column `provider` or a payout's column `rail`; raises NotConfigured."""
        if name not in self.by_name:
            raise NotConfigured("payment provider", name, "PROPOS_PAYMENTS")
        return self.by_name[name]

    async def aclose(self) -> None:
        for provider in self.by_name.values():
            await provider.aclose()
