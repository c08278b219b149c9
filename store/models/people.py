"""Traders, users, sessions. Names and addresses are stored encrypted."""

from datetime import datetime

from sqlalchemy import Boolean, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from store.crypto import Encrypted
from store.models.base import Base, Id, MarketTime, Recorded


class Trader(Base):
    __tablename__ = "traders"

    id: Mapped[Id]
    name: Mapped[str] = mapped_column(Encrypted("traders.name"))
    email: Mapped[str] = mapped_column(Encrypted("traders.email"))
    email_index: Mapped[str] = mapped_column(String(64), unique=True)
    country: Mapped[str] = mapped_column(String(2))
    beneficiary: Mapped[str | None] = mapped_column(Encrypted("traders.beneficiary"))
    identity: Mapped[str] = mapped_column(String(16), default="unverified")  # unverified | verified | refused
    created_at: Mapped[MarketTime]
    recorded_at: Mapped[Recorded]


class User(Base):
    """A login. `person_id` is the human: two users of one person never count as two approvers."""

    __tablename__ = "users"

    id: Mapped[Id]
    login: Mapped[str] = mapped_column(Encrypted("users.login"))
    login_index: Mapped[str] = mapped_column(String(64), unique=True)
    name: Mapped[str] = mapped_column(Encrypted("users.name"))
    password_hash: Mapped[str] = mapped_column(String(200))
    role: Mapped[str] = mapped_column(String(16))
    person_id: Mapped[str] = mapped_column(String(64), index=True)
    trader_id: Mapped[str | None] = mapped_column(ForeignKey("traders.id"), index=True)
    active: Mapped[bool] = mapped_column(Boolean, default=True)
    recorded_at: Mapped[Recorded]


class Session(Base):
    """A signed-in browser or program. Only a digest of its token is stored. Wall times."""

    __tablename__ = "sessions"

    token_digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), index=True)
    csrf: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[Recorded]
    expires_at: Mapped[MarketTime]
    revoked_at: Mapped[datetime | None]
