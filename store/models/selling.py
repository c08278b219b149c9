"""Coupons and their uses, sales, and receipts."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, Integer, String, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from store.models.base import Base, Id, Json, MarketTime, Minor, Recorded


class CouponRow(Base):
    """A coupon. Its terms never change; `ended_at` is when people ended it."""

    __tablename__ = "coupons"

    code: Mapped[str] = mapped_column(String(30), primary_key=True)
    terms: Mapped[Json]
    added_by: Mapped[str] = mapped_column(String(40))
    added_at: Mapped[MarketTime]
    ended_at: Mapped[datetime | None]
    recorded_at: Mapped[Recorded]


class CouponUse(Base):
    """A coupon that is used in an order. It counts unless the order was cancelled."""

    __tablename__ = "coupon_uses"
    __table_args__ = (Index("ix_coupon_uses_trader", "code", "trader_id"),)

    code: Mapped[str] = mapped_column(ForeignKey("coupons.code"), primary_key=True)
    challenge_id: Mapped[str] = mapped_column(ForeignKey("challenges.id"), primary_key=True)
    trader_id: Mapped[str] = mapped_column(ForeignKey("traders.id"))
    recorded_at: Mapped[Recorded]


class Sale(Base):
    """What was sold with a challenge, and its price; append-only.

    `quote`: the lines of the price. `product`, `version`: on sale at that time; `add_ons`: the ids of those chosen.
    `terms_hash`: the content hash of the terms with the add-ons. `accepted_at`: when the buyer accepted exactly these
    terms; None when the order came without it.
    """

    __tablename__ = "sales"

    challenge_id: Mapped[str] = mapped_column(ForeignKey("challenges.id"), primary_key=True)
    trader_id: Mapped[str] = mapped_column(ForeignKey("traders.id"), index=True)
    product: Mapped[str] = mapped_column(String(41))
    version: Mapped[int]
    add_ons: Mapped[list[str]] = mapped_column(JSONB)
    quote: Mapped[Json]
    currency: Mapped[str] = mapped_column(String(4))
    net_minor: Mapped[Minor]
    tax_minor: Mapped[Minor]
    total_minor: Mapped[Minor]
    country: Mapped[str] = mapped_column(String(2))
    seller: Mapped[Json]
    terms_hash: Mapped[str] = mapped_column(String(64))
    accepted_at: Mapped[datetime | None]
    accepted_by: Mapped[str | None] = mapped_column(ForeignKey("users.id"))
    sold_at: Mapped[MarketTime]
    recorded_at: Mapped[Recorded]


class ReceiptCounter(Base):
    """The last number that was given out in a year. Its row lock makes the numbers free of gaps."""

    __tablename__ = "receipt_counters"

    year: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    last: Mapped[int]


class Receipt(Base):
    """A receipt, or a credit note for a refund; append-only. `key`: what it is for, so that it is issued once.
    `corrects`: the receipt that a credit note belongs to. `body`: everything on it but the name of the buyer."""

    __tablename__ = "receipts"
    __table_args__ = (UniqueConstraint("year", "number"),)

    id: Mapped[Id]
    key: Mapped[str] = mapped_column(String(120), unique=True)
    kind: Mapped[str] = mapped_column(String(12))  # receipt | credit_note
    year: Mapped[int]
    number: Mapped[int]
    challenge_id: Mapped[str] = mapped_column(ForeignKey("challenges.id"), index=True)
    trader_id: Mapped[str] = mapped_column(ForeignKey("traders.id"), index=True)
    corrects: Mapped[str | None] = mapped_column(ForeignKey("receipts.id"))
    total_minor: Mapped[Minor]
    currency: Mapped[str] = mapped_column(String(4))
    body: Mapped[dict[str, Any]] = mapped_column(JSONB)
    issued_at: Mapped[MarketTime]
    recorded_at: Mapped[Recorded]
