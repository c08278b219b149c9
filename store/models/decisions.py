"""Decisions of people, and who asked for them."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, Index, String, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from store.models.base import Base, Json, MarketTime, Recorded


class Decision(Base):
    """A decision of a person: who, what, when, why, on which evidence.

    One per person and subject, except on a payout or a break, where approvals can be taken back, expire, and begin anew
    in a later `round`, on a chargeback, which is answered once a round, and on a hit of a sanctions list, where a vote
    may change. `expires_at`: market time from which
    an approval no longer counts; None: never.
    """

    __tablename__ = "decisions"
    __table_args__ = (
        Index("ix_decisions_subject", "subject_kind", "subject_id"),
        Index("ix_decisions_person", "person_id", "occurred_at"),
        Index(
            "uq_decisions_person",
            "subject_kind",
            "subject_id",
            "person_id",
            unique=True,
            postgresql_where=text("subject_kind NOT IN ('payout', 'sanction_hit', 'break', 'chargeback')"),
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
    round: Mapped[int] = mapped_column(default=1, server_default="1")
    expires_at: Mapped[datetime | None]
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
