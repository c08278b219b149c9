"""Moves of accounts to another product version, applied by the monitor: synchronous SQL of a shard's owner.

A shard takes an approved move right after a checkpoint and writes that checkpoint's batch into the row (`taken_batch`).
A shard rebuilt from that checkpoint or a later one therefore knows the same moves and judges the same.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from psycopg import Connection

from domain.approvals import DECIDERS
from domain.products.publishing import ACCOUNT_MOVE
from store import audit
from store.live import require_epoch

# The state alone is not trusted: an active user of another person must have approved, with a role that may decide.
_APPROVED: Final = """
    EXISTS (SELECT FROM decisions d
              JOIN users u ON u.id = d.user_id AND u.active AND u.role = ANY(%(roles)s)
              JOIN users p ON p.id = v.proposed_by
             WHERE d.subject_kind = 'account_move' AND d.subject_id = v.id AND d.decision = 'approve'
               AND u.person_id <> p.person_id)
"""


@dataclass(frozen=True, slots=True)
class WaitingMove:
    """An account that moves to `version` of its product at its next daily reset."""

    move_id: str
    account_id: str
    login: int
    product: str
    version: int


@dataclass(frozen=True, slots=True)
class MoveOutcome:
    """The outcome of a move for one account at a reset. `why` is the refusal, empty when the account was moved."""

    move_id: str
    account_id: str
    product: str
    version: int
    clock_group: str
    at: datetime
    seq: int
    why: str


def approved_moves(connection: Connection[Any], shard: int) -> list[WaitingMove]:
    """Returns the approved moves of a shard's accounts that the shard has not taken, by login."""
    ask = f"""
        SELECT r.move_id, r.account_id, a.login, v.product, v.to_version
          FROM account_move_rows r
          JOIN account_moves v ON v.id = r.move_id AND v.state = 'approved'
          JOIN accounts a ON a.id = r.account_id AND a.shard = %(shard)s AND a.login IS NOT NULL
         WHERE r.state = 'waiting' AND r.taken_batch IS NULL AND {_APPROVED}
         ORDER BY a.login
    """
    parameters = {"shard": shard, "roles": sorted(DECIDERS["account_move"])}
    return [WaitingMove(*row) for row in connection.execute(ask, parameters).fetchall()]


def take_approved_moves(connection: Connection[Any], shard: int, epoch: int, batch: int) -> list[WaitingMove]:
    """Take the approved moves as of checkpoint `batch`. Returns the new ones, by login. Raises StaleEpoch."""
    found = approved_moves(connection, shard)
    if found:
        with connection.transaction():
            require_epoch(connection, shard, epoch)
            connection.execute(
                """
                UPDATE account_move_rows r SET taken_batch = %s
                  FROM jsonb_to_recordset(%s::jsonb) AS f (move_id text, account_id text)
                 WHERE r.move_id = f.move_id AND r.account_id = f.account_id
                """,
                (batch, json.dumps([{"move_id": w.move_id, "account_id": w.account_id} for w in found])),
            )
    return found


def apply_moves(connection: Connection[Any], done: list[MoveOutcome]) -> None:
    """Set the new version on the moved accounts and on the challenges they belong to now.

    Runs in the transaction of the checkpoint that holds their new rules. Running again changes nothing.
    """
    if not done:
        return
    new = _mark_rows(connection, done)
    moved = [
        {"id": one.account_id, "version": one.version, "clock": one.clock_group}
        for one in done
        if (one.move_id, one.account_id) in new and not one.why
    ]
    connection.execute(
        """
        UPDATE challenges c SET version = r.version FROM jsonb_to_recordset(%s::jsonb) AS r (id text, version int)
         WHERE c.account_id = r.id
        """,
        (json.dumps(moved),),
    )
    connection.execute(
        """
        UPDATE accounts a SET version = r.version, clock_group = r.clock
          FROM jsonb_to_recordset(%s::jsonb) AS r (id text, version int, clock text)
         WHERE a.id = r.id
        """,
        (json.dumps(moved),),
    )
    for move_id in sorted({move_id for move_id, _ in new}):
        _audit(connection, [one for one in done if one.move_id == move_id and (move_id, one.account_id) in new])
        _complete(connection, move_id)


def _mark_rows(connection: Connection[Any], done: list[MoveOutcome]) -> set[tuple[str, str]]:
    rows = [
        {
            "move_id": one.move_id,
            "account_id": one.account_id,
            "state": "refused" if one.why else "moved",
            "why": one.why,
            "at": one.at.isoformat(),
            "seq": one.seq,
        }
        for one in done
    ]
    cursor = connection.execute(
        """
        UPDATE account_move_rows m SET state = r.state, why = r.why, applied_at = r.at, applied_seq = r.seq
          FROM jsonb_to_recordset(%s::jsonb)
            AS r (move_id text, account_id text, state text, why text, at timestamptz, seq bigint)
         WHERE m.move_id = r.move_id AND m.account_id = r.account_id AND m.state = 'waiting'
        RETURNING m.move_id, m.account_id
        """,
        (json.dumps(rows),),
    )
    return {(move_id, account_id) for move_id, account_id in cursor.fetchall()}


def _audit(connection: Connection[Any], done: list[MoveOutcome]) -> None:
    """Append one audit entry per move and checkpoint. Its digest covers the moved accounts, which the rows name."""
    moved = sorted(one.account_id for one in done if not one.why)
    audit.record_now(
        connection,
        action="account_move.carried_out",
        subject_kind="account_move",
        subject_id=done[0].move_id,
        occurred_at=max(one.at for one in done),
        evidence={
            "to": f"{done[0].product}@{done[0].version}",
            "moved": len(moved),
            "refused": len(done) - len(moved),
            "accounts_digest": hashlib.sha256("\n".join(moved).encode()).hexdigest(),
        },
    )


def _complete(connection: Connection[Any], move_id: str) -> None:
    """Close the move when none of its accounts is waiting."""
    after = ACCOUNT_MOVE.next("approved", "move_completed")
    row = connection.execute(
        """
        UPDATE account_moves v SET state = %(after)s, closed_at = f.at
          FROM (SELECT max(applied_at) AS at, bool_and(state <> 'waiting') AS over FROM account_move_rows
                 WHERE move_id = %(move)s) AS f
         WHERE v.id = %(move)s AND v.state = 'approved' AND f.over
        RETURNING v.closed_at
        """,
        {"after": after, "move": move_id},
    ).fetchone()
    if row is None:
        return
    connection.execute(
        """
        INSERT INTO transitions (subject_kind, subject_id, key, trigger, from_state, to_state, detail, occurred_at)
        VALUES ('account_move', %s, 'move_completed', 'move_completed', 'approved', %s, '{}', %s)
        ON CONFLICT DO NOTHING
        """,
        (move_id, after, row[0]),
    )
    audit.record_now(
        connection,
        action="account_move.move_completed",
        subject_kind="account_move",
        subject_id=move_id,
        occurred_at=row[0],
        evidence={"from": "approved", "to": after},
    )
