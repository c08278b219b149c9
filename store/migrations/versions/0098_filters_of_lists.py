"""Lists of traders and cases find their rows by every filter, and the newest passes come in their order."""

from alembic import op

revision = "0098"
down_revision = "0097"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_traders_identity_newest", "traders", ["identity", "recorded_at", "id"])
    op.create_index("ix_traders_country_newest", "traders", ["country", "recorded_at", "id"])
    op.create_index("ix_cases_assigned_newest", "cases", ["assigned_to", "recorded_at", "id"])
    op.drop_index("ix_phase_passes_newest", table_name="phase_passes")
    op.create_index("ix_phase_passes_newest", "phase_passes", ["occurred_at", "id"])


def downgrade() -> None:
    op.drop_index("ix_phase_passes_newest", table_name="phase_passes")
    op.create_index("ix_phase_passes_newest", "phase_passes", ["occurred_at"])
    op.drop_index("ix_cases_assigned_newest", table_name="cases")
    op.drop_index("ix_traders_country_newest", table_name="traders")
    op.drop_index("ix_traders_identity_newest", table_name="traders")
