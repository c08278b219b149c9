"""Chargebacks, the suspensions that they cause, and refunds."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0023"
branch_labels = None
depends_on = None


def _minor(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger(), server_default="0", nullable=False)


def _text(name: str, length: int) -> sa.Column[Any]:
    return sa.Column(name, sa.String(length=length), server_default="", nullable=False)


def _recorded() -> sa.Column[Any]:
    now = sa.text("clock_timestamp()")
    return sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=now, nullable=False)


def upgrade() -> None:
    _chargebacks()
    _suspensions()
    _refunds()


def _chargebacks() -> None:
    op.create_table(
        "chargebacks",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("challenge_id", sa.String(length=32), nullable=False),
        sa.Column("trader_id", sa.String(length=32), nullable=False),
        sa.Column("acquirer", sa.String(length=40), nullable=False),
        sa.Column("provider_id", sa.String(length=120), nullable=False),
        sa.Column("state", sa.String(length=24), nullable=False),
        _text("reason", 200),
        _minor("amount_minor"),
        _text("currency", 4),
        _minor("fee_minor"),
        sa.Column("withdrawn", sa.Boolean(), server_default="false", nullable=False),
        _minor("taken_minor"),
        _minor("lost_minor"),
        _minor("booked_fee_minor"),
        sa.Column("entries", sa.Integer(), server_default="0", nullable=False),
        sa.Column("looks", sa.Integer(), server_default="0", nullable=False),
        sa.Column("evidence_due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        _recorded(),
        sa.ForeignKeyConstraint(["challenge_id"], ["challenges.id"], name=op.f("fk_chargebacks_challenge_id")),
        sa.ForeignKeyConstraint(["trader_id"], ["traders.id"], name=op.f("fk_chargebacks_trader_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chargebacks")),
        sa.UniqueConstraint("acquirer", "provider_id", name=op.f("uq_chargebacks_acquirer")),
    )
    op.create_index(op.f("ix_chargebacks_challenge_id"), "chargebacks", ["challenge_id"])
    op.create_index(op.f("ix_chargebacks_trader_id"), "chargebacks", ["trader_id"])
    op.create_index(op.f("ix_chargebacks_state"), "chargebacks", ["state"])


def _suspensions() -> None:
    op.create_table(
        "suspensions",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("challenge_id", sa.String(length=32), nullable=False),
        sa.Column("chargeback_id", sa.String(length=32), nullable=False),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        _recorded(),
        sa.ForeignKeyConstraint(["challenge_id"], ["challenges.id"], name=op.f("fk_suspensions_challenge_id")),
        sa.ForeignKeyConstraint(["chargeback_id"], ["chargebacks.id"], name=op.f("fk_suspensions_chargeback_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_suspensions")),
    )
    op.create_index(op.f("ix_suspensions_challenge_id"), "suspensions", ["challenge_id"])
    op.create_index(op.f("ix_suspensions_chargeback_id"), "suspensions", ["chargeback_id"])


def _refunds() -> None:
    op.create_table(
        "refunds",
        sa.Column("acquirer", sa.String(length=40), nullable=False),
        sa.Column("refund_id", sa.String(length=120), nullable=False),
        sa.Column("challenge_id", sa.String(length=32), nullable=False),
        _text("key", 120),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=4), nullable=False),
        sa.Column("failure", sa.String(length=400), nullable=True),
        _minor("booked_minor"),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        _recorded(),
        sa.ForeignKeyConstraint(["challenge_id"], ["challenges.id"], name=op.f("fk_refunds_challenge_id")),
        sa.PrimaryKeyConstraint("acquirer", "refund_id", name=op.f("pk_refunds")),
    )
    op.create_index(op.f("ix_refunds_challenge_id"), "refunds", ["challenge_id"])
