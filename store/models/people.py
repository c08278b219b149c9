"""Traders, users, sessions. Names and addresses are stored encrypted."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Boolean, ForeignKey, Identity, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from store.crypto import BlindIndex, BlindWords, Encrypted, keys
from store.models.base import Base, Id, MarketTime, Recorded, Updated


def _words_of_name(context: Any) -> list[str]:
    """Returns what a new trader is found by. A name never changes."""
    return keys().word_indexes(context.get_current_parameters()["name"])


class Trader(Base):
    __tablename__ = "traders"
    __table_args__ = (
        Index("ix_traders_updated", "updated_at", "id"),
        Index("ix_traders_without_words", "id", postgresql_where=text("name_words IS NULL")),
        Index("ix_traders_newest", "recorded_at", "id"),
        Index("ix_traders_identity_newest", "identity", "recorded_at", "id"),
        Index("ix_traders_country_newest", "country", "recorded_at", "id"),
    )

    id: Mapped[Id]
    name: Mapped[str] = mapped_column(Encrypted("traders.name"))
    name_words: Mapped[list[str] | None] = mapped_column(BlindWords(of="name"), default=_words_of_name)
    email: Mapped[str] = mapped_column(Encrypted("traders.email"))
    email_index: Mapped[str] = mapped_column(BlindIndex(of="email"), unique=True)
    country: Mapped[str] = mapped_column(String(2))
    beneficiary: Mapped[str | None] = mapped_column(Encrypted("traders.beneficiary"))
    identity: Mapped[str] = mapped_column(String(16), default="unverified")  # unverified | verified | refused
    email_confirmed_at: Mapped[datetime | None]  # wall time; None: the link in the mail was not used yet
    created_at: Mapped[MarketTime]
    recorded_at: Mapped[Recorded]
    updated_at: Mapped[Updated]


class TraderWord(Base):
    """The words of the traders' names, to look up by. The database keeps them as `Trader.name_words` has them: row
    security lets a look-up use an index for equal texts, but not for arrays."""

    __tablename__ = "trader_words"

    word: Mapped[str] = mapped_column(primary_key=True)
    trader_id: Mapped[str] = mapped_column(String(32), ForeignKey("traders.id"), primary_key=True, index=True)


class Beneficiary(Base):
    """An account that a trader is paid to, over one rail. The newest one that was not refused is the trader's choice.

    `state`: waiting for the second channel | confirmed | refused. `changes`: it replaced another one, so payouts to it
    wait for the cooling period. `currency`: what is sent to it; None: the currency of the payout's account. `added_by`:
    None for an account that is older than these rows.
    """

    __tablename__ = "beneficiaries"
    __table_args__ = (Index("ix_beneficiaries_waiting", "added_at", postgresql_where=text("state = 'waiting'")),)

    id: Mapped[Id]
    trader_id: Mapped[str] = mapped_column(ForeignKey("traders.id"), index=True)
    rail: Mapped[str] = mapped_column(String(40))
    account: Mapped[str] = mapped_column(Encrypted("beneficiaries.account"))
    account_index: Mapped[str] = mapped_column(BlindIndex(of="account"))
    currency: Mapped[str | None] = mapped_column(ForeignKey("currencies.code"))
    state: Mapped[str] = mapped_column(String(16))
    changes: Mapped[bool]
    added_by: Mapped[str | None] = mapped_column(ForeignKey("users.id"))
    added_at: Mapped[MarketTime]
    decided_at: Mapped[datetime | None]
    recorded_at: Mapped[Recorded]


class User(Base):
    """A login. `person_id` is the human: two users of one person never count as two approvers."""

    __tablename__ = "users"
    __table_args__ = (Index("ix_users_staff", "role", "id", postgresql_where=text("active AND role <> 'trader'")),)

    id: Mapped[Id]
    login: Mapped[str] = mapped_column(Encrypted("users.login"))
    login_index: Mapped[str] = mapped_column(BlindIndex(of="login"), unique=True)
    name: Mapped[str] = mapped_column(Encrypted("users.name"))
    password_hash: Mapped[str] = mapped_column(String(200))
    role: Mapped[str] = mapped_column(String(16))
    person_id: Mapped[str] = mapped_column(String(64), index=True)
    trader_id: Mapped[str | None] = mapped_column(ForeignKey("traders.id"), index=True)
    active: Mapped[bool] = mapped_column(Boolean, default=True)
    recorded_at: Mapped[Recorded]


class Session(Base):
    """A signed-in browser or program. Only a digest of its token is stored. Wall times.

    `device`: in words, as the other side told. `used_at`: exact to a minute. `expires_at`: the latest end.
    `second_factor_due`: it is worth nothing until the person has shown a factor.
    """

    __tablename__ = "sessions"

    token_digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), index=True)
    id: Mapped[str] = mapped_column(String(32), unique=True)
    csrf: Mapped[str] = mapped_column(String(64))
    device: Mapped[str] = mapped_column(String(80), default="", server_default="")
    address: Mapped[str | None] = mapped_column(Encrypted("sessions.address"))
    created_at: Mapped[Recorded]
    used_at: Mapped[Recorded]
    expires_at: Mapped[MarketTime]
    revoked_at: Mapped[datetime | None]
    second_factor_due: Mapped[bool] = mapped_column(Boolean, default=False, server_default=text("false"))


class Attempts(Base):
    """How often something was tried since `begun_at`. `key`: its kind, and a keyed digest of whose attempts they are.
    Wall time."""

    __tablename__ = "attempts"

    key: Mapped[str] = mapped_column(String(90), primary_key=True)
    begun_at: Mapped[datetime]
    number: Mapped[int]


class Link(Base):
    """A link that somebody got by mail and can use once. Only a digest of its token is stored. Wall times.

    `kind`: recovery | confirmation | first_factor (of `user_id`), invitation (of `email`, by the approved change
    `change_id`) | beneficiary (of `user_id`: payouts go to `account` over `rail` from then on, in `currency` if it is
    given).
    """

    __tablename__ = "links"

    token_digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    kind: Mapped[str] = mapped_column(String(12))
    user_id: Mapped[str | None] = mapped_column(ForeignKey("users.id"), index=True)
    email: Mapped[str | None] = mapped_column(Encrypted("links.email"))
    change_id: Mapped[str | None] = mapped_column(ForeignKey("staff_changes.id"))
    account: Mapped[str | None] = mapped_column(Encrypted("links.account"))
    rail: Mapped[str | None] = mapped_column(String(40))
    currency: Mapped[str | None] = mapped_column(String(4))
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    recorded_at: Mapped[Recorded]


class StaffChange(Base):
    """What one admin proposed about the staff, and what became of it.

    `kind`: role | disable | enable (of `user_id`), invite (of `email`). `role_from`: when it was proposed. `site`: the
    address of the console, to which the link of an invitation leads.
    """

    __tablename__ = "staff_changes"
    __table_args__ = (
        Index("uq_staff_changes_open", "user_id", unique=True, postgresql_where=text("state = 'proposed'")),
    )

    id: Mapped[Id]
    kind: Mapped[str] = mapped_column(String(12))
    user_id: Mapped[str | None] = mapped_column(ForeignKey("users.id"))
    email: Mapped[str | None] = mapped_column(Encrypted("staff_changes.email"))
    role_from: Mapped[str | None] = mapped_column(String(16))
    role_to: Mapped[str | None] = mapped_column(String(16))
    site: Mapped[str] = mapped_column(String(200))
    reason: Mapped[str] = mapped_column(Encrypted("staff_changes.reason"))
    state: Mapped[str] = mapped_column(String(16))
    proposed_by: Mapped[str] = mapped_column(ForeignKey("users.id"))
    proposed_at: Mapped[MarketTime]
    closed_at: Mapped[datetime | None]
    recorded_at: Mapped[Recorded]


class AccessReview(Base):
    """Somebody looked at what a user may do, with the role of that moment, and found it right."""

    __tablename__ = "access_reviews"
    __table_args__ = (Index("ix_access_reviews_user_id", "user_id", "id"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    role: Mapped[str] = mapped_column(String(16))
    reviewed_by: Mapped[str] = mapped_column(ForeignKey("users.id"))
    recorded_at: Mapped[Recorded]


class IdentityFact(Base):
    """A value that a source told of a trader, as a keyed digest; `kind` as in `surveillance.book`. Wall times."""

    __tablename__ = "identity_facts"
    __table_args__ = (Index("ix_identity_facts_digest", "kind", "digest"), Index("ix_identity_facts_last", "last_at"))

    trader_id: Mapped[str] = mapped_column(ForeignKey("traders.id"), primary_key=True)
    kind: Mapped[str] = mapped_column(String(12), primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    source: Mapped[str] = mapped_column(String(60), primary_key=True)
    first_at: Mapped[datetime]
    last_at: Mapped[datetime]
    times: Mapped[int]
