"""Payouts, the double-entry ledger, and the entries of payment providers."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Identity,
    Index,
    Numeric,
    SmallInteger,
    String,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from store.crypto import Encrypted
from store.models.base import Base, Id, Json, MarketTime, Minor, Recorded, Updated


def _requested_at(context: Any) -> datetime:
    """Returns when a new payout was requested; from its first step on, the time of its last step."""
    requested: datetime = context.get_current_parameters()["requested_at"]
    return requested


class Payout(Base):
    """One payout request. gross = trader share + firm share. One open payout per account (partial unique index).

    `refund_minor` of the fee is sent with the trader's share. `forfeited_minor` is taken from the account and paid to
    nobody. `cycle` is the chosen payout cycle. `proof_id` is the proof of a refusal. `round` counts the times that
    approvals began anew: after a transfer was refused or came back. `policy_hash`: the firm's policy in force when it
    was last judged. `halted`: why nothing is sent until a person says so. `reopened_at`: when its money came back after
    it had arrived. `steps` counts its steps. `base_minor`: the profit that it comes from; `tainted_minor`: the tainted
    profit that was deducted then; both as of the request, or of the hold once there is one. `conversion`: a
    `domain.exchange.Conversion` of what is sent, for a payout in another currency than the account's; it may change
    until a transfer is begun.
    """

    __tablename__ = "payouts"
    __table_args__ = (
        Index("ix_payouts_updated", "updated_at", "id"),
        Index(
            "uq_payouts_open",
            "account_id",
            unique=True,
            postgresql_where=text("closed_at IS NULL AND reopened_at IS NULL"),
        ),
        Index("ix_payouts_state_trader", "state", "trader_id"),  # counts: row security asks for the trader
        Index("ix_payouts_newest", "recorded_at", "id"),
        Index("ix_payouts_state_newest", "state", "recorded_at", "id"),
        Index("ix_payouts_gross", "gross_minor", "id"),
        Index("ix_payouts_changed", "changed_at", "id"),
        Index("ix_payouts_transfer_id", "transfer_id"),
        Index("ix_payouts_approved_at", "currency", "approved_at"),
        Index("ix_payouts_open", "state", postgresql_where=text("closed_at IS NULL")),
        Index("ix_payouts_closed_at", "closed_at", postgresql_where=text("closed_at IS NOT NULL")),
        UniqueConstraint("rail", "transfer_id"),
    )

    id: Mapped[Id]
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"), index=True)
    challenge_id: Mapped[str] = mapped_column(ForeignKey("challenges.id"), index=True)
    trader_id: Mapped[str] = mapped_column(ForeignKey("traders.id"), index=True)
    requested_by: Mapped[str] = mapped_column(ForeignKey("users.id"))
    state: Mapped[str] = mapped_column(String(24))
    gross_minor: Mapped[Minor]
    trader_minor: Mapped[Minor]
    firm_minor: Mapped[Minor]
    refund_minor: Mapped[Minor] = mapped_column(default=0, server_default="0")
    forfeited_minor: Mapped[Minor] = mapped_column(default=0, server_default="0")
    base_minor: Mapped[int | None] = mapped_column(BigInteger)  # None: older than this column
    tainted_minor: Mapped[Minor] = mapped_column(default=0, server_default="0")
    cycle: Mapped[str | None] = mapped_column(String(31))
    currency: Mapped[str] = mapped_column(String(4))
    beneficiary: Mapped[str] = mapped_column(Encrypted("payouts.beneficiary"))
    terms_digest: Mapped[str] = mapped_column(String(64))  # over amount, currency, beneficiary and rule version
    approvers_needed: Mapped[int]
    round: Mapped[int] = mapped_column(default=1, server_default="1")
    policy_hash: Mapped[str | None] = mapped_column(String(64))
    beneficiary_id: Mapped[str | None] = mapped_column(ForeignKey("beneficiaries.id"))  # None: older than these rows
    conversion: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    checks: Mapped[Json]  # the checks shown to people: name -> {"ok", "words"}
    requested_at: Mapped[MarketTime]
    decide_by: Mapped[datetime | None]
    approved_at: Mapped[datetime | None]  # when its approvals were last complete
    escalated_at: Mapped[datetime | None]  # when it was raised to the role above
    rail: Mapped[str] = mapped_column(String(40), server_default="sandbox")  # sends the next attempt, or sent the last
    transfer_id: Mapped[str | None] = mapped_column(String(80))  # the rail's id of the last attempt that it took
    halted: Mapped[str | None]
    reason: Mapped[str | None]  # why it is held or how it ended, for staff
    told: Mapped[str | None]  # the same for the trader
    proof_id: Mapped[str | None] = mapped_column(ForeignKey("proofs.id"))
    was_held: Mapped[bool] = mapped_column(default=False)  # a surveillance case has held it at some time
    steps: Mapped[int] = mapped_column(default=0, server_default="0")
    changed_at: Mapped[MarketTime] = mapped_column(default=_requested_at, server_default=func.clock_timestamp())
    closed_at: Mapped[datetime | None]
    reopened_at: Mapped[datetime | None]
    recorded_at: Mapped[Recorded]
    updated_at: Mapped[Updated]


class PayoutReading(Base):
    """Surveillance has judged all trades up to deal `read_to` for a payout, whose profit came from this window.
    `patterns`: name -> version and that of its thresholds; `cannot_judge`: name -> the fact that it lacked."""

    __tablename__ = "payout_readings"

    payout_id: Mapped[str] = mapped_column(ForeignKey("payouts.id"), primary_key=True)
    read_to: Mapped[int] = mapped_column(BigInteger)
    window_from: Mapped[MarketTime]
    window_to: Mapped[MarketTime]
    patterns: Mapped[Json]
    cannot_judge: Mapped[Json]
    recorded_at: Mapped[Recorded]


class PayoutTransfer(Base):
    """An attempt to send a payout; `domain.payouts.transfer` explains `state`. Its id is its key at the rail.

    `terms_digest`: the terms that were approved, as in the payout. `beneficiary_digest`: keyed; None for an attempt
    that is older than these rows. `tries`: calls to send it. `failures`: tries without an answer in a row, the first
    one at `failing_since`. `busy_until`: until then a call to send it may be under way. The last two are wall times.
    `conversion`: the exchange that gave its amount, with the rate; it never changes. None: no exchange was needed.
    """

    __tablename__ = "payout_transfers"
    __table_args__ = (UniqueConstraint("payout_id", "number"), UniqueConstraint("rail", "provider_id"))

    id: Mapped[str] = mapped_column(String(48), primary_key=True)
    payout_id: Mapped[str] = mapped_column(ForeignKey("payouts.id"))
    number: Mapped[int]
    rail: Mapped[str] = mapped_column(String(40))
    state: Mapped[str] = mapped_column(String(16))
    provider_id: Mapped[str | None] = mapped_column(String(80))
    amount_minor: Mapped[Minor]
    currency: Mapped[str] = mapped_column(String(4))
    terms_digest: Mapped[str] = mapped_column(String(64))
    beneficiary_digest: Mapped[str | None] = mapped_column(String(64))
    conversion: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    why: Mapped[str | None]  # the rail's words for the last failure
    tries: Mapped[int] = mapped_column(default=0, server_default="0")
    failures: Mapped[int] = mapped_column(default=0, server_default="0")
    failing_since: Mapped[datetime | None]
    busy_until: Mapped[datetime | None]
    declared_at: Mapped[MarketTime]
    changed_at: Mapped[MarketTime]
    recorded_at: Mapped[Recorded]


class PayoutPolicyRow(Base):
    """The firm's payout policies, oldest first; the last one is in force. Append-only."""

    __tablename__ = "payout_policies"

    number: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    content_hash: Mapped[str] = mapped_column(String(64))
    body: Mapped[Json]
    recorded_at: Mapped[Recorded]


class ExchangeRate(Base):
    """Rates that the firm has imported: one unit of `sold` buys `price` of `bought`. Append-only."""

    __tablename__ = "exchange_rates"
    __table_args__ = (
        UniqueConstraint("sold", "bought", "source", "quoted_at"),
        CheckConstraint("price > 0 AND sold <> bought", name="is_a_rate"),
    )

    number: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    sold: Mapped[str] = mapped_column(String(4), ForeignKey("currencies.code"))
    bought: Mapped[str] = mapped_column(String(4), ForeignKey("currencies.code"))
    price: Mapped[Decimal] = mapped_column(Numeric)
    source: Mapped[str] = mapped_column(String(80))
    quoted_at: Mapped[MarketTime] = mapped_column(index=True)
    recorded_at: Mapped[Recorded]


class LedgerAccountRow(Base):
    """An account of the books, from domain/chart.py. The database opens those of a new connection itself."""

    __tablename__ = "ledger_accounts"

    name: Mapped[str] = mapped_column(String(80), primary_key=True)
    type: Mapped[str] = mapped_column(String(12))
    normal: Mapped[str] = mapped_column(String(6))
    title: Mapped[str]
    per_connection: Mapped[bool] = mapped_column(default=False, server_default="false")


class LedgerTransaction(Base):
    """A ledger transaction; append-only. Its key may be posted again with the same input only.

    `lines`: how many postings it has; they come in one statement. None: it was posted by a version before 0021.
    """

    __tablename__ = "ledger_transactions"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    key: Mapped[str] = mapped_column(String(120), unique=True)
    input_digest: Mapped[str] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(String(32))
    reference: Mapped[str] = mapped_column(String(32), index=True)
    reverses: Mapped[int | None] = mapped_column(ForeignKey("ledger_transactions.id"), unique=True)
    lines: Mapped[int | None] = mapped_column(SmallInteger)
    evidence: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    occurred_at: Mapped[MarketTime] = mapped_column(index=True)
    recorded_at: Mapped[Recorded]


class Posting(Base):
    """One line of a transaction, debit positive. Each transaction sums to 0 per currency and layer. Pending lines are
    reserves; they have a balance apart from the posted ones."""

    __tablename__ = "postings"
    __table_args__ = (
        Index("ix_postings_account", "account", "currency", "layer", "id"),
        Index("ix_postings_updated", "updated_at", "id"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    transaction_id: Mapped[int] = mapped_column(ForeignKey("ledger_transactions.id"), index=True)
    account: Mapped[str] = mapped_column(String(80), ForeignKey("ledger_accounts.name"))
    currency: Mapped[str] = mapped_column(String(4), ForeignKey("currencies.code"))
    amount_minor: Mapped[Minor]
    layer: Mapped[str] = mapped_column(String(8), default="posted", server_default="posted")
    updated_at: Mapped[Updated]


class LedgerBalance(Base):
    """The kept balance of an account, as the sum over its slots. Only the database writes it, in the transaction that
    posts: two that post at once take different slots, so neither waits for the other."""

    __tablename__ = "ledger_balances"

    account: Mapped[str] = mapped_column(String(80), ForeignKey("ledger_accounts.name"), primary_key=True)
    currency: Mapped[str] = mapped_column(String(4), ForeignKey("currencies.code"), primary_key=True)
    slot: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    debit_minor: Mapped[Minor]
    credit_minor: Mapped[Minor]
    pending_minor: Mapped[Minor]


class LedgerPeriod(Base):
    """A sealed period of the books: nothing is posted into it any more. `hash` covers its entries, its closing balances
    and the hash of the period before."""

    __tablename__ = "ledger_periods"

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    starts_at: Mapped[MarketTime | None]
    ends_at: Mapped[MarketTime] = mapped_column(unique=True)
    entries: Mapped[int] = mapped_column(BigInteger)
    entries_hash: Mapped[str] = mapped_column(String(64))
    balances: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    hash: Mapped[str] = mapped_column(String(64))
    sealed_by: Mapped[str] = mapped_column(String(80))
    sealed_at: Mapped[Recorded]


class ProviderEntryRow(Base):
    """A movement of money at a provider. It is reconciled when it has a ledger transaction.

    `reference`: as the provider has it; `subject`: the challenge or payout that it names. `seen_at`: the market time of
    reading it. `hinted`: whoever books such movements was told of it.
    """

    __tablename__ = "provider_entries"
    __table_args__ = (
        Index("ix_provider_entries_newest", "provider", "position"),
        Index(
            "ix_provider_entries_waiting",
            "provider",
            "position",
            postgresql_where=text("transaction_id IS NULL AND amount_minor <> 0"),
        ),
    )

    provider: Mapped[str] = mapped_column(String(40), primary_key=True)
    entry_id: Mapped[str] = mapped_column(String(80), primary_key=True)
    position: Mapped[int] = mapped_column(BigInteger, Identity(), unique=True)
    kind: Mapped[str] = mapped_column(String(20))
    object_id: Mapped[str] = mapped_column(String(80))
    reference: Mapped[str] = mapped_column(String(40), index=True)
    subject: Mapped[str] = mapped_column(String(40), index=True)
    amount_minor: Mapped[Minor]
    currency: Mapped[str] = mapped_column(String(4))
    at: Mapped[MarketTime]
    seen_at: Mapped[MarketTime]
    hinted: Mapped[bool] = mapped_column(default=False, server_default="false")
    transaction_id: Mapped[int | None] = mapped_column(ForeignKey("ledger_transactions.id"), unique=True)
    recorded_at: Mapped[Recorded]


class Chargeback(Base):
    """A chargeback as the acquirer last told of it.

    `taken_minor`, `lost_minor`, `booked_fee_minor`: what the books have of it: taken and not given back, written off,
    and the acquirer's fee. `entries` counts its ledger entries, `looks` the times that it was read. `round`: how often
    the firm was asked, which answers once in each.
    """

    __tablename__ = "chargebacks"
    __table_args__ = (UniqueConstraint("acquirer", "provider_id"),)

    id: Mapped[Id]
    challenge_id: Mapped[str] = mapped_column(ForeignKey("challenges.id"), index=True)
    trader_id: Mapped[str] = mapped_column(ForeignKey("traders.id"), index=True)
    acquirer: Mapped[str] = mapped_column(String(40))
    provider_id: Mapped[str] = mapped_column(String(120))
    state: Mapped[str] = mapped_column(String(24), index=True)
    reason: Mapped[str] = mapped_column(String(200), default="", server_default="")
    amount_minor: Mapped[Minor] = mapped_column(default=0, server_default="0")
    currency: Mapped[str] = mapped_column(String(4), default="", server_default="")
    fee_minor: Mapped[Minor] = mapped_column(default=0, server_default="0")
    withdrawn: Mapped[bool] = mapped_column(default=False, server_default="false")
    taken_minor: Mapped[Minor] = mapped_column(default=0, server_default="0")
    lost_minor: Mapped[Minor] = mapped_column(default=0, server_default="0")
    booked_fee_minor: Mapped[Minor] = mapped_column(default=0, server_default="0")
    entries: Mapped[int] = mapped_column(default=0, server_default="0")
    looks: Mapped[int] = mapped_column(default=0, server_default="0")
    round: Mapped[int] = mapped_column(default=1, server_default="1")
    evidence_due_at: Mapped[datetime | None]
    opened_at: Mapped[MarketTime]
    closed_at: Mapped[datetime | None]
    recorded_at: Mapped[Recorded]


class Suspension(Base):
    """A time in which the accounts of a challenge may not trade: a payment for it is charged back, or a person has
    frozen them. `ended_at` is None while it lasts."""

    __tablename__ = "suspensions"
    __table_args__ = (CheckConstraint("(chargeback_id IS NULL) <> (freeze_id IS NULL)", name="cause"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    challenge_id: Mapped[str] = mapped_column(ForeignKey("challenges.id"), index=True)
    chargeback_id: Mapped[str | None] = mapped_column(ForeignKey("chargebacks.id"), index=True)
    freeze_id: Mapped[str | None] = mapped_column(ForeignKey("account_freezes.id"), index=True)
    began_at: Mapped[MarketTime]
    ended_at: Mapped[datetime | None]
    recorded_at: Mapped[Recorded]


class RefundRow(Base):
    """A refund of (a part of) a fee, as the acquirer last told of it. `key`: ours; "" when it was made at the
    acquirer's own desk. `booked_minor`: what the books have of it."""

    __tablename__ = "refunds"

    acquirer: Mapped[str] = mapped_column(String(40), primary_key=True)
    refund_id: Mapped[str] = mapped_column(String(120), primary_key=True)
    challenge_id: Mapped[str] = mapped_column(ForeignKey("challenges.id"), index=True)
    key: Mapped[str] = mapped_column(String(120), default="", server_default="")
    state: Mapped[str] = mapped_column(String(16))  # pending | succeeded | failed
    amount_minor: Mapped[Minor]
    currency: Mapped[str] = mapped_column(String(4))
    failure: Mapped[str | None] = mapped_column(String(400))
    booked_minor: Mapped[Minor] = mapped_column(default=0, server_default="0")
    seen_at: Mapped[MarketTime]
    recorded_at: Mapped[Recorded]
