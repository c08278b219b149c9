"""The audit log is a chain for each subject, with anchors over all of them."""

import hashlib

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit_anchors",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("through", sa.BigInteger(), nullable=False),
        sa.Column("entries", sa.Integer(), nullable=False),
        sa.Column("one_chain", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column(
            "recorded_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_audit_anchors")),
        sa.UniqueConstraint("through", name=op.f("uq_audit_anchors_through")),
    )
    for name, when in (("append_only", "UPDATE OR DELETE"), ("no_truncate", "TRUNCATE")):
        each = "STATEMENT" if when == "TRUNCATE" else "ROW"
        op.execute(
            f"CREATE TRIGGER {name} BEFORE {when} ON audit_anchors FOR EACH {each} EXECUTE FUNCTION refuse_change()"
        )
    op.drop_index("ix_audit_log_subject", table_name="audit_log")
    op.create_index("ix_audit_log_subject", "audit_log", ["subject_kind", "subject_id", "seq"])
    op.execute("CREATE SEQUENCE audit_seq")
    op.execute("SELECT setval('audit_seq', max(seq)) FROM audit_log HAVING count(*) > 0")
    _close_the_one_chain()


def _close_the_one_chain() -> None:
    """Anchors the entries that are one chain over all subjects."""
    body, through, entries = hashlib.sha256(b"0" * 64), 0, 0
    log = sa.text("SELECT seq, digest FROM audit_log ORDER BY seq").execution_options(stream_results=True)
    for seq, digest in op.get_bind().execute(log):
        body.update(f"\n{seq}:{digest}".encode())
        through, entries = seq, entries + 1
    if entries:
        op.get_bind().execute(
            sa.text(
                "INSERT INTO audit_anchors (number, through, entries, one_chain, digest)"
                " VALUES (1, :through, :entries, true, :digest)"
            ),
            {"through": through, "entries": entries, "digest": body.hexdigest()},
        )
