"""Cases of several alerts with frozen evidence, notes, an assignee, a hold with a date, and proposed actions."""

import hashlib
import json
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0042"
down_revision = "0040"
branch_labels = None
depends_on = None

_INSTANT = sa.DateTime(timezone=True)
_FAMILIES = {"copy_trading": "copying"}  # of the detectors until now; any other is its own


def upgrade() -> None:
    _columns()
    _tables()
    _actions()
    _guards()
    _earlier_cases(op.get_bind())
    op.alter_column("cases", "family", nullable=False)
    op.alter_column("cases", "subject_key", nullable=False)
    op.create_index(
        "uq_cases_open", "cases", ["family", "subject_key"], unique=True, postgresql_where=sa.text("state = 'open'")
    )


def _columns() -> None:
    op.add_column("alerts", sa.Column("severity", sa.String(8), server_default="hold", nullable=False))
    for column in (
        sa.Column("family", sa.String(40)),
        sa.Column("subject_key", sa.String(64)),
        sa.Column("assigned_to", sa.String(32)),
        sa.Column("hold_until", _INSTANT),
        sa.Column("escalate_at", _INSTANT),
        sa.Column("escalated_at", _INSTANT),
        sa.Column("hold_ended_at", _INSTANT),
        sa.Column("outcome", sa.String(16)),
        sa.Column("action", sa.String(8)),
        sa.Column("is_sample", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("is_blind", sa.Boolean(), server_default="false", nullable=False),
    ):
        op.add_column("cases", column)
    op.create_foreign_key("fk_cases_assigned_to", "cases", "users", ["assigned_to"], ["id"])
    op.add_column("case_accounts", sa.Column("blamed", sa.Boolean(), server_default="false", nullable=False))
    op.add_column("case_accounts", sa.Column("holds", sa.Boolean(), server_default="true", nullable=False))
    op.add_column("case_accounts", sa.Column("link_strength", sa.Numeric(5, 4), server_default="1", nullable=False))
    op.alter_column("disputes", "breach_id", nullable=True)
    op.add_column("disputes", sa.Column("case_id", sa.String(32)))
    op.create_foreign_key("fk_disputes_case_id", "disputes", "cases", ["case_id"], ["id"])
    op.create_index("uq_disputes_case", "disputes", ["case_id", "trader_id"], unique=True)
    op.create_check_constraint("ck_disputes_about", "disputes", "(breach_id IS NULL) <> (case_id IS NULL)")


def _tables() -> None:
    now = sa.text("clock_timestamp()")
    op.create_table(
        "case_alerts",
        sa.Column("alert_id", sa.String(32), nullable=False),
        sa.Column("case_id", sa.String(32), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("joined_at", _INSTANT, nullable=False),
        sa.Column("recorded_at", _INSTANT, server_default=now, nullable=False),
        sa.ForeignKeyConstraint(["alert_id"], ["alerts.id"], name="fk_case_alerts_alert_id"),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name="fk_case_alerts_case_id"),
        sa.PrimaryKeyConstraint("alert_id", name="pk_case_alerts"),
    )
    op.create_index("ix_case_alerts_case_id", "case_alerts", ["case_id"])
    op.create_table(
        "case_notes",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("case_id", sa.String(32), nullable=False),
        sa.Column("author_id", sa.String(32), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("occurred_at", _INSTANT, nullable=False),
        sa.Column("recorded_at", _INSTANT, server_default=now, nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name="fk_case_notes_case_id"),
        sa.ForeignKeyConstraint(["author_id"], ["users.id"], name="fk_case_notes_author_id"),
        sa.PrimaryKeyConstraint("id", name="pk_case_notes"),
    )
    op.create_index("ix_case_notes_case", "case_notes", ["case_id", "id"])


def _actions() -> None:
    """What was a deduction is one of several actions that people propose."""
    op.rename_table("profit_deductions", "case_actions")
    for name in ("pk_{}", "fk_{}_case_id", "fk_{}_proposed_by"):
        old, new = name.format("profit_deductions"), name.format("case_actions")
        op.execute(f"ALTER TABLE case_actions RENAME CONSTRAINT {old} TO {new}")
    op.execute("ALTER INDEX ix_profit_deductions_case_id RENAME TO ix_case_actions_case_id")
    op.execute("ALTER INDEX uq_profit_deductions_open RENAME TO uq_case_actions_open")
    op.add_column("case_actions", sa.Column("action", sa.String(8), server_default="deduct", nullable=False))
    op.add_column("case_actions", sa.Column("message", sa.Text(), server_default="", nullable=False))
    op.alter_column("case_actions", "action", server_default=None)
    op.alter_column("case_actions", "message", server_default=None)
    op.alter_column("deducted_trades", "deduction_id", new_column_name="action_id")
    old, new = "fk_deducted_trades_deduction_id", "fk_deducted_trades_action_id"
    op.execute(f"ALTER TABLE deducted_trades RENAME CONSTRAINT {old} TO {new}")
    op.create_table(
        "denied_payouts",
        sa.Column("action_id", sa.String(32), nullable=False),
        sa.Column("payout_id", sa.String(32), nullable=False),
        sa.ForeignKeyConstraint(["action_id"], ["case_actions.id"], name="fk_denied_payouts_action_id"),
        sa.ForeignKeyConstraint(["payout_id"], ["payouts.id"], name="fk_denied_payouts_payout_id"),
        sa.PrimaryKeyConstraint("action_id", "payout_id", name="pk_denied_payouts"),
    )
    op.create_index("ix_denied_payouts_payout_id", "denied_payouts", ["payout_id"])


def _guards() -> None:
    """What was frozen, noted or named never changes. A trade that counts goes on counting unless an appeal of
    its trader was granted, who is not blamed any more then."""
    for table in ("case_alerts", "case_notes", "denied_payouts"):
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION refuse_change()"
        )
        op.execute(
            f"CREATE TRIGGER no_truncate BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
    op.execute("""
        CREATE OR REPLACE FUNCTION keep_deducted_trade() RETURNS trigger LANGUAGE plpgsql
        SET search_path = pg_catalog, public AS $$
        BEGIN
            IF TG_OP = 'DELETE' OR to_jsonb(NEW) - 'counts' <> to_jsonb(OLD) - 'counts' OR (NOT NEW.counts AND NOT EXISTS
                (SELECT FROM case_actions a JOIN case_accounts m ON m.case_id = a.case_id
                  WHERE a.id = NEW.action_id AND m.account_id = NEW.account_id AND NOT m.blamed)) THEN
                RAISE EXCEPTION 'a deducted trade was proposed and cannot change: propose anew'
                    USING ERRCODE = 'restrict_violation';
            END IF;
            RETURN NEW;
        END $$
    """)


def _earlier_cases(bind: sa.Connection) -> None:
    """Every case until now has one alert, and holds what it names. An open hold gets a date."""
    rows = bind.execute(
        sa.text(
            "SELECT c.id, c.state, c.opened_at, a.id AS alert_id, a.key, a.detector, a.score, a.sentence, a.evidence,"
            " a.occurred_at FROM cases c JOIN alerts a ON a.id = c.alert_id ORDER BY c.id"
        )
    )
    for row in rows.all():
        evidence: dict[str, Any] = row.evidence
        bind.execute(
            sa.text(
                "INSERT INTO case_alerts (alert_id, case_id, digest, joined_at) VALUES (:alert, :case, :digest, :at)"
            ),
            {"alert": row.alert_id, "case": row.id, "digest": _digest(row), "at": row.opened_at},
        )
        blamed = evidence.get("blamed") or [evidence[name] for name in ("follower",) if name in evidence]
        bind.execute(
            sa.text("UPDATE case_accounts SET blamed = true WHERE case_id = :case AND account_id = ANY(:blamed)"),
            {"case": row.id, "blamed": list(blamed)},
        )
        outcome, action = _ENDED.get(row.state, (None, None))
        bind.execute(
            sa.text(
                "UPDATE cases SET family = :family, subject_key = :id, outcome = :outcome, action = :action"
                " WHERE id = :id"
            ),
            {
                "id": row.id,
                "family": _FAMILIES.get(row.detector, row.detector),
                "outcome": outcome,
                "action": action,
            },
        )
        if row.state == "open" and row.detector in _FAMILIES:
            _dated(bind, row.id, row.opened_at)


_ENDED = {
    "cleared": ("false_positive", "none"),
    "confirmed": ("confirmed", "close"),
    "deducted": ("confirmed", "deduct"),
}


def _dated(bind: sa.Connection, case_id: str, opened_at: Any) -> None:
    escalate, end = opened_at + timedelta(days=3), opened_at + timedelta(days=7)
    bind.execute(
        sa.text("UPDATE cases SET escalate_at = :escalate, hold_until = :end WHERE id = :id"),
        {"id": case_id, "escalate": escalate, "end": end},
    )
    bind.execute(
        sa.text("INSERT INTO wakeups (workflow_id, due_at) VALUES ('case/' || :case, :due) ON CONFLICT DO NOTHING"),
        {"case": case_id, "due": escalate},
    )


def _digest(row: Any) -> str:
    body = {
        "v": 1,
        "key": row.key,
        "detector": row.detector,
        "score": f"{row.score:.4f}",
        "sentence": row.sentence,
        "evidence": row.evidence,
        "at": row.occurred_at.timestamp(),
    }
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


_TOLD = """
DO $$ BEGIN
    IF EXISTS (SELECT FROM disputes WHERE case_id IS NOT NULL) THEN
        RAISE EXCEPTION 'there are appeals against cases, which the earlier tables cannot hold'
            USING HINT = 'Restore a backup that was made before the upgrade.';
    END IF;
    IF EXISTS (SELECT FROM case_actions WHERE action <> 'deduct')
        OR EXISTS (SELECT FROM cases WHERE state NOT IN ('open', 'cleared', 'confirmed', 'deducted')) THEN
        RAISE EXCEPTION 'cases ended with actions that the earlier tables cannot hold'
            USING HINT = 'Restore a backup that was made before the upgrade.';
    END IF;
END $$
"""


def downgrade() -> None:
    """Refuses when the earlier tables cannot hold what was decided. The notes are lost. A case keeps its first alert,
    and the alerts that joined it stay without a case."""
    op.execute(_TOLD)
    op.execute("""
        CREATE OR REPLACE FUNCTION keep_deducted_trade() RETURNS trigger LANGUAGE plpgsql
        SET search_path = pg_catalog, public AS $$
        BEGIN
            IF TG_OP = 'DELETE' OR NOT NEW.counts OR to_jsonb(NEW) - 'counts' <> to_jsonb(OLD) - 'counts' THEN
                RAISE EXCEPTION 'a deducted trade was proposed and cannot change: propose anew'
                    USING ERRCODE = 'restrict_violation';
            END IF;
            RETURN NEW;
        END $$
    """)
    op.drop_index("uq_cases_open", "cases")
    for table in ("denied_payouts", "case_notes", "case_alerts"):
        op.drop_table(table)
    op.drop_column("case_actions", "message")
    op.drop_column("case_actions", "action")
    old, new = "fk_deducted_trades_action_id", "fk_deducted_trades_deduction_id"
    op.execute(f"ALTER TABLE deducted_trades RENAME CONSTRAINT {old} TO {new}")
    op.alter_column("deducted_trades", "action_id", new_column_name="deduction_id")
    op.rename_table("case_actions", "profit_deductions")
    for name in ("pk_{}", "fk_{}_case_id", "fk_{}_proposed_by"):
        old, new = name.format("case_actions"), name.format("profit_deductions")
        op.execute(f"ALTER TABLE profit_deductions RENAME CONSTRAINT {old} TO {new}")
    op.execute("ALTER INDEX ix_case_actions_case_id RENAME TO ix_profit_deductions_case_id")
    op.execute("ALTER INDEX uq_case_actions_open RENAME TO uq_profit_deductions_open")
    op.drop_constraint("ck_disputes_about", "disputes", type_="check")
    op.drop_index("uq_disputes_case", "disputes")
    op.drop_constraint("fk_disputes_case_id", "disputes")
    op.drop_column("disputes", "case_id")
    op.alter_column("disputes", "breach_id", nullable=False)
    for column in ("link_strength", "holds", "blamed"):
        op.drop_column("case_accounts", column)
    op.drop_constraint("fk_cases_assigned_to", "cases")
    for column in (
        *("family", "subject_key", "assigned_to", "hold_until", "escalate_at", "escalated_at", "hold_ended_at"),
        *("outcome", "action", "is_sample", "is_blind"),
    ):
        op.drop_column("cases", column)
    op.drop_column("alerts", "severity")
