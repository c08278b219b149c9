"""Drafts of product versions, proposed versions, and moves of accounts to another version."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, ForeignKeyConstraint, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from store.models.base import Base, Id, Json, MarketTime, Recorded


class ProductProposal(Base):
    """A proposed product version. A database trigger lets only its state change, never the proposed terms."""

    __tablename__ = "product_proposals"
    __table_args__ = (
        Index(
            "uq_product_proposals_open",
            "product",
            "version",
            unique=True,
            postgresql_where=text("state IN ('proposed', 'approved')"),
        ),
    )

    id: Mapped[Id]
    product: Mapped[str] = mapped_column(String(41))
    version: Mapped[int]
    base_version: Mapped[int | None]  # on sale at the time; reviewers compare with it
    content_hash: Mapped[str] = mapped_column(String(64))
    terms: Mapped[Json]
    source: Mapped[str] = mapped_column(String(120))  # the name of the file, or another origin
    reason: Mapped[str]
    state: Mapped[str] = mapped_column(String(24), index=True)
    proposed_by: Mapped[str] = mapped_column(ForeignKey("users.id"))
    proposed_at: Mapped[MarketTime]
    closed_at: Mapped[datetime | None]
    recorded_at: Mapped[Recorded]


class ProductDraft(Base):
    """The text of a product definition that a person writes, valid or not.

    It starts from a version (`base_product`, `base_version`) or from an example. While its proposal is open or on sale,
    the text stays as it is.
    """

    __tablename__ = "product_drafts"

    id: Mapped[Id]
    product: Mapped[str] = mapped_column(String(41), index=True)  # as the last text that could be read names it
    base_product: Mapped[str | None] = mapped_column(String(41))
    base_version: Mapped[int | None]
    text: Mapped[str]
    digest: Mapped[str] = mapped_column(String(64))  # of the text
    proposal_id: Mapped[str | None] = mapped_column(ForeignKey("product_proposals.id"), index=True)
    made_by: Mapped[str] = mapped_column(ForeignKey("users.id"))
    made_at: Mapped[MarketTime]
    changed_at: Mapped[MarketTime]
    recorded_at: Mapped[Recorded]


class DraftImpact(Base):
    """A replay of the accounts of a version under the terms of a draft's text: waiting, done or failed.

    `terms`: as the text with this digest says. `replayed` of `whole` challenges are done. `result`:
    `domain.histories.impact_report.ImpactReport`.
    """

    __tablename__ = "draft_impacts"
    __table_args__ = (
        Index(
            "uq_draft_impacts_waiting",
            "draft_id",
            "text_digest",
            "version",
            unique=True,
            postgresql_where=text("state = 'waiting'"),
        ),
        Index("ix_draft_impacts_waiting", "asked_at", postgresql_where=text("state = 'waiting'")),
    )

    id: Mapped[Id]
    draft_id: Mapped[str] = mapped_column(ForeignKey("product_drafts.id", ondelete="CASCADE"), index=True)
    text_digest: Mapped[str] = mapped_column(String(64))
    product: Mapped[str] = mapped_column(String(41))  # whose accounts are replayed
    version: Mapped[int]
    terms: Mapped[Json]
    state: Mapped[str] = mapped_column(String(8))
    replayed: Mapped[int]
    whole: Mapped[int]
    result: Mapped[Json | None]
    why: Mapped[str]  # it failed
    asked_by: Mapped[str] = mapped_column(ForeignKey("users.id"))
    asked_at: Mapped[MarketTime]
    as_of: Mapped[datetime | None]  # market time at which the accounts were read
    recorded_at: Mapped[Recorded]


class AccountMove(Base):
    """A proposal to move accounts to another version of their product."""

    __tablename__ = "account_moves"
    __table_args__ = (
        ForeignKeyConstraint(["product", "from_version"], ["products.product", "products.version"]),
        ForeignKeyConstraint(
            ["product", "to_version"], ["products.product", "products.version"], name="fk_account_moves_to_version"
        ),
    )

    id: Mapped[Id]
    product: Mapped[str] = mapped_column(String(41))
    from_version: Mapped[int]
    to_version: Mapped[int]
    reason: Mapped[str]
    state: Mapped[str] = mapped_column(String(24), index=True)
    proposed_by: Mapped[str] = mapped_column(ForeignKey("users.id"))
    proposed_at: Mapped[MarketTime]
    closed_at: Mapped[datetime | None]
    recorded_at: Mapped[Recorded]


class AccountMoveRow(Base):
    """One account of a move: it waits for its daily reset, then is moved, or refused with a reason.

    `taken_batch` is the checkpoint at which its shard took the move; a shard rebuilt from there knows it too.
    """

    __tablename__ = "account_move_rows"
    __table_args__ = (
        Index("ix_account_move_rows_waiting", "account_id", postgresql_where=text("state = 'waiting'")),
        Index("ix_account_move_rows_account", "account_id"),
    )

    move_id: Mapped[str] = mapped_column(ForeignKey("account_moves.id"), primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    state: Mapped[str] = mapped_column(String(16), default="waiting")  # waiting | moved | refused
    why: Mapped[str] = mapped_column(default="")
    taken_batch: Mapped[int | None] = mapped_column(BigInteger)
    applied_at: Mapped[datetime | None]  # market time of the reset
    applied_seq: Mapped[int | None] = mapped_column(BigInteger)
