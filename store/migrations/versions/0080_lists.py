"""People are found by the words of their name, deals by the venue's id; lists stay fast with very many rows."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0080"
down_revision = "0079"
branch_labels = None
depends_on = None

_INDEXES: tuple[tuple[str, str, list[str]], ...] = (
    ("ix_traders_newest", "traders", ["recorded_at", "id"]),
    ("ix_accounts_login", "accounts", ["login"]),
    ("ix_accounts_trader_number", "accounts", ["trader_id", "number"]),
    ("ix_accounts_status_number", "accounts", ["status", "number"]),
    ("ix_accounts_product_number", "accounts", ["product", "number"]),
    ("ix_challenges_product_newest", "challenges", ["product", "recorded_at", "id"]),
    ("ix_challenges_newest", "challenges", ["recorded_at", "id"]),
    ("ix_challenges_state_newest", "challenges", ["state", "recorded_at", "id"]),
    ("ix_challenges_changed", "challenges", ["changed_at", "id"]),
    ("ix_payouts_newest", "payouts", ["recorded_at", "id"]),
    ("ix_payouts_state_newest", "payouts", ["state", "recorded_at", "id"]),
    ("ix_payouts_gross", "payouts", ["gross_minor", "id"]),
    ("ix_payouts_changed", "payouts", ["changed_at", "id"]),
    ("ix_payouts_transfer_id", "payouts", ["transfer_id"]),
    ("ix_cases_newest", "cases", ["recorded_at", "id"]),
    ("ix_cases_state_newest", "cases", ["state", "recorded_at", "id"]),
    ("ix_deals_deal_id", "deals", ["deal_id"]),
)


def upgrade() -> None:
    for name, table, columns in _INDEXES:  # first, because they take longest: `traders` is locked only after them
        op.create_index(name, table, columns)
    op.add_column("traders", sa.Column("name_words", ARRAY(sa.Text()), nullable=True))
    op.create_table(
        "trader_words",
        sa.Column("word", sa.Text(), nullable=False),
        sa.Column("trader_id", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("word", "trader_id", name=op.f("pk_trader_words")),
        sa.ForeignKeyConstraint(["trader_id"], ["traders.id"], name=op.f("fk_trader_words_trader_id")),
    )
    op.create_index(op.f("ix_trader_words_trader_id"), "trader_words", ["trader_id"])
    op.execute("""
        CREATE FUNCTION keep_trader_words() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
        BEGIN
            IF TG_OP = 'UPDATE' THEN
                DELETE FROM trader_words WHERE trader_id = NEW.id;
            END IF;
            INSERT INTO trader_words (word, trader_id)
                SELECT DISTINCT word, NEW.id FROM unnest(NEW.name_words) AS word;
            RETURN NULL;
        END $$
    """)
    op.execute("""
        CREATE TRIGGER keep_words AFTER INSERT OR UPDATE OF name_words ON traders
        FOR EACH ROW EXECUTE FUNCTION keep_trader_words()
    """)
    unindexed = sa.text("name_words IS NULL")
    op.create_index("ix_traders_without_words", "traders", ["id"], postgresql_where=unindexed)


def downgrade() -> None:
    for name, table, _ in _INDEXES:
        op.drop_index(name, table)
    op.drop_index("ix_traders_without_words", "traders")
    op.execute("DROP TRIGGER keep_words ON traders")
    op.execute("DROP FUNCTION keep_trader_words()")
    op.drop_table("trader_words")
    op.drop_column("traders", "name_words")
