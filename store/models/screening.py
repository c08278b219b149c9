"""Sanctions lists as loaded, and what screening traders against them found."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import Boolean, ForeignKey, ForeignKeyConstraint, Index, String, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from store.crypto import Encrypted
from store.models.base import Base, Id, MarketTime, Recorded


class SanctionsVersion(Base):
    """One loaded file of a list. At most one version of a list is current. `names`: how many it has. `method`: the
    way in which its keys were made. `common`: sound -> in how many names it is, for those in more than one."""

    __tablename__ = "sanctions_versions"
    __table_args__ = (
        Index("uq_sanctions_versions_current", "list", unique=True, postgresql_where=text("current")),
        UniqueConstraint("list", "sha256"),
    )

    id: Mapped[Id]
    list: Mapped[str] = mapped_column(String(8))
    published: Mapped[date | None]
    sha256: Mapped[str] = mapped_column(String(64))
    names: Mapped[int]
    current: Mapped[bool] = mapped_column(Boolean)
    method: Mapped[int]
    common: Mapped[dict[str, int]] = mapped_column(JSONB, deferred=True)
    recorded_at: Mapped[Recorded]


class SanctionsEntry(Base):
    """`digest`: of everything about the entry that screening reads."""

    __tablename__ = "sanctions_entries"

    version_id: Mapped[str] = mapped_column(ForeignKey("sanctions_versions.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    ref: Mapped[str]
    digest: Mapped[str] = mapped_column(String(64))
    births: Mapped[list[Any]] = mapped_column(JSONB)
    countries: Mapped[list[Any]] = mapped_column(JSONB)


class SanctionsName(Base):
    __tablename__ = "sanctions_names"
    __table_args__ = (
        ForeignKeyConstraint(["version_id", "entry"], ["sanctions_entries.version_id", "sanctions_entries.number"]),
    )

    version_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    entry: Mapped[int]
    name: Mapped[str]


class SanctionsKey(Base):
    """A key under which a listed name is found: domain/screening/names.py."""

    __tablename__ = "sanctions_keys"

    version_id: Mapped[str] = mapped_column(ForeignKey("sanctions_versions.id"), primary_key=True)
    key: Mapped[str] = mapped_column(String(40), primary_key=True)
    name: Mapped[int] = mapped_column(primary_key=True)


class ScreeningPolicyRow(Base):
    """The firm's policy of screening; the newest row counts. `threshold`: of a hit, in thousandths. `without_list`:
    warn or hold. `blocked`: ISO codes of countries whose traders are not paid."""

    __tablename__ = "screening_policies"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    threshold: Mapped[int]
    without_list: Mapped[str] = mapped_column(String(8))
    blocked: Mapped[list[Any]] = mapped_column(JSONB)
    recorded_at: Mapped[Recorded]


class Screening(Base):
    """One comparison of a trader with the lists of that moment: the evidence of it. Never changes.

    `lists_digest`: of the lists and the policy. `name_index`: keyed digest of the name that was compared. `versions`:
    list -> its version. `best`: the highest score, in thousandths.
    """

    __tablename__ = "screenings"
    __table_args__ = (UniqueConstraint("trader_id", "lists_digest", "name_index"),)

    id: Mapped[Id]
    trader_id: Mapped[str] = mapped_column(ForeignKey("traders.id"))
    lists_digest: Mapped[str] = mapped_column(String(64))
    name_index: Mapped[str] = mapped_column(String(64))
    versions: Mapped[dict[str, Any]] = mapped_column(JSONB)
    threshold: Mapped[int]
    best: Mapped[int]
    hits: Mapped[int]
    occurred_at: Mapped[MarketTime]
    recorded_at: Mapped[Recorded]


class ScreeningHit(Base):
    """A listed entry that is like a trader's name; two people clear or confirm it. The same name and an unchanged entry
    are never asked twice. `evidence`: JSON with both names and why, encrypted, because it is about the trader."""

    __tablename__ = "screening_hits"
    __table_args__ = (UniqueConstraint("trader_id", "list", "ref", "entry_digest", "name_index"),)

    id: Mapped[Id]
    trader_id: Mapped[str] = mapped_column(ForeignKey("traders.id"), index=True)
    screening_id: Mapped[str] = mapped_column(ForeignKey("screenings.id"))
    list: Mapped[str] = mapped_column(String(8))
    ref: Mapped[str]
    entry_digest: Mapped[str] = mapped_column(String(64))
    name_index: Mapped[str] = mapped_column(String(64))
    score: Mapped[int]
    evidence: Mapped[str] = mapped_column(Encrypted("screening_hits.evidence"))
    state: Mapped[str] = mapped_column(String(16), index=True)  # open | cleared | confirmed
    opened_at: Mapped[MarketTime]
    closed_at: Mapped[datetime | None]
    recorded_at: Mapped[Recorded]


class IdentityCheck(Base):
    """One check of a trader by an identity checker. The row is committed before the checker is called; its id is the
    key of the call. `status`: asked, then as the checker has it, or name_differs: a person must look."""

    __tablename__ = "identity_checks"
    __table_args__ = (
        UniqueConstraint("checker", "session_id"),
        Index("ix_identity_checks_differs", "id", postgresql_where=text("status = 'name_differs'")),
    )

    id: Mapped[Id]
    trader_id: Mapped[str] = mapped_column(ForeignKey("traders.id"), index=True)
    checker: Mapped[str] = mapped_column(String(40))
    session_id: Mapped[str | None] = mapped_column(String(120))
    url: Mapped[str | None] = mapped_column(Encrypted("identity_checks.url"))
    verified_name: Mapped[str | None] = mapped_column(Encrypted("identity_checks.verified_name"))
    born: Mapped[str | None] = mapped_column(Encrypted("identity_checks.born"))
    status: Mapped[str] = mapped_column(String(16))
    why: Mapped[str]
    recorded_at: Mapped[Recorded]
