"""Attempts to send a payout are rows of their own.

The one transfer of a payout of until now becomes its first attempt, under the key that its provider knows. A payout
that was `returned` had given its money back to the account: it is `released` now. `returned` is a payout whose money
came back and for which a person must choose.
"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0022"
branch_labels = None
depends_on = None

# Of which state an attempt is: by what its intent says, or by how far its payout came.
_ATTEMPTS = """
INSERT INTO payout_transfers (id, payout_id, number, rail, state, provider_id, amount_minor, currency, terms_digest,
                              why, tries, declared_at, changed_at)
SELECT p.id || '/transfer', p.id, 1, p.rail,
       CASE WHEN p.transfer_id IS NULL AND i.result ? 'refused' THEN 'refused'
            WHEN p.transfer_id IS NULL AND i.result ? 'released' THEN 'never_sent'
            WHEN p.transfer_id IS NULL THEN 'declared'
            WHEN p.state IN ('settling', 'paid') THEN 'paid'
            WHEN p.state IN ('releasing', 'returned') THEN 'returned'
            ELSE 'sent' END,
       p.transfer_id,
       coalesce((i.payload ->> 'amount_minor')::bigint, p.trader_minor + p.refund_minor), p.currency,
       coalesce(i.payload ->> 'digest', p.terms_digest), i.result ->> 'refused', 1,
       coalesce(i.recorded_at, p.requested_at), coalesce(i.done_at, i.recorded_at, p.requested_at)
FROM payouts p LEFT JOIN intents i ON i.key = p.id || '/transfer'
WHERE i.key IS NOT NULL OR p.transfer_id IS NOT NULL
"""
_HALTED = """
UPDATE payouts p SET halted = 'The rail refused the transfer: ' || coalesce(t.why, 'no reason given')
FROM payout_transfers t
WHERE t.payout_id = p.id AND t.state = 'refused' AND p.state IN ('in_review', 'awaiting_approval')
"""
_STEPS = """
UPDATE payouts p SET steps = t.taken, changed_at = t.last
FROM (SELECT subject_id, count(*) AS taken, max(occurred_at) AS last FROM transitions WHERE subject_kind = 'payout' GROUP BY subject_id) t
WHERE t.subject_id = p.id
"""


def upgrade() -> None:
    op.add_column("payouts", sa.Column("halted", sa.Text(), nullable=True))
    op.add_column("payouts", sa.Column("steps", sa.Integer(), server_default="0", nullable=False))
    op.add_column("payouts", sa.Column("reopened_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("payouts", sa.Column("changed_at", sa.DateTime(timezone=True), nullable=True))
    op.execute("UPDATE payouts SET changed_at = requested_at")
    op.alter_column("payouts", "changed_at", nullable=False, server_default=sa.text("clock_timestamp()"))
    op.drop_index("uq_payouts_open", "payouts")
    op.create_index(
        "uq_payouts_open",
        "payouts",
        ["account_id"],
        unique=True,
        postgresql_where=sa.text("closed_at IS NULL AND reopened_at IS NULL"),
    )
    _make_transfers()
    op.execute(_ATTEMPTS)
    op.execute(_HALTED)
    op.execute(_STEPS)
    op.execute("UPDATE payouts SET state = 'released' WHERE state = 'returned'")


def _make_transfers() -> None:
    wall = sa.DateTime(timezone=True)
    op.create_table(
        "payout_transfers",
        sa.Column("id", sa.String(length=48), nullable=False),
        sa.Column("payout_id", sa.String(length=32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("rail", sa.String(length=40), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("provider_id", sa.String(length=80), nullable=True),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=4), nullable=False),
        sa.Column("terms_digest", sa.String(length=64), nullable=False),
        sa.Column("beneficiary_digest", sa.String(length=64), nullable=True),
        sa.Column("why", sa.Text(), nullable=True),
        sa.Column("tries", sa.Integer(), server_default="0", nullable=False),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("failing_since", wall, nullable=True),
        sa.Column("busy_until", wall, nullable=True),
        sa.Column("declared_at", wall, nullable=False),
        sa.Column("changed_at", wall, nullable=False),
        sa.Column("recorded_at", wall, server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payout_transfers")),
        sa.ForeignKeyConstraint(["payout_id"], ["payouts.id"], name=op.f("fk_payout_transfers_payout_id")),
        sa.UniqueConstraint("payout_id", "number", name=op.f("uq_payout_transfers_payout_id")),
        sa.UniqueConstraint("rail", "provider_id", name=op.f("uq_payout_transfers_rail")),
    )
