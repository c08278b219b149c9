"""People freeze an account, and write notes about it. A freeze suspends the challenge, as a chargeback does."""

import sqlalchemy as sa
from alembic import op

revision = "0084"
down_revision = "0083"
branch_labels = None
depends_on = None

_INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    now = sa.text("clock_timestamp()")
    op.create_table(
        "account_freezes",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("challenge_id", sa.String(32), nullable=False),
        sa.Column("account_id", sa.String(32), nullable=False),
        sa.Column("reason", sa.String(400), nullable=False),
        sa.Column("frozen_by", sa.String(32), nullable=False),
        sa.Column("began_at", _INSTANT, nullable=False),
        sa.Column("thaw_reason", sa.String(400)),
        sa.Column("thawed_by", sa.String(32)),
        sa.Column("ended_at", _INSTANT),
        sa.Column("recorded_at", _INSTANT, server_default=now, nullable=False),
        sa.ForeignKeyConstraint(["challenge_id"], ["challenges.id"], name="fk_account_freezes_challenge_id"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_account_freezes_account_id"),
        sa.ForeignKeyConstraint(["frozen_by"], ["users.id"], name="fk_account_freezes_frozen_by"),
        sa.ForeignKeyConstraint(["thawed_by"], ["users.id"], name="fk_account_freezes_thawed_by"),
        sa.PrimaryKeyConstraint("id", name="pk_account_freezes"),
    )
    op.create_index("ix_account_freezes_account_id", "account_freezes", ["account_id"])
    lasting = sa.text("ended_at IS NULL")
    op.create_index(
        "ux_account_freezes_lasting", "account_freezes", ["challenge_id"], unique=True, postgresql_where=lasting
    )
    op.create_table(
        "account_notes",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("account_id", sa.String(32), nullable=False),
        sa.Column("author_id", sa.String(32), nullable=False),
        sa.Column("body", sa.String(400), nullable=False),
        sa.Column("occurred_at", _INSTANT, nullable=False),
        sa.Column("recorded_at", _INSTANT, server_default=now, nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_account_notes_account_id"),
        sa.ForeignKeyConstraint(["author_id"], ["users.id"], name="fk_account_notes_author_id"),
        sa.PrimaryKeyConstraint("id", name="pk_account_notes"),
    )
    op.create_index("ix_account_notes_account", "account_notes", ["account_id", "id"])
    for name, when, each in (("append_only", "UPDATE OR DELETE", "ROW"), ("no_truncate", "TRUNCATE", "STATEMENT")):
        op.execute(
            f"CREATE TRIGGER {name} BEFORE {when} ON account_notes FOR EACH {each} EXECUTE FUNCTION refuse_change()"
        )
    op.alter_column("suspensions", "chargeback_id", nullable=True)
    op.add_column("suspensions", sa.Column("freeze_id", sa.String(32)))
    op.create_foreign_key("fk_suspensions_freeze_id", "suspensions", "account_freezes", ["freeze_id"], ["id"])
    op.create_index("ix_suspensions_freeze_id", "suspensions", ["freeze_id"])
    op.create_check_constraint(
        op.f("ck_suspensions_cause"), "suspensions", "(chargeback_id IS NULL) <> (freeze_id IS NULL)"
    )


def downgrade() -> None:
    op.execute("DELETE FROM suspensions WHERE freeze_id IS NOT NULL")
    op.drop_constraint(op.f("ck_suspensions_cause"), "suspensions")
    op.drop_column("suspensions", "freeze_id")
    op.alter_column("suspensions", "chargeback_id", nullable=False)
    op.drop_table("account_notes")
    op.drop_table("account_freezes")
