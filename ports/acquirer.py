"""Port of an acquirer: takes fees through a hosted checkout, refunds them, and tells of chargebacks.

ports/money.py says how each call may end. The status that decides is always fetched; an event is only a hint.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from domain.errors import NotConfigured
from ports.money import Data, EventSource


class CheckoutOrder(Data):
    """What a buyer is asked to pay. `reference`: our challenge id. Amounts in minor units of `currency`."""

    reference: str
    amount_minor: int
    currency: str
    description: str
    return_url: str


class Checkout(Data):
    """A payment by a buyer.

    `status`: `processing` while an asynchronous method (a bank debit) is not settled; `paid` once the money is ours,
    also after refunds and chargebacks. `amount_minor`: what was paid, or is asked while it is not. `refunded_minor`:
    what went back to the buyer so far. `chargebacks`: ids of all chargebacks of its payment. `card`: the acquirer's
    fingerprint of the card, the same for all payments with it; "" if it tells none.
    """

    checkout_id: str
    key: str
    url: str
    reference: str
    status: Literal["open", "processing", "paid", "expired"]
    amount_minor: int
    currency: str
    refunded_minor: int = 0
    chargebacks: tuple[str, ...] = ()
    card: str = ""


class Refund(Data):
    """A refund of (a part of) a payment. `key`: ours, or "" for a refund made at the acquirer's own desk.
    `came_back`: the money of a failed one had left the account, and is back: the statement shows both."""

    refund_id: str
    key: str
    checkout_id: str
    status: Literal["pending", "succeeded", "failed"]
    amount_minor: int
    currency: str
    failure: str | None = None
    came_back: bool = False


class Chargeback(Data):
    """The buyer's bank takes a payment back.

    `status`: `inquiry` asks before money is taken; `evidence_due` until evidence is submitted or the time is over;
    `under_review` after it; then `won` or `lost` (accepted ones are lost). `withdrawn`: the acquirer has taken
    `amount_minor` from the firm and not given it back. `given_back`: how often it has taken it and given it back, for
    an acquirer that tells. `fee_minor`: the acquirer's fee for it so far.
    """

    chargeback_id: str
    checkout_id: str
    reference: str
    status: Literal["inquiry", "evidence_due", "under_review", "won", "lost"]
    amount_minor: int
    currency: str
    reason: str
    evidence_due_at: datetime | None
    withdrawn: bool
    fee_minor: int = 0
    given_back: int = 0


class Evidence(Data):
    """What the firm tells the buyer's bank. Plain texts, at most 20,000 characters each."""

    product_description: str
    service_date: str
    access_activity_log: str
    uncategorized_text: str


class Acquirer(EventSource, Protocol):
    """`name`: the name in the firm's settings, and of its cash account in the books."""

    async def create_checkout(self, order: CheckoutOrder, *, key: str) -> Checkout: ...

    async def fetch_checkout(self, object_id: str) -> Checkout:
        """Returns the checkout with this id, or the checkout of a payment whose object an event named. Raises
        NotFound."""
        ...

    async def find_checkout(self, key: str) -> Checkout | None:
        """Returns the checkout made under `key`; None if there is none yet."""
        ...

    async def expire_checkout(self, checkout_id: str, *, key: str) -> Checkout:
        """Closes an open checkout, so that it can no longer be paid, and returns it. A checkout that is no longer open
        is returned unchanged: `paid` when the buyer was faster."""
        ...

    async def refund(self, checkout_id: str, *, key: str, amount_minor: int | None = None) -> Refund:
        """Refunds `amount_minor` of a paid checkout; None: what is left of it. The same key refunds once. Raises
        Conflict for more than is left."""
        ...

    async def refunds(self, checkout_id: str) -> list[Refund]:
        """Returns all refunds of a checkout, oldest first, also those made at the acquirer's own desk."""
        ...

    async def find_refund(self, checkout_id: str, key: str) -> Refund | None:
        """Returns the refund made under `key`; None if there is none yet."""
        ...

    async def fetch_chargeback(self, chargeback_id: str) -> Chargeback: ...

    async def submit_evidence(self, chargeback_id: str, evidence: Evidence, *, key: str) -> Chargeback:
        """Sends evidence, once: it cannot be changed afterwards. A chargeback that is no longer `evidence_due` or
        `inquiry` is returned unchanged."""
        ...

    async def accept_chargeback(self, chargeback_id: str, *, key: str) -> Chargeback:
        """Gives up: the buyer keeps the money. A decided chargeback is returned unchanged."""
        ...

    async def healthy(self) -> str: ...

    async def aclose(self) -> None: ...


class AcquirerCapabilities(Data):
    """The features of an acquirer. `disputes`: it takes evidence through its API; without it people answer chargebacks
    at the acquirer's own desk and only the outcome arrives here."""

    partial_refunds: bool
    disputes: bool


@dataclass(frozen=True)
class Acquirers:
    """The configured acquirers by name. `default`: takes the fees of new challenges."""

    by_name: Mapping[str, Acquirer]
    default: str

    def of(self, name: str) -> Acquirer:
        """Returns the acquirer for a challenge's column `provider`. Raises NotConfigured."""
        if name not in self.by_name:
            raise NotConfigured("acquirer", name, "PROPOS_ACQUIRERS")
        return self.by_name[name]
