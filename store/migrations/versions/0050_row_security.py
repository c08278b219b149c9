"""Row security: a transaction sees the rows of the trader it names, those of all when it says `firm`, else none.

The settings are read once per statement, not once per row: each is a SELECT without a table. The test of the scope is an
IS NOT NULL because the planner expects such a test to hold for nearly every row, as it does for the firm. With an
equation it expects one row of two hundred, and joins guarded tables row by row.

A function of the database secures every table with a `trader_id`, and `traders`. `propos migrate` calls it each time,
so that a later table needs nothing.
"""

from alembic import op

revision = "0050"
down_revision = "0049"
branch_labels = None
depends_on = None

_TABLES = """
    SELECT c.oid::regclass AS name, CASE WHEN c.relname = 'traders' THEN 'id' ELSE 'trader_id' END AS owner_column
      FROM pg_class c
     WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
       AND (c.relname = 'traders'
            OR EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'trader_id'
                          AND NOT a.attisdropped))
"""


def upgrade() -> None:
    op.execute(f"""
        CREATE FUNCTION secure_rows() RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
        DECLARE each record; rule text;
        BEGIN
            FOR each IN {_TABLES} LOOP
                CONTINUE WHEN EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = each.name AND p.polname = 'by_trader');
                rule := format($rule$
                    (SELECT nullif(current_setting('app.scope', true) = 'firm', false)) IS NOT NULL
                    OR %I = (SELECT nullif(current_setting('app.trader', true), ''))
                    $rule$, each.owner_column);
                EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', each.name);
                EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', each.name);
                EXECUTE format('CREATE POLICY by_trader ON %s USING (%s) WITH CHECK (%s)', each.name, rule, rule);
            END LOOP;
        END $$
    """)
    op.execute("REVOKE EXECUTE ON FUNCTION secure_rows() FROM PUBLIC")
    op.execute("SELECT secure_rows()")


def downgrade() -> None:
    op.execute(f"""
        DO $$
        DECLARE each record;
        BEGIN
            FOR each IN {_TABLES} LOOP
                EXECUTE format('DROP POLICY IF EXISTS by_trader ON %s', each.name);
                EXECUTE format('ALTER TABLE %s NO FORCE ROW LEVEL SECURITY', each.name);
                EXECUTE format('ALTER TABLE %s DISABLE ROW LEVEL SECURITY', each.name);
            END LOOP;
        END $$
    """)
    op.execute("DROP FUNCTION secure_rows()")
