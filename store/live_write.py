"""Immediate writes of the monitor: verdicts and their consequences. Writing the same rows again is harmless."""

from dataclasses import dataclass, field
from typing import Any, Final

from psycopg import Connection
from pydantic import TypeAdapter

from domain.errors import StaleEpoch

REPAIR_AFTER_SECONDS: Final = 5  # the monitor places a lock within this time, else the relay does

_JSON: Final[TypeAdapter[Any]] = TypeAdapter(Any)  # writes JSON several times as fast as the standard library


def _text(rows: object) -> str:
    return _JSON.dump_json(rows).decode()


@dataclass(frozen=True, slots=True)
class VerdictRows:
    """The verdicts of one batch: lists of dictionaries by column name, in event order."""

    proofs: list[dict[str, Any]]  # `body` as JSON text
    breaches: list[dict[str, Any]]
    passes: list[dict[str, Any]]
    locks: list[dict[str, Any]]  # key, login, account_id, at, ends, breach_ids, payload
    signals: list[dict[str, Any]]  # key, target, name, payload
    offences: list[dict[str, Any]]
    orders: list[dict[str, Any]]  # for the venue, after the offences: key, topic, target, payload
    gates: list[dict[str, Any]]  # the current state of gates
    points: list[dict[str, Any]] = field(
        default_factory=list
    )  # of histories, in order: hash, account_id, number, `body` as JSON text


_RECORD: Final = """
    SELECT owner_epoch, waiting
      FROM record_verdicts(%b, %b, %b::jsonb, %b::text[], %b::text[], %b::text[], %b::text[], %b::text[], %b::text[],
                           %b::text[], %b::text[], %b::text[])
"""


_POINT_COLUMNS: Final = ("hash", "account_id", "number", "body")
_POINTS: Final = """
    INSERT INTO history_points (hash, account_id, number, body)
    SELECT hash, account_id, number, body::jsonb
      FROM unnest(%b::text[], %b::text[], %b::int[], %b::text[]) AS r (hash, account_id, number, body)
    ON CONFLICT DO NOTHING
"""


def _verdicts(rows: VerdictRows) -> dict[str, list[dict[str, Any]]]:
    """Returns the rows to insert by table. A gate that changed twice has its last state."""
    locks = [
        {
            "key": lock["key"],
            "topic": "venue.lock",
            "target": str(lock["login"]),
            "name": "",
            "payload": lock["payload"],
            "after": REPAIR_AFTER_SECONDS,
        }
        for lock in rows.locks
    ]
    signals = [{"topic": "workflow.signal", "after": 0} | signal for signal in rows.signals]
    orders = [{"name": "", "after": 0} | order for order in rows.orders]
    gates = {(gate["account_id"], gate["rule_id"]): gate for gate in rows.gates}
    found = {"breaches": rows.breaches, "passes": rows.passes, "messages": locks + signals + orders}
    if rows.offences:
        found["offences"] = rows.offences
    if gates:
        found["gates"] = list(gates.values())
    return found


class LiveWriter:
    """Writes the verdicts of one owner of one shard. `commit_verdicts` checks that it is still the owner."""

    def __init__(self, connection: Connection[Any], shard: int, epoch: int) -> None:
        self._connection, self._shard, self._epoch = connection, shard, epoch

    def commit_verdicts(self, rows: VerdictRows) -> list[str]:
        """Commit verdicts with proofs, account states and outbox messages in one transaction: one call of the database,
        whose function `record_verdicts` says what is done in which order.

        Returns the keys of the locks that still have to be placed. Raises StaleEpoch.
        """
        if not rows.points:
            return self._record(rows)
        with self._connection.transaction():
            placed = self._record(rows)
            self._connection.execute(_POINTS, [[row[name] for row in rows.points] for name in _POINT_COLUMNS])
        return placed

    def _record(self, rows: VerdictRows) -> list[str]:
        ended = [lock for lock in rows.locks if lock["ends"]]
        owner, waiting = self._connection.execute(
            _RECORD,
            (
                self._shard,
                self._epoch,
                _text(_verdicts(rows)),
                sorted({row["challenge_id"] for row in (*rows.breaches, *rows.passes, *rows.offences)}),
                [lock["account_id"] for lock in ended],
                [lock["at"] for lock in ended],
                *([row[name] for row in rows.proofs] for name in ("id", "account_id", "kind", "digest")),
                [row["body"] for row in rows.proofs],
                [lock["key"] for lock in rows.locks],
            ),
        ).fetchone() or (None, [])
        if owner != self._epoch:
            raise StaleEpoch(self._shard, self._epoch, owner or 0)
        open_keys = set(waiting)
        return [lock["key"] for lock in rows.locks if lock["key"] in open_keys]

    def record_locks(self, keys: list[str], breach_ids: list[str]) -> None:
        """Record that the venue has placed these locks."""
        self._connection.execute(
            """
            WITH locked AS (
                UPDATE breaches SET locked_at = clock_timestamp() WHERE id = ANY(%b) AND locked_at IS NULL
            )
            UPDATE outbox SET dispatched_at = clock_timestamp() WHERE key = ANY(%b) AND dispatched_at IS NULL
            """,
            (breach_ids, keys),
        )
