"""Changes of the staff that one admin proposes and another approves; reviews of who may do what."""

import sqlalchemy as sa
from alembic import op

revision = "0058"
down_revision = "0057"
branch_labels = None
depends_on = None

_INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    now = sa.text("clock_timestamp()")
    op.create_table(
        "staff_changes",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("kind", sa.String(12), nullable=False),
        sa.Column("user_id", sa.String(32)),
        sa.Column("email", sa.LargeBinary()),
        sa.Column("role_from", sa.String(16)),
        sa.Column("role_to", sa.String(16)),
        sa.Column("site", sa.String(200), nullable=False),
        sa.Column("reason", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("proposed_by", sa.String(32), nullable=False),
        sa.Column("proposed_at", _INSTANT, nullable=False),
        sa.Column("closed_at", _INSTANT),
        sa.Column("recorded_at", _INSTANT, server_default=now, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_staff_changes_user_id"),
        sa.ForeignKeyConstraint(["proposed_by"], ["users.id"], name="fk_staff_changes_proposed_by"),
        sa.PrimaryKeyConstraint("id", name="pk_staff_changes"),
    )
    is_open = sa.text("state = 'proposed'")
    op.create_index("uq_staff_changes_open", "staff_changes", ["user_id"], unique=True, postgresql_where=is_open)
    op.execute(
        "CREATE TRIGGER no_truncate BEFORE TRUNCATE ON staff_changes FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
    op.create_foreign_key("fk_links_change_id", "links", "staff_changes", ["change_id"], ["id"])
    op.execute(
        """
        CREATE FUNCTION keep_staff_change() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
        DECLARE may_change text[] := '{state,closed_at,email,reason}';  -- texts move to a new key
        BEGIN
            IF TG_OP = 'DELETE' OR (to_jsonb(NEW) - may_change) <> (to_jsonb(OLD) - may_change) THEN
                RAISE EXCEPTION 'what a change of the staff was proposed for cannot change: propose anew'
                    USING ERRCODE = 'restrict_violation';
            END IF;
            RETURN NEW;
        END $$
        """
    )
    op.execute(
        "CREATE TRIGGER keep_what_was_proposed BEFORE UPDATE OR DELETE ON staff_changes"
        " FOR EACH ROW EXECUTE FUNCTION keep_staff_change()"
    )
    op.create_table(
        "access_reviews",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("user_id", sa.String(32), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("reviewed_by", sa.String(32), nullable=False),
        sa.Column("recorded_at", _INSTANT, server_default=now, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_access_reviews_user_id"),
        sa.ForeignKeyConstraint(["reviewed_by"], ["users.id"], name="fk_access_reviews_reviewed_by"),
        sa.PrimaryKeyConstraint("id", name="pk_access_reviews"),
    )
    op.create_index("ix_access_reviews_user_id", "access_reviews", ["user_id", "id"])
    for name, when, each in (("append_only", "UPDATE OR DELETE", "ROW"), ("no_truncate", "TRUNCATE", "STATEMENT")):
        op.execute(
            f"CREATE TRIGGER {name} BEFORE {when} ON access_reviews FOR EACH {each} EXECUTE FUNCTION refuse_change()"
        )


def downgrade() -> None:
    op.drop_table("access_reviews")
    op.drop_constraint("fk_links_change_id", "links")
    op.drop_table("staff_changes")
    op.execute("DROP FUNCTION keep_staff_change()")
