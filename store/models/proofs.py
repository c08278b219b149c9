"""Proof sheets, and the breaches that they prove."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from store.models.base import Base, Id, Json, MarketTime, Minor, Recorded, Updated


class Proof(Base):
    """A proof sheet. `body` holds everything needed to recompute it."""

    __tablename__ = "proofs"

    id: Mapped[Id]
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"), index=True)
    kind: Mapped[str] = mapped_column(String(16))  # breach | pass | violation | gate | payout_refusal
    digest: Mapped[str] = mapped_column(String(64))
    body: Mapped[Json]
    recorded_at: Mapped[Recorded]


class Breach(Base):
    """A breach that ended a phase. Unique per account, phase, rule and offence, so judging twice is harmless."""

    __tablename__ = "breaches"
    __table_args__ = (
        Index("ix_breaches_updated", "updated_at", "id"),
        UniqueConstraint("account_id", "phase_index", "rule_id", "offence"),
        Index("ix_breaches_newest", "occurred_at", "id"),
        Index("ix_breaches_locked_at", "locked_at", postgresql_where=text("locked_at IS NOT NULL")),
    )

    id: Mapped[Id]
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"))
    challenge_id: Mapped[str] = mapped_column(ForeignKey("challenges.id"), index=True)
    phase_index: Mapped[int]
    rule_id: Mapped[str] = mapped_column(String(41))
    offence: Mapped[int]
    proof_id: Mapped[str] = mapped_column(ForeignKey("proofs.id"))
    seq: Mapped[int] = mapped_column(BigInteger)
    occurred_at: Mapped[MarketTime]
    floor_minor: Mapped[Minor | None]  # only for limits on balance or equity
    equity_minor: Mapped[Minor]
    status: Mapped[str] = mapped_column(String(12), default="confirmed")  # confirmed | overturned
    epoch: Mapped[int] = mapped_column(BigInteger)
    received_at: Mapped[MarketTime]  # wall time at which the deciding event arrived
    recorded_at: Mapped[Recorded]
    locked_at: Mapped[datetime | None]  # wall time
    updated_at: Mapped[Updated]
