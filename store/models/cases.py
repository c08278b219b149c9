"""Surveillance, disputes, tickets, and decisions of people."""

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
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from store.crypto import Encrypted
from store.models.base import Base, Id, Json, MarketTime, Recorded


class Alert(Base):
    """A finding of a detector: score 0..1, a sentence, the deals as evidence. The unique `key` prevents duplicates."""

    __tablename__ = "alerts"

    id: Mapped[Id]
    key: Mapped[str] = mapped_column(String(160), unique=True)
    detector: Mapped[str] = mapped_column(String(40))
    score: Mapped[Decimal] = mapped_column(Numeric(6, 4))
    sentence: Mapped[str]
    evidence: Mapped[Json]
    occurred_at: Mapped[MarketTime]
    recorded_at: Mapped[Recorded]


class Case(Base):
    """An alert under review by a person. While open, it holds the payouts of every account it names."""

    __tablename__ = "cases"

    id: Mapped[Id]
    alert_id: Mapped[str] = mapped_column(ForeignKey("alerts.id"), unique=True)
    state: Mapped[str] = mapped_column(String(24), index=True)
    opened_at: Mapped[MarketTime]
    closed_at: Mapped[datetime | None]
    recorded_at: Mapped[Recorded]


class CaseAccount(Base):
    __tablename__ = "case_accounts"

    case_id: Mapped[str] = mapped_column(ForeignKey("cases.id"), primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"), primary_key=True, index=True)


class SurveillanceCursor(Base):
    """The last deal a detector has read. Changes in the same transaction as its alerts."""

    __tablename__ = "surveillance_cursors"

    detector: Mapped[str] = mapped_column(String(40), primary_key=True)
    last_deal: Mapped[int] = mapped_column(BigInteger, default=0)


class Dispute(Base):
    __tablename__ = "disputes"

    id: Mapped[Id]
    breach_id: Mapped[str] = mapped_column(ForeignKey("breaches.id"), unique=True)
    challenge_id: Mapped[str] = mapped_column(ForeignKey("challenges.id"), index=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"), index=True)
    trader_id: Mapped[str] = mapped_column(ForeignKey("traders.id"), index=True)
    state: Mapped[str] = mapped_column(String(24), index=True)
    statement: Mapped[str] = mapped_column(Encrypted("disputes.statement"))
    evidence: Mapped[Json]
    opened_at: Mapped[MarketTime]
    closed_at: Mapped[datetime | None]
    recorded_at: Mapped[Recorded]


class Decision(Base):
    """A decision of a person: who, what, when, why, on which evidence.

    One per person and subject. On a payout one of each kind, because an approver may still stop it.
    """

    __tablename__ = "decisions"
    __table_args__ = (
        UniqueConstraint("subject_kind", "subject_id", "person_id", "decision"),
        Index(
            "uq_decisions_person",
            "subject_kind",
            "subject_id",
            "person_id",
            unique=True,
            postgresql_where=text("subject_kind <> 'payout'"),
        ),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    subject_kind: Mapped[str] = mapped_column(String(16))  # payout | dispute | case | product_version | account_move
    subject_id: Mapped[str] = mapped_column(String(32), index=True)
    decision: Mapped[str] = mapped_column(String(16))
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    person_id: Mapped[str] = mapped_column(String(64))
    role: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str]
    subject_digest: Mapped[str] = mapped_column(String(64))  # of the terms that were decided on
    evidence: Mapped[Json]
    occurred_at: Mapped[MarketTime]
    recorded_at: Mapped[Recorded]


class DecisionRequestRow(Base):
    """A person's request for a decision. Wall times.

    Committed before the workflow is called; consumed once, by the activity that decides. `digest` covers the reason and
    the subject at the time of the request. `outcome` is `taken` or the type of the refusal, `answer` the reply to the
    person; both are empty until the decision is made.
    """

    __tablename__ = "decision_requests"
    __table_args__ = (
        CheckConstraint("outcome IS NULL OR consumed_at IS NOT NULL", name="consumed_first"),
        Index("ix_decision_requests_subject", "subject_kind", "subject_id"),
    )

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    subject_kind: Mapped[str] = mapped_column(String(16))  # payout | dispute | case | challenge
    subject_id: Mapped[str] = mapped_column(String(32))
    verb: Mapped[str] = mapped_column(String(24))
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    digest: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[Recorded]
    expires_at: Mapped[datetime]
    consumed_at: Mapped[datetime | None]
    outcome: Mapped[str | None] = mapped_column(String(40))
    answer: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))


class Ticket(Base):
    __tablename__ = "tickets"

    id: Mapped[Id]
    trader_id: Mapped[str] = mapped_column(ForeignKey("traders.id"), index=True)
    account_id: Mapped[str | None] = mapped_column(ForeignKey("accounts.id"), index=True)
    payout_id: Mapped[str | None] = mapped_column(ForeignKey("payouts.id"))
    subject: Mapped[str] = mapped_column(Encrypted("tickets.subject"))
    state: Mapped[str] = mapped_column(String(24), index=True)
    opened_at: Mapped[MarketTime]
    changed_at: Mapped[MarketTime]
    recorded_at: Mapped[Recorded]


class TicketMessage(Base):
    __tablename__ = "ticket_messages"
    __table_args__ = (Index("ix_ticket_messages_ticket", "ticket_id", "id"),)

    id: Mapped[Id]
    ticket_id: Mapped[str] = mapped_column(ForeignKey("tickets.id"))
    author_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    body: Mapped[str] = mapped_column(Encrypted("ticket_messages.body"))
    occurred_at: Mapped[MarketTime]
    recorded_at: Mapped[Recorded]
