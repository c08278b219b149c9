"""Peaks that wait for their accounts' rows: bytes of their own, out of the feed's state."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "shard_peaks",
        sa.Column("shard", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("peaks", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("shard", name=op.f("pk_shard_peaks")),
    )
    # Written every second: compressing them would cost more than it saves.
    op.execute("ALTER TABLE shard_peaks ALTER COLUMN peaks SET STORAGE EXTERNAL")
    op.execute(
        "INSERT INTO shard_peaks (shard, peaks)"
        " SELECT id, decode(feed->>'peaks', 'base64') FROM shards WHERE feed ? 'peaks'"
    )
    op.execute("UPDATE shards SET feed = feed - 'peaks' WHERE feed ? 'peaks'")
