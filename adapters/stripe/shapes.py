"""The parts of Stripe's objects that the adapters read. Other fields are ignored; amounts are integers."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, StrictInt, StringConstraints

Id = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,120}$")]
Code = Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{3}$", to_upper=True)]
Metadata = Annotated[dict[str, str], BeforeValidator(lambda value: {} if value is None else value)]
Seconds = Annotated[StrictInt, Field(ge=0, lt=2**33)]


class Shape(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


def _id_of(value: Any) -> Any:
    """Returns the id of an object that Stripe may send expanded."""
    return value.get("id") if isinstance(value, dict) else value


IdOf = Annotated[Id, BeforeValidator(_id_of)]


class Card(Shape):
    fingerprint: str | None = None


class PaidWith(Shape):
    """How a charge was paid. `card`: only if it was a card."""

    card: Card | None = None


class Charge(Shape):
    id: Id
    payment_method_details: PaidWith | None = None
    amount_refunded: StrictInt = 0
    disputed: StrictBool = False
    payment_intent: Annotated[Id | None, BeforeValidator(_id_of)] = None
    metadata: Metadata = {}


class Intent(Shape):
    """A payment. `latest_charge`: its id only, unless it was expanded."""

    id: Id
    status: str
    currency: Code
    amount_received: StrictInt = 0
    latest_charge: Charge | Id | None = None
    metadata: Metadata = {}


class Session(Shape):
    """A checkout. `payment_intent`: none before the buyer pays; its id only, unless it was expanded."""

    id: Id
    created: Seconds
    status: str
    payment_status: str
    url: str | None = None
    amount_total: StrictInt
    currency: Code
    payment_intent: Intent | Id | None = None
    metadata: Metadata = {}


class Refund(Shape):
    id: Id
    status: str
    amount: StrictInt
    currency: Code
    charge: Annotated[Id | None, BeforeValidator(_id_of)] = None
    payment_intent: Annotated[Id | None, BeforeValidator(_id_of)] = None
    failure_reason: str | None = None
    failure_balance_transaction: Annotated[Id | None, BeforeValidator(_id_of)] = None
    metadata: Metadata = {}


class PaymentPart(Shape):
    """An object that belongs to a payment: a dispute, an early fraud warning."""

    id: Id
    payment_intent: Annotated[Id | None, BeforeValidator(_id_of)] = None


class DisputeMovement(Shape):
    amount: StrictInt
    fee: StrictInt
    currency: Code


class EvidenceDetails(Shape):
    due_by: Seconds | None = None
    past_due: StrictBool = False
    submission_count: StrictInt = 0


class Dispute(Shape):
    """`balance_transactions`: none, the withdrawal, or the withdrawal and the reinstatement."""

    id: Id
    status: str
    amount: StrictInt
    currency: Code
    reason: str
    payment_intent: Intent | Id | None = None
    balance_transactions: tuple[DisputeMovement, ...] = ()
    evidence_details: EvidenceDetails


class Arrived(Shape):
    """What a transfer became on the payee's account."""

    net: StrictInt
    currency: Code


class DestinationPayment(Shape):
    id: Id
    balance_transaction: Arrived | Id | None = None


class Transfer(Shape):
    id: Id
    created: Seconds
    amount: StrictInt
    amount_reversed: StrictInt = 0
    reversed: StrictBool
    currency: Code
    destination: IdOf
    destination_payment: DestinationPayment | Id | None = None
    metadata: Metadata = {}


class Payout(Shape):
    id: Id
    status: str
    failure_code: str | None = None
    metadata: Metadata = {}


class Reversal(Shape):
    id: Id


class Requirements(Shape):
    currently_due: tuple[str, ...] | None = None
    past_due: tuple[str, ...] | None = None
    disabled_reason: str | None = None


class Account(Shape):
    id: Id
    payouts_enabled: StrictBool = False
    capabilities: dict[str, str] | None = None
    requirements: Requirements | None = None
    metadata: Metadata = {}


class Link(Shape):
    url: str


class VerificationError(Shape):
    code: str | None = None


class VerifiedDay(Shape):
    """A date of birth."""

    day: StrictInt | None = None
    month: StrictInt | None = None
    year: StrictInt | None = None

    def __str__(self) -> str:
        """Returns YYYY-MM-DD, or nothing when a part is missing."""
        known = self.day and self.month and self.year
        return f"{self.year:04}-{self.month:02}-{self.day:02}" if known else ""


class VerifiedOutputs(Shape):
    first_name: str | None = None
    last_name: str | None = None
    dob: VerifiedDay | None = None


class Verification(Shape):
    id: Id
    status: str
    url: str | None = None
    last_error: VerificationError | None = None
    verified_outputs: VerifiedOutputs | None = None
    metadata: Metadata = {}


class BalancePart(Shape):
    amount: StrictInt
    currency: Code


class Balance(Shape):
    livemode: StrictBool
    available: tuple[BalancePart, ...] = ()
    pending: tuple[BalancePart, ...] = ()


class Source(Shape):
    """What a balance transaction is about."""

    id: Id
    object: str
    charge: Annotated[Id | None, BeforeValidator(_id_of)] = None
    transfer: Annotated[Id | None, BeforeValidator(_id_of)] = None
    metadata: Metadata = {}


class BalanceTransaction(Shape):
    id: Annotated[str, StringConstraints(pattern=r"^[!-~]{1,70}$")]
    created: Seconds
    amount: StrictInt
    fee: StrictInt
    currency: Code
    reporting_category: Annotated[str, StringConstraints(pattern=r"^[!-~]{1,60}$")]
    source: Source | Id | None = None
