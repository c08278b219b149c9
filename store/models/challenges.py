"""Published product versions, challenges, their accounts, and transitions."""

from datetime import datetime
from typing import Final

from sqlalchemy import (
    BigInteger,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from store.models.base import Base, Id, Json, MarketTime, Minor, Recorded, Updated

# The steps by which people decided about payouts, disputes and cases, or let the time pass. As the migration has it.
DECIDED: Final = (
    "trigger IN ('approvals_complete', 'payout_rejected', 'decision_timed_out', 'breach_upheld',"
    " 'reinstatement_granted', 'suspicion_cleared', 'left_inconclusive', 'trader_warned', 'profit_deducted',"
    " 'payout_denied', 'abuse_confirmed')"
)


class ProductVersion(Base):
    """A published version. A database trigger refuses to change or delete a row."""

    __tablename__ = "products"

    product: Mapped[str] = mapped_column(String(41), primary_key=True)
    version: Mapped[int] = mapped_column(Integer, primary_key=True)
    name: Mapped[str] = mapped_column(String(80))
    content_hash: Mapped[str] = mapped_column(String(64))
    terms: Mapped[Json]
    proposal_id: Mapped[str | None] = mapped_column(
        ForeignKey("product_proposals.id")
    )  # None: shipped with the installation, or a variant
    variant_of: Mapped[str | None] = mapped_column(
        String(41), index=True
    )  # the product on sale whose terms these are, with add-ons; never on sale itself
    recorded_at: Mapped[Recorded]


class Challenge(Base):
    __tablename__ = "challenges"
    __table_args__ = (
        Index("ix_challenges_updated", "updated_at", "id"),
        ForeignKeyConstraint(["product", "version"], ["products.product", "products.version"]),
        UniqueConstraint("provider", "checkout_id"),
        Index("ix_challenges_product_newest", "product", "recorded_at", "id"),
        Index("ix_challenges_newest", "recorded_at", "id"),
        Index("ix_challenges_state_newest", "state", "recorded_at", "id"),
        Index("ix_challenges_changed", "changed_at", "id"),
        Index("ix_challenges_bought", "bought_at"),
        Index("ix_challenges_state_trader_id", "state", "trader_id", "id"),  # counts: row security asks for the trader
    )

    id: Mapped[Id]
    trader_id: Mapped[str] = mapped_column(ForeignKey("traders.id"), index=True)
    product: Mapped[str] = mapped_column(String(41))
    version: Mapped[int]
    state: Mapped[str] = mapped_column(String(24))
    phase_index: Mapped[int] = mapped_column(default=0)  # 0 before the first account
    account_id: Mapped[str | None] = mapped_column(String(32))  # the current phase's account
    fee_minor: Mapped[Minor]
    fee_of: Mapped[str] = mapped_column(String(16), server_default="purchase")  # or reset, buyback, activation
    replaces: Mapped[str | None] = mapped_column(ForeignKey("challenges.id"), index=True)  # from which this one goes on
    currency: Mapped[str] = mapped_column(String(4))
    provider: Mapped[str] = mapped_column(String(40), server_default="sandbox")  # takes the fee
    checkout_id: Mapped[str | None] = mapped_column(String(80))
    checkout_url: Mapped[str | None] = mapped_column(String(300))
    bought_at: Mapped[MarketTime]
    changed_at: Mapped[MarketTime]
    recorded_at: Mapped[Recorded]
    updated_at: Mapped[Updated]


class Account(Base):
    """An account on a platform for one attempt at one phase. `number` is shown to people as A-10001."""

    __tablename__ = "accounts"
    __table_args__ = (
        Index("ix_accounts_updated", "updated_at", "id"),
        UniqueConstraint("challenge_id", "phase_index", "attempt"),
        UniqueConstraint("platform", "login"),
        Index("ix_accounts_shard_status", "shard", "status"),
        Index("ix_accounts_login", "login"),
        Index("ix_accounts_trader_number", "trader_id", "number"),
        Index("ix_accounts_status_number", "status", "number"),
        Index("ix_accounts_status_trader", "status", "trader_id"),  # counts, as of challenges
        Index("ix_accounts_product_number", "product", "number"),
    )

    id: Mapped[Id]
    number: Mapped[int] = mapped_column(BigInteger, Identity(start=10001), unique=True)
    challenge_id: Mapped[str] = mapped_column(ForeignKey("challenges.id"))
    trader_id: Mapped[str] = mapped_column(ForeignKey("traders.id"), index=True)
    phase_index: Mapped[int]
    attempt: Mapped[int] = mapped_column(default=1, server_default="1")
    product: Mapped[str] = mapped_column(String(41))
    version: Mapped[int]
    platform: Mapped[str] = mapped_column(String(40))
    login: Mapped[int | None] = mapped_column(BigInteger)
    shard: Mapped[int | None] = mapped_column(default=0)  # None while it moves between two shards
    marks: Mapped[str] = mapped_column(String(8), default="quotes", server_default="quotes")  # quotes | states
    clock_group: Mapped[str] = mapped_column(String(60), index=True)
    currency: Mapped[str] = mapped_column(String(4))
    initial_minor: Mapped[Minor]
    status: Mapped[str] = mapped_column(String(16), index=True)  # opening | active | locked | closed
    opened_at: Mapped[datetime | None]  # market time of activation
    ended_at: Mapped[datetime | None]
    recorded_at: Mapped[Recorded]
    updated_at: Mapped[Updated]


class ScalingRow(Base):
    """One step of a scaling plan: `account_id` ended, and an account of `to_minor` followed it. `number`: from 1.
    `facts`: what was judged."""

    __tablename__ = "scalings"

    challenge_id: Mapped[str] = mapped_column(ForeignKey("challenges.id"), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"), index=True)
    from_minor: Mapped[Minor]
    to_minor: Mapped[Minor]
    facts: Mapped[Json]
    occurred_at: Mapped[MarketTime]
    recorded_at: Mapped[Recorded]


class Transition(Base):
    """A state change of a subject, such as a challenge or a payout. The unique `key` prevents repeats."""

    __tablename__ = "transitions"
    __table_args__ = (
        UniqueConstraint("subject_kind", "subject_id", "key"),
        Index("ix_transitions_subject", "subject_kind", "subject_id", "id"),
        Index("ix_transitions_decided", "occurred_at", postgresql_where=text(DECIDED)),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    subject_kind: Mapped[str] = mapped_column(String(16))
    subject_id: Mapped[str] = mapped_column(String(32))
    key: Mapped[str] = mapped_column(String(120))
    trigger: Mapped[str] = mapped_column(String(32))
    from_state: Mapped[str] = mapped_column(String(24))
    to_state: Mapped[str] = mapped_column(String(24))
    detail: Mapped[Json]
    occurred_at: Mapped[MarketTime]
    recorded_at: Mapped[Recorded]
