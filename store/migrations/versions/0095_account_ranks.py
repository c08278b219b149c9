"""What the list of accounts is sorted by stands in one narrow row for each account, with an index for each order."""

import sqlalchemy as sa
from alembic import op

revision = "0095"
down_revision = "0094"
branch_labels = None
depends_on = None

_LAST = 2**62  # sorts behind every amount, and its negative before
_FIGURES = ("equity", "daily", "total", "closest")


def upgrade() -> None:
    op.create_table(
        "account_ranks",
        sa.Column("account_id", sa.String(32), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("batch", sa.BigInteger(), nullable=True),
        sa.Column("status", sa.String(16), nullable=True),
        *(
            sa.Column(f"{figure}_{way}", sa.BigInteger(), server_default=str(last), nullable=False)
            for figure in _FIGURES
            for way, last in (("up", _LAST), ("down", -_LAST))
        ),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_account_ranks")),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_account_ranks_account_id")),
    )
    op.execute("INSERT INTO account_ranks (account_id, number) SELECT id, number FROM accounts")
    for figure in _FIGURES:
        for way in ("up", "down"):
            op.create_index(f"ix_account_ranks_{figure}_{way}", "account_ranks", [f"{figure}_{way}", "number"])
    # Only made here. The figures are the relay's: no verdict may wait for a row of which a checkpoint moves the figures.
    op.execute("""
        CREATE FUNCTION begin_account_rank() RETURNS trigger
        LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
        BEGIN
            INSERT INTO account_ranks (account_id, number) VALUES (NEW.id, NEW.number);
            RETURN NULL;
        END $$
    """)
    op.execute("""
        CREATE TRIGGER begin_rank AFTER INSERT ON accounts FOR EACH ROW EXECUTE FUNCTION begin_account_rank()
    """)


def downgrade() -> None:
    op.execute("DROP TRIGGER begin_rank ON accounts")
    op.execute("DROP FUNCTION begin_account_rank()")
    op.drop_table("account_ranks")
