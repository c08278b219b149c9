"""Payouts, the double-entry ledger, and the entries of payment providers."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from store.crypto import Encrypted
from store.models.base import Base, Id, Json, MarketTime, Minor, Recorded


class Payout(Base):
    """One payout request. gross = trader share + firm share. One open payout per account (partial unique index).

    `refund_minor` of the fee is sent with the trader's share. `forfeited_minor` is taken from the account and paid to
    nobody. `cycle` is the chosen payout cycle. `proof_id` is the proof of a refusal.
    """

    __tablename__ = "payouts"
    __table_args__ = (
        Index("uq_payouts_open", "account_id", unique=True, postgresql_where=text("closed_at IS NULL")),
        Index("ix_payouts_state", "state"),
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
    cycle: Mapped[str | None] = mapped_column(String(31))
    currency: Mapped[str] = mapped_column(String(4))
    beneficiary: Mapped[str] = mapped_column(Encrypted("payouts.beneficiary"))
    terms_digest: Mapped[str] = mapped_column(String(64))  # over amount, currency, beneficiary and rule version
    approvers_needed: Mapped[int]
    checks: Mapped[Json]  # the checks shown to people: name -> {"ok", "words"}
    requested_at: Mapped[MarketTime]
    decide_by: Mapped[datetime | None]
    rail: Mapped[str] = mapped_column(String(40), server_default="sandbox")  # the provider that sends the money
    transfer_id: Mapped[str | None] = mapped_column(String(80))
    reason: Mapped[str | None]  # why it is held or how it ended, for staff
    told: Mapped[str | None]  # the same for the trader
    proof_id: Mapped[str | None] = mapped_column(ForeignKey("proofs.id"))
    was_held: Mapped[bool] = mapped_column(default=False)  # a surveillance case has held it at some time
    closed_at: Mapped[datetime | None]
    recorded_at: Mapped[Recorded]


class LedgerTransaction(Base):
    """A ledger transaction; append-only. Its key may be posted again with the same input only."""

    __tablename__ = "ledger_transactions"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    key: Mapped[str] = mapped_column(String(120), unique=True)
    input_digest: Mapped[str] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(String(32))
    reference: Mapped[str] = mapped_column(String(32), index=True)
    reverses: Mapped[int | None] = mapped_column(ForeignKey("ledger_transactions.id"), unique=True)
    occurred_at: Mapped[MarketTime]
    recorded_at: Mapped[Recorded]


class Posting(Base):
    """One line of a transaction, debit positive. A deferred constraint makes each transaction sum to 0 per currency."""

    __tablename__ = "postings"
    __table_args__ = (Index("ix_postings_account", "account", "currency"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    transaction_id: Mapped[int] = mapped_column(ForeignKey("ledger_transactions.id"), index=True)
    account: Mapped[str] = mapped_column(String(80))
    currency: Mapped[str] = mapped_column(String(4))
    amount_minor: Mapped[Minor]


class ProviderEntryRow(Base):
    """A movement of money at a provider. It is reconciled when it has a ledger transaction."""

    __tablename__ = "provider_entries"

    provider: Mapped[str] = mapped_column(String(40), primary_key=True)
    entry_id: Mapped[str] = mapped_column(String(80), primary_key=True)
    position: Mapped[int] = mapped_column(BigInteger, Identity(), unique=True)
    kind: Mapped[str] = mapped_column(String(20))
    object_id: Mapped[str] = mapped_column(String(80))
    reference: Mapped[str] = mapped_column(String(40), index=True)
    amount_minor: Mapped[Minor]
    currency: Mapped[str] = mapped_column(String(4))
    at: Mapped[MarketTime]
    transaction_id: Mapped[int | None] = mapped_column(ForeignKey("ledger_transactions.id"), unique=True)
    recorded_at: Mapped[Recorded]
