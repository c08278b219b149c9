"""What API, relay, workflows and activities say to each other. Small: large things are rows, referenced by id.

Signals are facts and past tense; updates are decisions by people, imperative, with a validator. Every message
has a `key`: the business key that makes receiving it twice the same as once.
"""

from datetime import datetime

from pydantic import BaseModel, ConfigDict

from domain.approvals import Actor


class Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ChallengeStart(Message):
    """Input of workflow `Challenge`. The carried fields are set by continue-as-new, and by a restart from the record."""

    challenge_id: str
    state: str = "awaiting_payment"
    phase_index: int = 0
    seen: tuple[str, ...] = ()


class PaymentSettled(Message):
    """Signal `payment_settled`; also `payment_expired`, `chargeback_received` and `fee_refunded`."""

    key: str
    checkout_id: str


class BreachDetected(Message):
    """Signal `breach_detected`, from the monitor's outbox row."""

    key: str
    breach_id: str
    account_id: str
    occurred_at: datetime


class PhasePassed(Message):
    """Signal `phase_passed`."""

    key: str
    pass_id: str
    account_id: str
    occurred_at: datetime


class IdentityDecided(Message):
    """Signal `identity_decided`."""

    key: str
    verified: bool


class BreachOverturned(Message):
    """Signal `breach_overturned`, from a dispute that ended in reinstatement."""

    key: str
    dispute_id: str
    breach_id: str


class ClosedByFirm(Message):
    """Signal `closed_by_firm`, from a confirmed case."""

    key: str
    case_id: str


class MarketTimeReached(Message):
    """Signal `market_time_reached`: the wake-up was due; the receiver asks the core for market time itself."""

    key: str


class RefundRequest(Message):
    """Update `refund` of workflow `Challenge`: before the first trade only."""

    key: str
    actor: Actor
    reason: str


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


class TransferChanged(Message):
    """Signal `transfer_changed` of workflow `Payout`: fetch the transfer and see."""

    key: str
    transfer_id: str


class RiskChanged(Message):
    """Signal `risk_changed` of workflow `Payout`: a case, dispute or identity changed; check again."""

    key: str


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
