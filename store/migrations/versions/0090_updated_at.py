"""Rows that others copy say when they last changed, in wall time: the database sets it, whoever writes."""

import sqlalchemy as sa
from alembic import op

from store.large_indexes import begin

revision = "0090"
down_revision = "0088"
branch_labels = None
depends_on = None

_CHANGING = ("accounts", "breaches", "cases", "challenges", "payouts", "tickets", "traders")
_GROWING = ("deals", "postings")  # their rows are never changed


def upgrade() -> None:
    op.execute("""
        CREATE FUNCTION keep_updated_at() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
        BEGIN
            NEW.updated_at := clock_timestamp();
            RETURN NEW;
        END $$
    """)
    for table in (*_CHANGING, *_GROWING):
        # now() is computed once, so that no row is written anew: older rows say when this migration ran
        op.add_column(
            table, sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False)
        )
        op.alter_column(table, "updated_at", server_default=sa.func.clock_timestamp())
        if table in _GROWING:
            begin(op.get_bind(), f"ix_{table}_updated")
        else:
            op.create_index(f"ix_{table}_updated", table, ["updated_at", "id"])
    for table in _CHANGING:
        op.execute(f"""
            CREATE TRIGGER keep_updated_at BEFORE UPDATE ON {table}
            FOR EACH ROW EXECUTE FUNCTION keep_updated_at()
        """)


def downgrade() -> None:
    for table in (*_CHANGING, *_GROWING):
        if table in _CHANGING:
            op.execute(f"DROP TRIGGER keep_updated_at ON {table}")
        op.drop_index(f"ix_{table}_updated", table_name=table, if_exists=True)
        op.drop_column(table, "updated_at")
    op.execute("DROP FUNCTION keep_updated_at()")
