"""Deals keep everything that the platform tells of them; orders, changes of stops and facts about symbols get tables."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0044"
down_revision = "0043"
branch_labels = None
depends_on = None


def _price(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Numeric(20, 8))


def upgrade() -> None:
    op.add_column("deals", sa.Column("fee_minor", sa.BigInteger(), server_default="0", nullable=False))
    for name in ("stop_loss", "take_profit", "bid", "ask"):
        op.add_column("deals", _price(name))
    op.add_column("deals", sa.Column("late", sa.Boolean(), server_default=sa.false(), nullable=False))
    for name in ("expert_id", "comment"):
        op.add_column("deals", sa.Column(name, sa.Text(), server_default="", nullable=False))
    _make_events(
        "order_events",
        sa.Column("order_id", sa.String(40), nullable=False),
        sa.Column("symbol", sa.String(20), nullable=False),
        sa.Column("side", sa.String(4), nullable=False),
        sa.Column("lots", sa.Numeric(18, 4), nullable=False),
        sa.Column("change", sa.String(10), nullable=False),
        sa.Column("type", sa.String(10)),
        _price("price"),
    )
    _make_events(
        "stop_changes",
        sa.Column("position_id", sa.String(40), nullable=False),
        _price("stop_loss"),
        _price("take_profit"),
    )
    _let_parts_go("equity_bars", "equity_hours", "deals", "daily_snapshots", "order_events", "stop_changes")
    op.create_table(
        "symbol_facts",
        sa.Column("platform", sa.String(40), nullable=False),
        sa.Column("symbol", sa.String(80), nullable=False),
        sa.Column("contract_size", sa.Numeric(20, 8), nullable=False),
        sa.Column("quote_currency", sa.String(8), nullable=False),
        sa.Column("digits", sa.Integer(), nullable=False),
        sa.Column("asset", sa.String(16), server_default="", nullable=False),
        sa.Column("base_currency", sa.String(8), server_default="", nullable=False),
        sa.Column("synonym_of", sa.String(80), server_default="", nullable=False),
        sa.Column("together", sa.String(40), server_default="", nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True), server_default=sa.func.clock_timestamp(), nullable=False),
        sa.PrimaryKeyConstraint("platform", "symbol", name="pk_symbol_facts"),
    )


def _make_events(name: str, *columns: sa.Column[Any]) -> None:
    """Makes a table of events of accounts, in parts by their time."""
    op.create_table(
        name,
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("account_id", sa.String(32), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        *columns,
        sa.PrimaryKeyConstraint("account_id", "seq", "at", name=f"pk_{name}"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=f"fk_{name}_account_id"),
        postgresql_partition_by="RANGE (at)",
    )
    op.create_index(f"ix_{name}_id", name, ["id"])
    op.execute(f"CREATE TABLE {name}_default PARTITION OF {name} DEFAULT")


def _let_parts_go(*tables: str) -> None:
    """Parts of these tables may be removed, and of no others."""
    names = ", ".join(f"'{table}'" for table in tables)
    op.execute(f"""
        CREATE OR REPLACE FUNCTION drop_part(part text) RETURNS void LANGUAGE plpgsql
        SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
        BEGIN
            IF NOT EXISTS (SELECT FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhparent
                            WHERE i.inhrelid = part::regclass AND part NOT LIKE '%\\_default'
                              AND c.relname IN ({names})) THEN
                RAISE EXCEPTION '% is not a part that may be removed', part USING ERRCODE = 'restrict_violation';
            END IF;
            EXECUTE format('DROP TABLE %I', part);
        END $$
    """)


def downgrade() -> None:
    _let_parts_go("equity_bars", "equity_hours", "deals", "daily_snapshots")
    for table in ("symbol_facts", "stop_changes", "order_events"):
        op.drop_table(table)
    for column in ("comment", "expert_id", "late", "ask", "bid", "take_profit", "stop_loss", "fee_minor"):
        op.drop_column("deals", column)
