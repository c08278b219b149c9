"""Sanctions lists, screenings of traders and their hits."""

from datetime import datetime

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0023"
down_revision = "0020"
branch_labels = None
depends_on = None

_JSON = postgresql.JSONB(astext_type=sa.Text())


def _recorded() -> sa.Column[datetime]:
    now = sa.text("clock_timestamp()")
    return sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=now, nullable=False)


def upgrade() -> None:
    _lists()
    _screenings()
    _hits()
    _identity_checks()
    for table in ("screenings", "screening_policies"):
        row, whole = "append_only BEFORE UPDATE OR DELETE", "no_truncate BEFORE TRUNCATE"
        op.execute(f"CREATE TRIGGER {row} ON {table} FOR EACH ROW EXECUTE FUNCTION refuse_change()")
        op.execute(f"CREATE TRIGGER {whole} ON {table} FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()")


def _lists() -> None:
    op.create_table(
        "sanctions_versions",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("list", sa.String(8), nullable=False),
        sa.Column("published", sa.Date()),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("names", sa.Integer(), nullable=False),
        sa.Column("current", sa.Boolean(), nullable=False),
        _recorded(),
        sa.PrimaryKeyConstraint("id", name="pk_sanctions_versions"),
        sa.UniqueConstraint("list", "sha256", name="uq_sanctions_versions_list"),
    )
    op.create_index(
        "uq_sanctions_versions_current",
        "sanctions_versions",
        ["list"],
        unique=True,
        postgresql_where=sa.text("current"),
    )
    op.create_table(
        "sanctions_entries",
        sa.Column("version_id", sa.String(32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("ref", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("births", _JSON, nullable=False),
        sa.Column("countries", _JSON, nullable=False),
        sa.ForeignKeyConstraint(["version_id"], ["sanctions_versions.id"], name="fk_sanctions_entries_version_id"),
        sa.PrimaryKeyConstraint("version_id", "number", name="pk_sanctions_entries"),
    )
    op.create_table(
        "sanctions_names",
        sa.Column("version_id", sa.String(32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("entry", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["version_id", "entry"],
            ["sanctions_entries.version_id", "sanctions_entries.number"],
            name="fk_sanctions_names_version_id",
        ),
        sa.PrimaryKeyConstraint("version_id", "number", name="pk_sanctions_names"),
    )
    op.create_table(
        "sanctions_keys",
        sa.Column("version_id", sa.String(32), nullable=False),
        sa.Column("key", sa.String(40), nullable=False),
        sa.Column("name", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["version_id"], ["sanctions_versions.id"], name="fk_sanctions_keys_version_id"),
        sa.PrimaryKeyConstraint("version_id", "key", "name", name="pk_sanctions_keys"),
    )


def _screenings() -> None:
    op.create_table(
        "screening_policies",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("threshold", sa.Integer(), nullable=False),
        sa.Column("without_list", sa.String(8), nullable=False),
        sa.Column("blocked", _JSON, nullable=False),
        _recorded(),
        sa.PrimaryKeyConstraint("id", name="pk_screening_policies"),
    )
    op.create_table(
        "screenings",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("trader_id", sa.String(32), nullable=False),
        sa.Column("lists_digest", sa.String(64), nullable=False),
        sa.Column("name_index", sa.String(64), nullable=False),
        sa.Column("versions", _JSON, nullable=False),
        sa.Column("threshold", sa.Integer(), nullable=False),
        sa.Column("best", sa.Integer(), nullable=False),
        sa.Column("hits", sa.Integer(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        _recorded(),
        sa.ForeignKeyConstraint(["trader_id"], ["traders.id"], name="fk_screenings_trader_id"),
        sa.PrimaryKeyConstraint("id", name="pk_screenings"),
        sa.UniqueConstraint("trader_id", "lists_digest", "name_index", name="uq_screenings_trader_id"),
    )


def _hits() -> None:
    op.create_table(
        "screening_hits",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("trader_id", sa.String(32), nullable=False),
        sa.Column("screening_id", sa.String(32), nullable=False),
        sa.Column("list", sa.String(8), nullable=False),
        sa.Column("ref", sa.Text(), nullable=False),
        sa.Column("entry_digest", sa.String(64), nullable=False),
        sa.Column("name_index", sa.String(64), nullable=False),
        sa.Column("score", sa.Integer(), nullable=False),
        sa.Column("evidence", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True)),
        _recorded(),
        sa.ForeignKeyConstraint(["trader_id"], ["traders.id"], name="fk_screening_hits_trader_id"),
        sa.ForeignKeyConstraint(["screening_id"], ["screenings.id"], name="fk_screening_hits_screening_id"),
        sa.PrimaryKeyConstraint("id", name="pk_screening_hits"),
        sa.UniqueConstraint(
            "trader_id", "list", "ref", "entry_digest", "name_index", name="uq_screening_hits_trader_id"
        ),
    )
    op.create_index("ix_screening_hits_trader_id", "screening_hits", ["trader_id"])
    op.create_index("ix_screening_hits_state", "screening_hits", ["state"])


def _identity_checks() -> None:
    op.create_table(
        "identity_checks",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("trader_id", sa.String(32), nullable=False),
        sa.Column("checker", sa.String(40), nullable=False),
        sa.Column("session_id", sa.String(120)),
        sa.Column("url", sa.LargeBinary()),
        sa.Column("verified_name", sa.LargeBinary()),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        _recorded(),
        sa.ForeignKeyConstraint(["trader_id"], ["traders.id"], name="fk_identity_checks_trader_id"),
        sa.PrimaryKeyConstraint("id", name="pk_identity_checks"),
        sa.UniqueConstraint("checker", "session_id", name="uq_identity_checks_checker"),
    )
    op.create_index("ix_identity_checks_trader_id", "identity_checks", ["trader_id"])
