"""The note of a case keeps its words, and may come under another key: only its encrypted body can be written anew."""

from alembic import op

revision = "0047"
down_revision = "0046"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("DROP TRIGGER append_only ON case_notes")
    op.execute("""
        CREATE FUNCTION keep_case_note() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
        BEGIN
            IF TG_OP = 'DELETE' OR to_jsonb(NEW) - 'body' <> to_jsonb(OLD) - 'body' THEN
                RAISE EXCEPTION 'a note of a case cannot change: write another one' USING ERRCODE = 'restrict_violation';
            END IF;
            RETURN NEW;
        END $$
    """)
    op.execute(
        "CREATE TRIGGER keep_case_note BEFORE UPDATE OR DELETE ON case_notes FOR EACH ROW"
        " EXECUTE FUNCTION keep_case_note()"
    )


def downgrade() -> None:
    op.execute("DROP TRIGGER keep_case_note ON case_notes")
    op.execute("DROP FUNCTION keep_case_note()")
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON case_notes FOR EACH ROW EXECUTE FUNCTION refuse_change()"
    )
