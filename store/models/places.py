"""Accounts that change their platform: the changes, and the places that an account has had."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from store.models.base import Base, Id, MarketTime, Minor, Recorded


class PlatformChange(Base):
    """An account goes from one platform to another in the middle of its phase; see `domain.platform_changes`.

    `from_seq`: number of the last event at the old platform that must be judged before the account leaves. `to_seq`:
    number at the new platform up to which its events are the opening and the first deposit. `why`: it was abandoned.
    """

    __tablename__ = "platform_changes"
    __table_args__ = (
        Index(
            "uq_platform_changes_unfinished",
            "account_id",
            unique=True,
            postgresql_where=text("state NOT IN ('rejected', 'withdrawn', 'abandoned', 'done')"),
        ),
        Index("ix_platform_changes_state", "state"),
    )

    id: Mapped[Id]
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"), index=True)
    challenge_id: Mapped[str] = mapped_column(ForeignKey("challenges.id"))
    from_platform: Mapped[str] = mapped_column(String(40))
    from_login: Mapped[int] = mapped_column(BigInteger)
    to_platform: Mapped[str] = mapped_column(String(40))
    close_positions: Mapped[bool]
    reason: Mapped[str]
    state: Mapped[str] = mapped_column(String(24))
    proposed_by: Mapped[str] = mapped_column(ForeignKey("users.id"))
    proposed_at: Mapped[MarketTime]
    balance_minor: Mapped[Minor | None]  # at the old platform, once it is shut
    from_seq: Mapped[int | None] = mapped_column(BigInteger)
    to_login: Mapped[int | None] = mapped_column(BigInteger)
    to_seq: Mapped[int | None] = mapped_column(BigInteger)
    to_shard: Mapped[int | None]
    to_marks: Mapped[str | None] = mapped_column(String(8))
    switched_at: Mapped[datetime | None]  # market time of the old platform
    proof_id: Mapped[str | None] = mapped_column(ForeignKey("proofs.id"))
    why: Mapped[str] = mapped_column(default="", server_default="")
    closed_at: Mapped[datetime | None]
    recorded_at: Mapped[Recorded]


class AccountPlace(Base):
    """A place of an account that changed its platform; an account that never did has none. `since`, `until`: market
    time; `until` is None at the present place."""

    __tablename__ = "account_places"
    __table_args__ = (UniqueConstraint("platform", "login"),)

    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    platform: Mapped[str] = mapped_column(String(40))
    login: Mapped[int] = mapped_column(BigInteger)
    since: Mapped[datetime | None]
    until: Mapped[datetime | None]
    change_id: Mapped[str | None] = mapped_column(ForeignKey("platform_changes.id"))  # that led to it; None: the first
