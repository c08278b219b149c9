"""Immediate writes of the monitor: verdicts and their consequences. Writing the same rows again is harmless."""

from dataclasses import dataclass
from typing import Any, Final

from psycopg import Connection, Cursor, sql
from pydantic import TypeAdapter

from store.live import check_epoch, select_epoch_shared

REPAIR_AFTER_SECONDS: Final = 5  # the monitor places a lock within this time, else the relay does

_JSON: Final[TypeAdapter[Any]] = TypeAdapter(Any)  # writes JSON several times as fast as the standard library


def _text(rows: object) -> str:
    return _JSON.dump_json(rows).decode()


@dataclass(frozen=True, slots=True)
class VerdictRows:
    """The verdicts of one batch: lists of dictionaries by column name, in event order."""

    proofs: list[dict[str, Any]]
    breaches: list[dict[str, Any]]
    passes: list[dict[str, Any]]
    locks: list[dict[str, Any]]  # key, login, account_id, at, ends, breach_ids, payload
    signals: list[dict[str, Any]]  # key, target, name, payload
    offences: list[dict[str, Any]]
    orders: list[dict[str, Any]]  # for the venue, after the offences: key, topic, target, payload
    gates: list[dict[str, Any]]  # the current state of gates
    points: list[dict[str, Any]]  # of histories, in order: hash, account_id, number, body


_GATES: Final = """
    INSERT INTO gate_standings (account_id, rule_id, met, outcome, sentence, blocks, proof_id, occurred_at)
    SELECT account_id, rule_id, met, outcome, sentence, blocks, proof_id, occurred_at
      FROM jsonb_to_recordset(%s::jsonb)
        AS r (account_id text, rule_id text, met boolean, outcome text, sentence text, blocks jsonb, proof_id text,
              occurred_at timestamptz)
    ON CONFLICT (account_id, rule_id) DO UPDATE
       SET (met, outcome, sentence, blocks, proof_id, occurred_at) = ROW (excluded.met, excluded.outcome,
            excluded.sentence, excluded.blocks, excluded.proof_id, excluded.occurred_at)
     WHERE excluded.occurred_at >= gate_standings.occurred_at
"""
# Only a new verdict ends an account: one found again after a restart may have been overturned since. A new verdict from
# good data also closes the review of a doubtful breach.
_ENDINGS: Final = """
    WITH broken AS (
        INSERT INTO breaches (id, account_id, challenge_id, phase_index, rule_id, offence, proof_id, seq, occurred_at,
                              floor_minor, equity_minor, status, epoch, received_at)
        SELECT id, account_id, challenge_id, phase_index, rule_id, offence, proof_id, seq, occurred_at,
               floor_minor, equity_minor, status, epoch, received_at
          FROM jsonb_to_recordset(%s::jsonb)
            AS r (id text, account_id text, challenge_id text, phase_index int, rule_id text, offence int,
                  proof_id text, seq bigint, occurred_at timestamptz, floor_minor bigint, equity_minor bigint,
                  status text, epoch bigint, received_at timestamptz)
        ON CONFLICT DO NOTHING RETURNING account_id
    ), passed AS (
        INSERT INTO phase_passes (id, account_id, challenge_id, phase_index, proof_id, seq, occurred_at, balance_minor)
        SELECT id, account_id, challenge_id, phase_index, proof_id, seq, occurred_at, balance_minor
          FROM jsonb_to_recordset(%s::jsonb)
            AS r (id text, account_id text, challenge_id text, phase_index int, proof_id text, seq bigint,
                  occurred_at timestamptz, balance_minor bigint)
        ON CONFLICT DO NOTHING RETURNING account_id
    ), ended AS (
        UPDATE accounts SET status = 'locked', ended_at = r.at::timestamptz
          FROM unnest(%b::text[], %b::text[]) AS r (id, at)
         WHERE accounts.id = r.id AND accounts.status = 'active'
           AND r.id IN (SELECT account_id FROM broken UNION ALL SELECT account_id FROM passed)
        RETURNING accounts.id
    )
    UPDATE reviews SET status = 'closed', outcome = 'settled', close_reason = 'Judged with good data.'
      FROM ended
     WHERE reviews.account_id = ended.id AND reviews.kind = 'doubtful_breach' AND reviews.status = 'open'
"""


class LiveWriter:
    """Writes the verdicts of one owner of one shard. `commit_verdicts` checks that it is still the owner."""

    def __init__(self, connection: Connection[Any], shard: int, epoch: int) -> None:
        self._connection, self._shard, self._epoch = connection, shard, epoch

    def commit_verdicts(self, rows: VerdictRows) -> list[str]:
        """Commit verdicts with proofs, account states and outbox messages in one transaction.

        Returns the keys of the locks that still have to be placed. Raises StaleEpoch.
        """
        # The pipeline saves a round trip to the database for each statement.
        with self._connection.pipeline(), self._connection.transaction():
            self._lock_challenges(rows)
            owner = select_epoch_shared(self._connection, self._shard)
            self._insert_rows("history_points", "hash text, account_id text, number int, body jsonb", rows.points)
            self._insert_proofs(rows.proofs)
            self._insert_rows(
                "offences",
                "id text, account_id text, challenge_id text, phase_index int, rule_id text, offence int,"
                " consequence text, sentence text, deducted_minor bigint, proof_id text, seq bigint,"
                " occurred_at timestamptz, epoch bigint",
                rows.offences,
            )
            if rows.gates:
                last = {(gate["account_id"], gate["rule_id"]): gate for gate in rows.gates}
                self._connection.execute(_GATES, (_text(list(last.values())),))
            ended = [lock for lock in rows.locks if lock["ends"]]
            # arrays, because the planner knows their length and does not scan all accounts
            ids, times = [lock["account_id"] for lock in ended], [lock["at"] for lock in ended]
            self._connection.execute(_ENDINGS, (_text(rows.breaches), _text(rows.passes), ids, times))
            waiting = self._insert_messages(rows)
            check_epoch(owner, self._shard, self._epoch)
            open_keys = {key for (key,) in waiting.fetchall()}
            return [lock["key"] for lock in rows.locks if lock["key"] in open_keys]

    def _lock_challenges(self, rows: VerdictRows) -> None:
        """Lock the challenges of new verdicts before their accounts, in the order in which everybody locks.

        The rows that refer to a challenge take this same lock when they are inserted, but after their account is
        updated: a transaction that holds the challenge and waits for the account would deadlock with that.
        """
        ids = sorted({row["challenge_id"] for row in (*rows.breaches, *rows.passes, *rows.offences)})
        if ids:
            self._connection.execute("SELECT FROM challenges WHERE id = ANY(%s) ORDER BY id FOR KEY SHARE", (ids,))

    def _insert_proofs(self, rows: list[dict[str, Any]]) -> None:
        """Proof sheets are long, so each is sent as one text and parsed once."""
        if not rows:
            return
        values = [[row[name] for row in rows] for name in ("id", "account_id", "kind", "digest")]
        bodies = [_JSON.dump_json(row["body"]).decode() for row in rows]
        self._connection.execute(
            """
            INSERT INTO proofs (id, account_id, kind, digest, body)
            SELECT id, account_id, kind, digest, body::jsonb
              FROM unnest(%b::text[], %b::text[], %b::text[], %b::text[], %b::text[])
                AS r (id, account_id, kind, digest, body)
            ON CONFLICT DO NOTHING
            """,
            (*values, bodies),
        )

    def _insert_messages(self, rows: VerdictRows) -> Cursor[Any]:
        """Insert outbox messages. Returns the open query of the keys of locks not yet placed."""
        locks = [
            {
                "key": lock["key"],
                "topic": "venue.lock",
                "target": str(lock["login"]),
                "name": "",
                "after": REPAIR_AFTER_SECONDS,
            }
            | {"payload": lock["payload"]}
            for lock in rows.locks
        ]
        signals = [{"topic": "workflow.signal", "after": 0} | signal for signal in rows.signals]
        orders = [{"name": "", "after": 0} | order for order in rows.orders]
        self._connection.execute(
            """
            INSERT INTO outbox (key, topic, target, name, payload, attempts, next_at)
            SELECT key, topic, target, name, payload, 0, clock_timestamp() + make_interval(secs => after)
              FROM jsonb_to_recordset(%s::jsonb)
                AS r (key text, topic text, target text, name text, payload jsonb, after int)
            ON CONFLICT (key) DO NOTHING
            """,
            (_text(locks + signals + orders),),
        )
        keys = [lock["key"] for lock in rows.locks]
        return self._connection.execute("SELECT key FROM outbox WHERE key = ANY(%s) AND dispatched_at IS NULL", (keys,))

    def record_locks(self, keys: list[str], breach_ids: list[str]) -> None:
        """Record that the venue has placed these locks."""
        with self._connection.pipeline(), self._connection.transaction():
            self._connection.execute(
                "UPDATE breaches SET locked_at = clock_timestamp() WHERE id = ANY(%s) AND locked_at IS NULL",
                (breach_ids,),
            )
            self._connection.execute(
                "UPDATE outbox SET dispatched_at = clock_timestamp() WHERE key = ANY(%s) AND dispatched_at IS NULL",
                (keys,),
            )

    def _insert_rows(self, table: str, shape: str, rows: list[dict[str, Any]]) -> None:
        """Insert rows in bulk, skipping those that exist."""
        if not rows:
            return
        names = sql.SQL(", ").join(sql.Identifier(part.split()[0]) for part in shape.split(", "))
        query = sql.SQL(
            "INSERT INTO {} ({}) SELECT {} FROM jsonb_to_recordset(%s::jsonb) AS r ({}) ON CONFLICT DO NOTHING"
        )
        self._connection.execute(query.format(sql.Identifier(table), names, names, sql.SQL(shape)), (_text(rows),))
