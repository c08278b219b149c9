"""The monitor's reads and the ownership of its shard: synchronous SQL on the monitor's own connection.

Rows are plain data; the monitor interprets them. Writes are in `store.live_write`.
"""

import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, LiteralString

from psycopg import Connection, Cursor
from psycopg.rows import dict_row
from psycopg.types.json import set_json_loads
from pydantic import TypeAdapter

from domain.errors import NotFound, StaleEpoch
from store.db import connect

_ROWS_AT_ONCE: Final = 2_000
_JSON: Final[TypeAdapter[Any]] = TypeAdapter(Any)  # reads JSON several times as fast as the standard library
# An account that moves between two shards belongs to neither: its `shard` is NULL until the target takes it.
_ACCOUNT: Final = """
    SELECT a.id AS account_id, a.trader_id, a.challenge_id, a.login, a.phase_index, a.initial_minor, a.product,
           a.version, a.status, a.marks, l.balance_minor, l.positions, l.rule_state,
           (SELECT coalesce(jsonb_agg(jsonb_build_array(b.rule_id, b.seq)), '[]')
              FROM (SELECT account_id, phase_index, rule_id, seq FROM breaches
                    UNION ALL SELECT account_id, phase_index, rule_id, seq FROM offences) b
             WHERE b.account_id = a.id AND b.phase_index = a.phase_index) AS breaches,
           greatest((SELECT max(b.seq) FROM breaches b WHERE b.account_id = a.id),
                    (SELECT p.seq FROM phase_passes p WHERE p.account_id = a.id), 0) AS ended_seq,
           (SELECT jsonb_build_object('move_id', r.move_id, 'product', v.product, 'version', v.to_version)
              FROM account_move_rows r JOIN account_moves v ON v.id = r.move_id
             WHERE r.account_id = a.id AND r.state = 'waiting' AND r.taken_batch IS NOT NULL
             ORDER BY r.taken_batch LIMIT 1) AS version_move,
           (SELECT jsonb_agg(jsonb_build_object('key', w.key, 'at', w.occurred_at, 'detail', w.detail))
              FROM reviews w
             WHERE w.account_id = a.id AND w.kind = 'doubtful_breach' AND w.status = 'open'
               AND NOT w.detail ? 'good_data') AS doubtful
      FROM accounts a LEFT JOIN account_live l ON l.account_id = a.id
"""
_OF_SHARD: Final = " WHERE a.platform = %(platform)s AND a.shard = %(shard)s"
_OF_MOVE: Final = """
      JOIN shard_move_accounts m ON m.account_id = a.id
     WHERE a.platform = %(platform)s AND m.move_id = %(move)s
"""
_ACTIVE: Final = " AND a.login IS NOT NULL AND a.status = 'active' ORDER BY a.login"
_CHECKPOINTED: Final = """
       AND a.login IS NOT NULL AND l.account_id IS NOT NULL
       AND (a.status = 'active' OR (l.rule_state->>'judged')::boolean OR jsonb_array_length(l.positions) > 0)
     ORDER BY a.login
"""


@dataclass(frozen=True, slots=True)
class AccountRecord:
    """An account and its last checkpoint. Before the first checkpoint, balance, positions and rule state are None."""

    account_id: str
    trader_id: str
    challenge_id: str
    login: int
    phase_index: int
    initial_minor: int
    product: str
    version: int
    status: str
    marks: str
    balance_minor: int | None
    positions: list[dict[str, Any]] | None
    rule_state: dict[str, Any] | None
    breaches: list[tuple[str, int]]
    ended_seq: int  # seq of the event that ended it last; 0: none
    version_move: dict[str, Any] | None = None  # pending, applied at the next reset: move_id, product, version
    doubtful: list[dict[str, Any]] | None = None  # open reviews of doubtful breaches that no good data have refuted


@dataclass(frozen=True, slots=True)
class ShardRecord:
    """A shard's last checkpoint: batch number, feed state and peaks. Empty before the first checkpoint."""

    batch: int
    feed: dict[str, Any]
    peaks: bytes = b""


def claim_epoch(database_url: str, shard: int) -> int:
    """Become the owner of a shard. Returns the epoch for every write; older epochs are refused from now on."""
    with connect(database_url) as connection:
        connection.execute("SELECT FROM shards WHERE id = %s FOR UPDATE", (shard,))  # waits for verdicts being recorded
        row = connection.execute(
            """
            INSERT INTO shards (id, epoch, batch, owner, claimed_at) VALUES (%s, 1, 0, %s, clock_timestamp())
            ON CONFLICT (id) DO UPDATE
               SET epoch = shards.epoch + 1, owner = excluded.owner, claimed_at = excluded.claimed_at
            RETURNING epoch
            """,
            (shard, f"{socket.gethostname()}/{os.getpid()}"[:120]),
        ).fetchone()
    assert row is not None
    return int(row[0])


def feed_of(database_url: str, shard: int) -> tuple[str, int]:
    """Returns a shard's platform and its index among the shards of that platform, from 0. Neither ever changes."""
    with connect(database_url) as connection:
        row = connection.execute(
            """
            SELECT s.platform, (SELECT count(*) FROM shards o WHERE o.platform = s.platform AND o.id < s.id)
              FROM shards s WHERE s.id = %s
            """,
            (shard,),
        ).fetchone()
    if row is None:
        raise NotFound(f"There is no shard {shard}.")
    return str(row[0]), int(row[1])


def require_epoch(connection: Connection[Any], shard: int, epoch: int) -> None:
    """Inside a transaction: keep the ownership until it ends. Raises StaleEpoch when there is a newer owner."""
    check_epoch(select_epoch_shared(connection, shard), shard, epoch)


def select_epoch_shared(connection: Connection[Any], shard: int) -> Cursor[Any]:
    """Inside a transaction: block a change of owner until it ends, but not a checkpoint of the owner. Returns the open
    query of the epoch."""
    return connection.execute("SELECT epoch FROM shards WHERE id = %s FOR KEY SHARE", (shard,))


def select_epoch_exclusive(connection: Connection[Any], shard: int) -> Cursor[Any]:
    """Like `select_epoch_shared`, for a transaction that also writes the shard's row: no other one may hold it."""
    return connection.execute("SELECT epoch FROM shards WHERE id = %s FOR NO KEY UPDATE", (shard,))


def check_epoch(held: Cursor[Any], shard: int, epoch: int) -> None:
    """Raises StaleEpoch when the selected epoch belongs to a newer owner."""
    row = held.fetchone()
    current = int(row[0]) if row else 0
    if current != epoch:
        raise StaleEpoch(shard, epoch, current)


def shard_record(connection: Connection[Any], shard: int) -> ShardRecord:
    row = connection.execute(
        "SELECT s.batch, s.feed, p.peaks FROM shards s LEFT JOIN shard_peaks p ON p.shard = s.id WHERE s.id = %s",
        (shard,),
    ).fetchone()
    return ShardRecord(int(row[0]), row[1], bytes(row[2] or b"")) if row else ShardRecord(0, {})


@dataclass(frozen=True, slots=True)
class ShardMoveRecord:
    """Accounts that move between shards. `batch` and `feed` are the source's as of the release."""

    move_id: str
    from_shard: int
    to_shard: int
    state: str
    batch: int
    feed: dict[str, Any]
    account_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AccountSelection:
    """Selects the accounts to read: a shard's own, or those of one move to it."""

    platform: str
    shard: int
    move: str | None = None

    @property
    def _query(self) -> LiteralString:
        return _ACCOUNT + (_OF_SHARD if self.move is None else _OF_MOVE)

    def by_login(self, connection: Connection[Any], login: int) -> AccountRecord | None:
        """Returns the selected account with this platform login, or None."""
        found = self._read(connection, " AND a.login = %(login)s", login)
        return found[0] if found else None

    def checkpointed(self, connection: Connection[Any]) -> Iterator[AccountRecord]:
        """Yields every account that was judged or held positions at the last checkpoint, by login.

        Reads in portions, in a transaction of its own.
        """
        with connection.transaction(), connection.cursor("checkpointed", row_factory=dict_row) as cursor:
            cursor.itersize = _ROWS_AT_ONCE
            set_json_loads(_JSON.validate_json, cursor)
            for row in cursor.execute(self._query + _CHECKPOINTED, self._values()):
                yield _account(row)

    def active(self, connection: Connection[Any]) -> list[AccountRecord]:
        """Returns every selected account that is active on the record, by login."""
        return self._read(connection, _ACTIVE)

    def _read(self, connection: Connection[Any], which: LiteralString, login: int | None = None) -> list[AccountRecord]:
        with connection.cursor(row_factory=dict_row) as cursor:
            rows = cursor.execute(self._query + which, self._values(login)).fetchall()
        return [_account(row) for row in rows]

    def _values(self, login: int | None = None) -> dict[str, Any]:
        return {"platform": self.platform, "shard": self.shard, "move": self.move, "login": login}


def unfinished_shard_moves(connection: Connection[Any], shard: int) -> list[ShardMoveRecord]:
    """Returns the moves from or to a shard that are not done, oldest first."""
    rows = connection.execute(
        """
        SELECT id, from_shard, to_shard, state, coalesce(batch, 0), coalesce(feed, '{}'),
               ARRAY(SELECT account_id FROM shard_move_accounts WHERE move_id = id ORDER BY account_id)
          FROM shard_moves WHERE state <> 'done' AND (from_shard = %(shard)s OR to_shard = %(shard)s) ORDER BY id
        """,
        {"shard": shard},
    ).fetchall()
    return [
        ShardMoveRecord(move_id, source, target, state, int(batch), feed, tuple(account_ids))
        for move_id, source, target, state, batch, feed, account_ids in rows
    ]


def _account(row: dict[str, Any]) -> AccountRecord:
    return AccountRecord(**{**row, "breaches": [(rule_id, int(seq)) for rule_id, seq in row["breaches"]]})


def account_that_left(connection: Connection[Any], platform: str, login: int) -> tuple[str, datetime] | None:
    """Returns the account that has left this login for another platform, and the market time then; None for none."""
    row = connection.execute(
        "SELECT account_id, until FROM account_places WHERE platform = %s AND login = %s AND until IS NOT NULL",
        (platform, login),
    ).fetchone()
    return None if row is None else (row[0], row[1])


def product_terms(connection: Connection[Any], product: str, version: int) -> dict[str, Any]:
    """Returns the terms of a published version. Raises NotFound."""
    row = connection.execute(
        "SELECT terms FROM products WHERE product = %s AND version = %s", (product, version)
    ).fetchone()
    if row is None:
        raise NotFound(f"There is no product {product} version {version}.")
    terms: dict[str, Any] = row[0]
    return terms


def watermark(connection: Connection[Any], feed: str) -> datetime | None:
    row = connection.execute("SELECT watermark FROM market_clock WHERE feed = %s", (feed,)).fetchone()
    return row[0] if row else None


def proof_bodies(database_url: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields (id, sheet) of every stored proof, oldest first."""
    with connect(database_url) as connection, connection.cursor("proofs") as cursor:
        connection.execute("SET LOCAL transaction_timeout = 0")  # as long as whoever reads them takes
        cursor.execute("SELECT id, body FROM proofs ORDER BY recorded_at, id")
        yield from cursor


def proof_body(database_url: str, proof_id: str) -> dict[str, Any]:
    """Returns a stored proof sheet. Raises NotFound."""
    with connect(database_url) as connection:
        row = connection.execute("SELECT body FROM proofs WHERE id = %s", (proof_id,)).fetchone()
    if row is None:
        raise NotFound(f"There is no proof sheet {proof_id}.")
    body: dict[str, Any] = row[0]
    return body


def proofs_of(database_url: str, account_id: str) -> list[dict[str, Any]]:
    """Returns every stored proof sheet of an account, oldest first."""
    with connect(database_url) as connection:
        found = connection.execute(
            "SELECT body FROM proofs WHERE account_id = %s ORDER BY recorded_at, id", (account_id,)
        ).fetchall()
    return [body for (body,) in found]


def history_points(database_url: str, account_id: str) -> dict[str, dict[str, Any]]:
    """Returns the points of an account's history, in order, by their hash. Raises NotFound for an unknown account."""
    with connect(database_url) as connection:
        if connection.execute("SELECT FROM accounts WHERE id = %s", (account_id,)).fetchone() is None:
            raise NotFound(f"There is no account {account_id}.")
        found = connection.execute(
            "SELECT hash, body FROM history_points WHERE account_id = %s ORDER BY number, recorded_at", (account_id,)
        ).fetchall()
    return dict(found)
