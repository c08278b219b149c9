"""What people do about one account: they freeze it, and they write notes about it."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, text
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
