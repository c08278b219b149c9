"""What traders were warned of, and what venues took back."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from store.models.base import Base, Json, Market, Recorded


class WarningRow(Base):
    """Told to the trader once per account, kind, rule and `period`: the trading day of a limit that resets, else the
    phase. `figures` are the exact ones of that moment, in minor units."""

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
    at: Mapped[Market]
    figures: Mapped[Json]
    recorded_at: Mapped[Recorded]


class CorrectionRow(Base):
    """The venue corrected or cancelled what it had said in event `corrects_seq`; `handled_at` (wall) once every verdict
    that rests on it has its case."""

    __tablename__ = "corrections"
    __table_args__ = (
        Index("ix_corrections_waiting", "id", postgresql_where=text("handled_at IS NULL")),
        UniqueConstraint("feed", "seq"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    feed: Mapped[str] = mapped_column(String(40))
    seq: Mapped[int] = mapped_column(BigInteger)
    corrects_seq: Mapped[int] = mapped_column(BigInteger)
    at: Mapped[Market]
    body: Mapped[Json]
    handled_at: Mapped[datetime | None]
    recorded_at: Mapped[Recorded]
