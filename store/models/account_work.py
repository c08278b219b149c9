"""What people do about one account: they freeze it, write notes about it, and adjust, close or reset it."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from store.models.base import Base, Id, MarketTime, Recorded


class AccountFreeze(Base):
    """A time in which the accounts of a challenge may not trade because a person has frozen them. `ended_at` is None
    while it lasts. `account_id`: the account that it began with. Reasons as in `store/reasons.py`."""

    __tablename__ = "account_freezes"
    __table_args__ = (
        Index("ux_account_freezes_lasting", "challenge_id", unique=True, postgresql_where=text("ended_at IS NULL")),
    )

    id: Mapped[Id]
    challenge_id: Mapped[str] = mapped_column(ForeignKey("challenges.id"))
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"), index=True)
    reason: Mapped[str] = mapped_column(String(400))
    frozen_by: Mapped[str] = mapped_column(ForeignKey("users.id"))
    began_at: Mapped[MarketTime]
    thaw_reason: Mapped[str | None] = mapped_column(String(400))
    thawed_by: Mapped[str | None] = mapped_column(ForeignKey("users.id"))
    ended_at: Mapped[datetime | None]
    recorded_at: Mapped[Recorded]


class AccountNote(Base):
    """What a person noted about an account, for staff. `body` as in `store/reasons.py`. A row never changes."""

    __tablename__ = "account_notes"
    __table_args__ = (Index("ix_account_notes_account", "account_id", "id"),)

    id: Mapped[Id]
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"))
    author_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    body: Mapped[str] = mapped_column(String(400))
    occurred_at: Mapped[MarketTime]
    recorded_at: Mapped[Recorded]


class Intervention(Base):
    """An adjustment, closing or free reset of an account: `kind` and `state` as in `domain/interventions.py`.
    `change_minor`: what an adjustment adds to the balance, negative for what it takes; None for the other kinds.
    `reason`, for staff, and `message`, for the trader, as in `store/reasons.py`."""

    __tablename__ = "interventions"
    __table_args__ = (
        CheckConstraint("(kind = 'adjust') = (change_minor IS NOT NULL)", name="change"),
        Index(
            "ux_interventions_open",
            "account_id",
            unique=True,
            postgresql_where=text("state IN ('proposed', 'approved')"),
        ),
    )

    id: Mapped[Id]
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"), index=True)
    challenge_id: Mapped[str] = mapped_column(ForeignKey("challenges.id"), index=True)
    trader_id: Mapped[str] = mapped_column(ForeignKey("traders.id"))
    kind: Mapped[str] = mapped_column(String(16))
    change_minor: Mapped[int | None] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(String(4))
    reason: Mapped[str] = mapped_column(String(400))
    message: Mapped[str] = mapped_column(String(400))
    state: Mapped[str] = mapped_column(String(16))
    proposed_by: Mapped[str] = mapped_column(ForeignKey("users.id"))
    proposed_at: Mapped[MarketTime]
    closed_at: Mapped[datetime | None]
    recorded_at: Mapped[Recorded]
