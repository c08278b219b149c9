"""Disputes, what is paid back after them, and the words of both."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, Index, SmallInteger, String, text
from sqlalchemy.orm import Mapped, mapped_column

from store.crypto import Encrypted
from store.models.base import Base, Id, Json, MarketTime, Minor, Recorded


class Dispute(Base):
    """A trader disputes a breach, or appeals against what the firm did about a surveillance case.

    `instance`: 1, or 2 for the appeal against an upheld dispute, which other people decide. `decide_by`: market time by
    which it is to be decided; `escalated_at`: when that passed and it was raised to admin. `message`: what the trader
    was told about the decision.
    """

    __tablename__ = "disputes"
    __table_args__ = (
        CheckConstraint("(breach_id IS NULL) <> (case_id IS NULL)", name="about"),
        CheckConstraint("instance IN (1, 2)", name="instances"),
        Index("uq_disputes_case", "case_id", "trader_id", unique=True),
        Index("uq_disputes_breach_instance", "breach_id", "instance", unique=True),
    )

    id: Mapped[Id]
    breach_id: Mapped[str | None] = mapped_column(ForeignKey("breaches.id"))
    case_id: Mapped[str | None] = mapped_column(ForeignKey("cases.id"))
    challenge_id: Mapped[str] = mapped_column(ForeignKey("challenges.id"), index=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"), index=True)
    trader_id: Mapped[str] = mapped_column(ForeignKey("traders.id"), index=True)
    state: Mapped[str] = mapped_column(String(24), index=True)
    statement: Mapped[str] = mapped_column(Encrypted("disputes.statement"))
    evidence: Mapped[Json]
    instance: Mapped[int] = mapped_column(SmallInteger, default=1, server_default="1")
    decide_by: Mapped[datetime | None]
    escalated_at: Mapped[datetime | None]
    message: Mapped[str | None] = mapped_column(Encrypted("disputes.message"))
    opened_at: Mapped[MarketTime]
    closed_at: Mapped[datetime | None]
    recorded_at: Mapped[Recorded]


class DisputeWords(Base):
    """What a person wrote with a decision about a dispute: the `message` for the trader, empty for none. `reason`: that
    of earlier versions, which no trader reads; the decision has a keyed digest of it that no row of `sealed_reasons`
    has. Only the key that the texts are under changes."""

    __tablename__ = "dispute_words"

    decision_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("decisions.id"), primary_key=True)
    dispute_id: Mapped[str] = mapped_column(ForeignKey("disputes.id"), index=True)
    trader_id: Mapped[str] = mapped_column(ForeignKey("traders.id"))
    reason: Mapped[str] = mapped_column(Encrypted("dispute_words.reason"))
    message: Mapped[str] = mapped_column(Encrypted("dispute_words.message"))
    recorded_at: Mapped[Recorded]


class DisputePack(Base):
    """The evidence of a dispute, frozen before anybody decides. `files`: JSON, name -> text. `digest`: of the manifest,
    which has the hash of every file. Only the key that the files are under changes."""

    __tablename__ = "dispute_packs"

    dispute_id: Mapped[str] = mapped_column(ForeignKey("disputes.id"), primary_key=True)
    trader_id: Mapped[str] = mapped_column(ForeignKey("traders.id"))
    digest: Mapped[str] = mapped_column(String(64))
    files: Mapped[str] = mapped_column(Encrypted("dispute_packs.files"))
    recorded_at: Mapped[Recorded]


class Compensation(Base):
    """A voucher that the firm grants in a dispute. `state`: proposed, granted, rejected or used. `reason` is for the
    firm, `message` for the trader. `coupon`: the code of the voucher once it is granted; `used_in`: the challenge whose
    price it lowered."""

    __tablename__ = "compensations"
    __table_args__ = (
        CheckConstraint("amount_minor > 0", name="amount"),
        Index(
            "uq_compensations_open",
            "dispute_id",
            unique=True,
            postgresql_where=text("state IN ('proposed', 'granted', 'used')"),
        ),
        Index("ix_compensations_coupon", "coupon", unique=True),
    )

    id: Mapped[Id]
    dispute_id: Mapped[str] = mapped_column(ForeignKey("disputes.id"), index=True)
    trader_id: Mapped[str] = mapped_column(ForeignKey("traders.id"))
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"))
    amount_minor: Mapped[Minor]
    currency: Mapped[str] = mapped_column(String(4))
    state: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str] = mapped_column(Encrypted("compensations.reason"))
    message: Mapped[str] = mapped_column(Encrypted("compensations.message"))
    coupon: Mapped[str | None] = mapped_column(ForeignKey("coupons.code"))
    used_in: Mapped[str | None] = mapped_column(ForeignKey("challenges.id"))
    proposed_by: Mapped[str] = mapped_column(ForeignKey("users.id"))
    proposed_at: Mapped[MarketTime]
    closed_at: Mapped[datetime | None]
    recorded_at: Mapped[Recorded]


class DisputePolicyRow(Base):
    """A version of the firm's policy of disputes. The newest is in force. Append only."""

    __tablename__ = "dispute_policies"

    number: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    content_hash: Mapped[str] = mapped_column(String(64))
    body: Mapped[Json]
    recorded_at: Mapped[Recorded]
