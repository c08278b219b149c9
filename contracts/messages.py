"""What API, relay, workflows and activities say to each other. Small: large things are rows, referenced by id.

Signals are facts and past tense; updates are decisions by people, imperative, with a validator. Each has a `key`: the
business key that makes receiving it twice the same as once.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict

from domain.approvals import Actor


class Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ChallengeStart(Message):
    """Input of workflow `Challenge`. The carried fields are set by continue-as-new and by a restart from the record."""

    challenge_id: str
    state: str = "awaiting_payment"
    phase_index: int = 0
    seen: tuple[str, ...] = ()


class Signal(Message):
    """A fact that a workflow is told. `SIGNALS` has the name under which each is sent."""

    key: str


class PaymentFact(Signal):
    """The provider has news of a checkout: the receiver asks the provider itself."""

    checkout_id: str


class PaymentSettled(PaymentFact):
    """To `Challenge`."""


class PaymentExpired(PaymentFact):
    """To `Challenge`."""


class ChargebackReceived(PaymentFact):
    """To `Challenge`."""


class FeeRefunded(PaymentFact):
    """To `Challenge`."""


class BreachDetected(Signal):
    """To `Challenge`, from the transaction that records the breach."""

    breach_id: str
    account_id: str
    occurred_at: datetime


class PhasePassed(Signal):
    """To `Challenge`, from the transaction that records the pass."""

    pass_id: str
    account_id: str
    occurred_at: datetime


class IdentityDecided(Signal):
    """To `Challenge`."""

    verified: bool


class BreachOverturned(Signal):
    """To `Challenge`, from a dispute that ended in reinstatement."""

    dispute_id: str
    breach_id: str


class ClosedByFirm(Signal):
    """To `Challenge`, from a confirmed case."""

    case_id: str


class AccountReinstated(Signal):
    """To `Dispute`: the challenge has done its part."""


class MarketTimeReached(Signal):
    """To every workflow that waits for a date: the wake-up was due. The receiver asks the core for market time."""


class RefundRequest(Message):
    """Update `refund` of workflow `Challenge`: before the first trade only."""

    key: str
    actor: Actor
    reason: str


PayoutChoice = Literal["approve", "reject", "return_to_trader", "cancel"]


class PayoutStart(Message):
    """Input of workflow `Payout`."""

    payout_id: str


class DecisionRequest(Message):
    """Updates `approve`, `return_to_trader`, `reject`, `cancel` (Payout); `uphold`, `reinstate` (Dispute); `clear`,
    `confirm` (Case). `key` is the HTTP Idempotency-Key and the update id."""

    key: str
    actor: Actor
    reason: str


class DecisionResult(Message):
    """What the decision led to, for the answer to the person."""

    subject_id: str
    state: str
    decision: str
    approvals: int = 0
    approvals_needed: int = 0


class LockAccount(Message):
    """Not to a workflow but to the platform: close the account's positions and disable it. `epoch`: of the shard that
    judged it; the payload of an order by a person has none."""

    key: str
    login: int
    account_id: str
    epoch: int | None = None


class TransferChanged(Signal):
    """To `Payout`: the receiver fetches the transfer itself."""

    transfer_id: str


class RiskChanged(Signal):
    """To `Payout`: a breach, case, dispute, review or identity changed; the receiver judges the payout again."""


class DisputeStart(Message):
    dispute_id: str


class CaseStart(Message):
    case_id: str


class ShardStart(Message):
    shard: int


class DailyCloseStart(Message):
    """Input of workflow `DailyClose`; `after` is carried by continue-as-new."""

    clock_group: str
    zone: str
    reset: str
    after: datetime | None = None


class ReconciliationStart(Message):
    after: datetime | None = None


class SurveillanceStart(Message):
    """Input of workflow `Surveillance`. It runs every detector; the field is kept because histories hold it."""

    detector: str = "copy_trading"


SIGNALS: Final[Mapping[str, type[Signal]]] = {
    "account_reinstated": AccountReinstated,
    "breach_detected": BreachDetected,
    "breach_overturned": BreachOverturned,
    "chargeback_received": ChargebackReceived,
    "closed_by_firm": ClosedByFirm,
    "fee_refunded": FeeRefunded,
    "identity_decided": IdentityDecided,
    "market_time_reached": MarketTimeReached,
    "payment_expired": PaymentExpired,
    "payment_settled": PaymentSettled,
    "phase_passed": PhasePassed,
    "risk_changed": RiskChanged,
    "transfer_changed": TransferChanged,
}
"""Wire name of a signal -> its message. Workflows have a handler of that name which takes that type."""

STARTS: Final[Mapping[str, type[Message]]] = {
    "Case": CaseStart,
    "Challenge": ChallengeStart,
    "DailyClose": DailyCloseStart,
    "Dispute": DisputeStart,
    "MonitorShard": ShardStart,
    "Payout": PayoutStart,
    "Reconciliation": ReconciliationStart,
    "Surveillance": SurveillanceStart,
}
"""Wire name of a workflow -> its input."""

_NAMES: Final = {kind: name for table in (SIGNALS, STARTS) for name, kind in table.items()}


def wire_name(message: Message) -> str:
    """Returns the name of the signal, or of the workflow, that takes this message."""
    return _NAMES[type(message)]


def stored(message: Message) -> dict[str, Any]:
    """Returns the message as the outbox keeps it: without the fields that were not set."""
    return message.model_dump(mode="json", exclude_unset=True)
