"""Each figure that accounts are sorted by stands once, and one index of it is read in both directions.

Every row whose figure moves is written to every index, so that half as many of them is half the work.
"""

import sqlalchemy as sa
from alembic import op

revision = "0099"
down_revision = "0098"
branch_labels = None
depends_on = None

_LAST = 2**62  # stands for none
_FIGURES = ("equity", "daily", "total", "closest")


def upgrade() -> None:
    for figure in _FIGURES:
        op.drop_column("account_ranks", f"{figure}_down")  # with its index
        op.alter_column("account_ranks", f"{figure}_up", new_column_name=figure)
        op.execute(f"ALTER INDEX ix_account_ranks_{figure}_up RENAME TO ix_account_ranks_{figure}")
    # Many rows move at once, and what they leave behind is used again only when it was cleared up.
    op.execute("""
        ALTER TABLE account_ranks SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05,
                                       autovacuum_vacuum_cost_delay = 0)
    """)


def downgrade() -> None:
    op.execute("""
        ALTER TABLE account_ranks RESET (fillfactor, autovacuum_vacuum_scale_factor, autovacuum_vacuum_cost_delay)
    """)
    for figure in _FIGURES:
        op.execute(f"ALTER INDEX ix_account_ranks_{figure} RENAME TO ix_account_ranks_{figure}_up")
        op.alter_column("account_ranks", figure, new_column_name=f"{figure}_up")
        none = sa.Column(f"{figure}_down", sa.BigInteger(), server_default=str(-_LAST), nullable=False)
        op.add_column("account_ranks", none)
        op.execute(f"UPDATE account_ranks SET {figure}_down = {figure}_up WHERE {figure}_up < {_LAST}")
        op.create_index(f"ix_account_ranks_{figure}_down", "account_ranks", [f"{figure}_down", "number"])
