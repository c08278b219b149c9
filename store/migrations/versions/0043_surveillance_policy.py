"""The surveillance policy: what is in force, and the changes that people propose."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0043"
down_revision = "0042"
branch_labels = None
depends_on = None

_INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    now = sa.text("clock_timestamp()")
    op.create_table(
        "surveillance_proposals",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("base_hash", sa.String(64), nullable=False),
        sa.Column("content_hash", sa.String(64), nullable=False),
        sa.Column("body", JSONB(), nullable=False),
        sa.Column("replayed", JSONB(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("proposed_by", sa.String(32), nullable=False),
        sa.Column("proposed_at", _INSTANT, nullable=False),
        sa.Column("closed_at", _INSTANT),
        sa.Column("recorded_at", _INSTANT, server_default=now, nullable=False),
        sa.ForeignKeyConstraint(["proposed_by"], ["users.id"], name="fk_surveillance_proposals_proposed_by"),
        sa.PrimaryKeyConstraint("id", name="pk_surveillance_proposals"),
    )
    op.create_index(
        "uq_surveillance_proposals_open",
        "surveillance_proposals",
        ["state"],
        unique=True,
        postgresql_where=sa.text("state = 'proposed'"),
    )
    op.create_table(
        "surveillance_policies",
        sa.Column("number", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("content_hash", sa.String(64), nullable=False),
        sa.Column("body", JSONB(), nullable=False),
        sa.Column("proposal_id", sa.String(32)),
        sa.Column("recorded_at", _INSTANT, server_default=now, nullable=False),
        sa.ForeignKeyConstraint(
            ["proposal_id"], ["surveillance_proposals.id"], name="fk_surveillance_policies_proposal_id"
        ),
        sa.PrimaryKeyConstraint("number", name="pk_surveillance_policies"),
    )
    for table, name, when, each in (
        ("surveillance_policies", "append_only", "UPDATE OR DELETE", "ROW"),
        ("surveillance_policies", "no_truncate", "TRUNCATE", "STATEMENT"),
        ("surveillance_proposals", "no_truncate", "TRUNCATE", "STATEMENT"),
    ):
        op.execute(f"CREATE TRIGGER {name} BEFORE {when} ON {table} FOR EACH {each} EXECUTE FUNCTION refuse_change()")
    _keep_proposals()


def _keep_proposals() -> None:
    """What was proposed stays as it was: only what became of it may be written, and once what its replay found."""
    op.execute(
        """
        CREATE FUNCTION keep_policy_proposal() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE may_change text[] := '{state,closed_at}';
        BEGIN
            IF TG_OP = 'UPDATE' AND OLD.replayed ? 'waits' THEN
                may_change := may_change || 'replayed'::text;
            END IF;
            IF TG_OP = 'DELETE' OR (to_jsonb(NEW) - may_change) <> (to_jsonb(OLD) - may_change) THEN
                RAISE EXCEPTION 'what % holds was proposed and cannot change: propose anew', TG_TABLE_NAME
                    USING ERRCODE = 'restrict_violation';
            END IF;
            RETURN NEW;
        END $$
        """
    )
    op.execute(
        "CREATE TRIGGER keep_what_was_proposed BEFORE UPDATE OR DELETE ON surveillance_proposals"
        " FOR EACH ROW EXECUTE FUNCTION keep_policy_proposal()"
    )


def downgrade() -> None:
    op.drop_table("surveillance_policies")
    op.drop_table("surveillance_proposals")
    op.execute("DROP FUNCTION keep_policy_proposal()")
