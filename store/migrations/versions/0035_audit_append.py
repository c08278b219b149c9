"""An audit entry is written in one round trip: the database takes its number, finds its predecessor and hashes it."""

from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # The text that is hashed comes in three parts: the digest of the predecessor goes between the first two, the number
    # between the last two. Each statement of a volatile function has a snapshot of its own: the last entry is read after
    # the locks are held.
    op.execute("""
        CREATE FUNCTION audit_append(writers integer, head text, middle text, foot text, actor text, role text,
                                     action text, kind text, subject text, reason text, evidence jsonb,
                                     occurred_at timestamptz, recorded_at timestamptz) RETURNS bigint
        LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
        DECLARE
            number bigint;
            before text;
        BEGIN
            PERFORM pg_advisory_xact_lock_shared(writers);
            PERFORM pg_advisory_xact_lock(writers, hashtext(kind || '/' || subject));
            number := nextval('audit_seq');
            SELECT a.digest INTO before FROM audit_log a
             WHERE a.subject_kind = kind AND a.subject_id = subject ORDER BY a.seq DESC LIMIT 1;
            before := coalesce(before, repeat('0', 64));
            INSERT INTO audit_log (seq, actor, role, action, subject_kind, subject_id, reason, evidence, occurred_at,
                                   recorded_at, previous, digest)
            VALUES (
                number, actor, role, action, kind, subject, reason, evidence, occurred_at, recorded_at, before,
                encode(sha256(convert_to(head || before || middle || number || foot, 'UTF8')), 'hex')
            );
            RETURN number;
        END $$
    """)
    op.execute("DROP FUNCTION audit_tail(integer, text, text)")


def downgrade() -> None:
    op.execute("DROP FUNCTION audit_append")
    op.execute("""
        CREATE FUNCTION audit_tail(writers integer, kind text, subject text, OUT seq bigint, OUT previous text)
        LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
        BEGIN
            PERFORM pg_advisory_xact_lock_shared(writers);
            PERFORM pg_advisory_xact_lock(writers, hashtext(kind || '/' || subject));
            seq := nextval('audit_seq');
            SELECT a.digest INTO previous FROM audit_log a
             WHERE a.subject_kind = kind AND a.subject_id = subject ORDER BY a.seq DESC LIMIT 1;
        END $$
    """)
