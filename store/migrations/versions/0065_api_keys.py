"""API keys of programs, and how many requests each person and key may still send."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0065"
down_revision = "0064"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("user_id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("scopes", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("replaces", sa.String(length=32), nullable=True),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_api_keys_user_id")),
        sa.ForeignKeyConstraint(["replaces"], ["api_keys.id"], name=op.f("fk_api_keys_replaces")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
    )
    op.create_index(op.f("ix_api_keys_user_id"), "api_keys", ["user_id"])
    op.create_table(
        "rate_buckets",
        sa.Column("subject", sa.String(length=40), nullable=False),
        sa.Column("tokens", sa.Double(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("subject", name=op.f("pk_rate_buckets")),
        prefixes=["UNLOGGED"],
    )
    # Takes up to `wanted` whole tokens of a bucket that holds `capacity` and fills up in `fill_seconds`. The row's lock
    # makes processes wait for each other for the length of this one statement.
    op.execute("""
        CREATE FUNCTION take_tokens(of_subject text, capacity double precision, fill_seconds double precision,
                                    wanted integer, OUT granted integer, OUT remaining double precision)
        LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
        DECLARE
            bucket public.rate_buckets;
            now_at timestamptz;
        BEGIN
            INSERT INTO rate_buckets (subject, tokens, at) VALUES (of_subject, capacity, clock_timestamp())
            ON CONFLICT (subject) DO NOTHING;
            SELECT * INTO bucket FROM rate_buckets WHERE subject = of_subject FOR UPDATE;
            now_at := clock_timestamp();
            remaining := least(capacity, bucket.tokens
                               + extract(epoch FROM greatest(now_at - bucket.at, interval '0')) * capacity / fill_seconds);
            granted := least(wanted, floor(remaining));
            remaining := remaining - granted;
            UPDATE rate_buckets SET tokens = remaining, at = now_at WHERE subject = of_subject;
        END $$
    """)


def downgrade() -> None:
    op.execute("DROP FUNCTION take_tokens")
    op.drop_table("rate_buckets")
    op.drop_table("api_keys")
