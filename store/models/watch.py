"""Warnings to traders, and corrections by venues."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from store.models.base import Base, Json, MarketTime, Recorded


class WarningRow(Base):
    """A warning to a trader, once per account, kind, rule and `period`.

    `period` is the trading day for a limit that resets, else the phase. `figures` are exact, in minor units.
    """

    __tablename__ = "warnings"
    __table_args__ = (
        UniqueConstraint("account_id", "kind", "rule_id", "period"),
        Index("ix_warnings_account_at", "account_id", "at"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"))
    kind: Mapped[str] = mapped_column(String(24))  # limit_used | reset_would_breach | payout_leaves_no_room
    rule_id: Mapped[str] = mapped_column(String(44))
    period: Mapped[str] = mapped_column(String(40))
    at: Mapped[MarketTime]
    figures: Mapped[Json]
    recorded_at: Mapped[Recorded]


class CorrectionRow(Base):
    """A venue's correction or cancellation of its event `corrects_seq`.

    `handled_at` (wall time) is set when every verdict based on that event has its case.
    """

    __tablename__ = "corrections"
    __table_args__ = (
        Index("ix_corrections_waiting", "id", postgresql_where=text("handled_at IS NULL")),
        UniqueConstraint("feed", "seq"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    feed: Mapped[str] = mapped_column(String(40))
    seq: Mapped[int] = mapped_column(BigInteger)
    corrects_seq: Mapped[int] = mapped_column(BigInteger)
    at: Mapped[MarketTime]
    body: Mapped[Json]
    handled_at: Mapped[datetime | None]
    recorded_at: Mapped[Recorded]
