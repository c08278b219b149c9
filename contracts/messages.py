"""Messages between API, relay, workflows and activities. They are small: large data are rows, referenced by id.

Signals are facts, named in the past tense. Updates are decisions by people, named in the imperative, with a validator.
Each has a business key `key`: a second message with the same key has no effect.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

from domain.approvals import Actor
from domain.decision_requests import said


class Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ChallengeStart(Message):
    """Input of workflow `Challenge`. A first start sets only the id. A restart from the record also sets state and
    phase; continue-as-new sets everything."""

    challenge_id: str
    state: str = "awaiting_payment"
    phase_index: int = 0
    seen: tuple[str, ...] = ()


class Signal(Message):
    """A fact sent to a workflow. `SIGNALS` has the wire name of each."""

    key: str


class PaymentFact(Signal):
    """The status of a checkout may have changed. The receiver asks the provider."""

    checkout_id: str


class PaymentSettled(PaymentFact):
    """To `Challenge`."""


class PaymentExpired(PaymentFact):
    """To `Challenge`."""


class ChargebackReceived(PaymentFact):
    """To `Challenge`: a chargeback of its payment was lost."""


class ChargebackChanged(Signal):
    """To `Chargeback`: the acquirer told of it, or the firm has answered. The receiver asks the acquirer."""

    chargeback_id: str


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
    """To `Challenge`, from a dispute decided with `reinstate`."""

    dispute_id: str
    breach_id: str


class ClosedByFirm(Signal):
    """To `Challenge`, from a confirmed case. `case_id` is empty once a payout that closes the account is paid, or a
    closing without a case is approved."""

    case_id: str


class PhaseGivenAnew(Signal):
    """To `Challenge`: a free reset of its account was approved."""

    intervention_id: str


class AccountReinstated(Signal):
    """To `Dispute`: the challenge has reinstated the account, or has ended otherwise."""


class MarketTimeReached(Signal):
    """To every workflow that waits for a date: the wake-up was due. The receiver reads market time from the
    database."""


class RefundRequest(Message):
    """Update `refund` of workflow `Challenge`. Without an amount all of the fee, only before the first trade."""

    key: str
    actor: Actor
    reason: str
    amount_minor: int | None = None

    @property
    def stated(self) -> str:
        """What the stored request is about: the reason, and the amount if there is one."""
        return self.reason if self.amount_minor is None else f"{self.amount_minor} minor units: {self.reason}"


PayoutChoice = Literal[
    "approve", "retract", "reject", "return_to_trader", "cancel", "stop", "send_again", "release", "keep"
]


class PayoutStart(Message):
    """Input of workflow `Payout`."""

    payout_id: str


class Target(NamedTuple):
    """Where a payout is sent again. `rail`: empty for the same one. `beneficiary`: the digest of the account that the
    person read, as `send_to` of the payout has it."""

    rail: str = ""
    beneficiary: str = ""


class DecisionRequest(Message):
    """Updates of Payout (see PayoutChoice); `uphold`, `reinstate` (Dispute); `clear`, `inconclusive`, `warn`, `deduct`,
    `deny`, `confirm` (Case). `key` is the HTTP Idempotency-Key and the update id. `rail`, `beneficiary`: of
    `send_again`, see Target. `message`: what the trader of a dispute is told; `reason` is for the firm."""

    key: str
    actor: Actor
    reason: str
    rail: str = ""
    beneficiary: str = ""
    message: str = ""

    @property
    def target(self) -> Target:
        return Target(self.rail, self.beneficiary)

    @property
    def stated(self) -> str:
        """What the stored request is about: the reason, what the trader is told, and the rail and the account if they
        were chosen."""
        return said(self.reason, self.rail, self.beneficiary, self.message)


class DecisionResult(Message):
    """Result of a decision, shown to the person who made it. `steps`: of a payout, as in PayoutStatus."""

    subject_id: str
    state: str
    decision: str
    approvals: int = 0
    approvals_needed: int = 0
    steps: int = 0


class LockAccount(Message):
    """Sent to the platform, not to a workflow: close the account's positions and disable trading. `epoch`: of the shard
    that judged the account; None when a person ordered the lock."""

    key: str
    login: int
    account_id: str
    epoch: int | None = None


class TransferChanged(Signal):
    """To `Payout`: the status of its transfer may have changed. The receiver asks the provider."""

    transfer_id: str


class RiskChanged(Signal):
    """To `Payout`: a breach, case, dispute, review or identity changed. The receiver judges the payout again."""


class DisputeStart(Message):
    dispute_id: str


class ChargebackStart(Message):
    """Input of workflow `Chargeback`."""

    chargeback_id: str


class CaseStart(Message):
    case_id: str


class PlatformChangeStart(Message):
    change_id: str


class ShardStart(Message):
    shard: int


class DailyCloseStart(Message):
    """Input of workflow `DailyClose`. Continue-as-new sets `after`."""

    clock_group: str
    zone: str
    reset: str
    after: datetime | None = None


class ReconciliationStart(Message):
    after: datetime | None = None


class SurveillanceWindowsStart(Message):
    """Input of workflow `SurveillanceWindows`. `after`: market time of the last window."""

    after: datetime | None = None


class SurveillanceStart(Message):
    """Input of workflow `Surveillance`, which follows the deals. The field is unused; stored histories contain it."""

    detector: str = "copy_trading"


SIGNALS: Final[Mapping[str, type[Signal]]] = {
    "account_reinstated": AccountReinstated,
    "breach_detected": BreachDetected,
    "breach_overturned": BreachOverturned,
    "chargeback_changed": ChargebackChanged,
    "chargeback_received": ChargebackReceived,
    "closed_by_firm": ClosedByFirm,
    "fee_refunded": FeeRefunded,
    "identity_decided": IdentityDecided,
    "market_time_reached": MarketTimeReached,
    "payment_expired": PaymentExpired,
    "payment_settled": PaymentSettled,
    "phase_given_anew": PhaseGivenAnew,
    "phase_passed": PhasePassed,
    "risk_changed": RiskChanged,
    "transfer_changed": TransferChanged,
}
"""Wire name of a signal -> its message. A workflow handles the signal in a method of that name."""

STARTS: Final[Mapping[str, type[Message]]] = {
    "Case": CaseStart,
    "Challenge": ChallengeStart,
    "Chargeback": ChargebackStart,
    "DailyClose": DailyCloseStart,
    "Dispute": DisputeStart,
    "MonitorShard": ShardStart,
    "Payout": PayoutStart,
    "PlatformChange": PlatformChangeStart,
    "Reconciliation": ReconciliationStart,
    "Surveillance": SurveillanceStart,
    "SurveillanceWindows": SurveillanceWindowsStart,
}
"""Wire name of a workflow -> its input."""

_NAMES: Final = {kind: name for table in (SIGNALS, STARTS) for name, kind in table.items()}


def wire_name(message: Message) -> str:
    """Returns the wire name of the signal or workflow that takes this message."""
    return _NAMES[type(message)]


def stored(message: Message) -> dict[str, Any]:
    """Returns the message as JSON for the outbox, without the fields that were not set."""
    return message.model_dump(mode="json", exclude_unset=True)
