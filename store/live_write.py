"""What the monitor writes: verdicts at once, everything else with a checkpoint. Repeating any of it is harmless."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from psycopg import Connection, Cursor, sql
from pydantic import TypeAdapter

from store.live import check_epoch, epoch_held, epoch_taken
from store.version_moves import CarriedOut, carry_out

_CLOCK_LOCK: Final = 7120003
_BARS_AT_ONCE: Final = 2_000
_BINARY_HEAD: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)  # no flags, no extension
_BINARY_END: Final = b"\xff\xff"
_BINARY_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
REPAIR_AFTER_SECONDS: Final = 5  # by then the monitor has placed the lock itself, or it is the relay's to place

Row = Sequence[Any]
_JSON: Final[TypeAdapter[Any]] = TypeAdapter(Any)  # writes JSON several times as fast as the standard library


def _text(rows: object) -> str:
    return _JSON.dump_json(rows).decode()


@dataclass(frozen=True, slots=True)
class VerdictRows:
    """Rows of one batch's verdicts, as dictionaries by column, in event order."""

    proofs: list[dict[str, Any]]
    breaches: list[dict[str, Any]]
    passes: list[dict[str, Any]]
    locks: list[dict[str, Any]]  # key, login, account_id, at, ends, breach_ids, payload
    signals: list[dict[str, Any]]  # key, target, name, payload
    offences: list[dict[str, Any]]
    orders: list[dict[str, Any]]  # for the venue, after the offences: key, topic, target, payload
    gates: list[dict[str, Any]]  # where gates stand now


@dataclass(frozen=True, slots=True)
class MinuteRows:
    """The bars of one minute: per account its id, and open, high, low, close and balance."""

    minute: datetime
    account_ids: npt.NDArray[np.bytes_]
    figures: npt.NDArray[np.int64]  # accounts x 5


@dataclass(frozen=True, slots=True)
class CheckpointRows:
    """Everything a shard holds as of batch `batch`; each row in the order of the columns named below. `peaks`: those
    that moved after their accounts' rows were stored. `released` and `taken` are the moves (ids) whose accounts the
    shard lets go, or has caught up with, at this very batch."""

    batch: int
    feed_name: str
    feed: dict[str, Any]
    watermark: datetime
    last_tick_at: datetime | None
    peaks: bytes = b""
    live: list[Row] = field(default_factory=list)
    deals: list[Row] = field(default_factory=list)
    operations: list[Row] = field(default_factory=list)
    snapshots: list[Row] = field(default_factory=list)
    bars: list[MinuteRows] = field(default_factory=list)
    exposures: list[Row] = field(default_factory=list)
    reviews: list[Row] = field(default_factory=list)
    warnings: list[Row] = field(default_factory=list)
    corrections: list[Row] = field(default_factory=list)
    version_moves: list[CarriedOut] = field(default_factory=list)
    released: list[str] = field(default_factory=list)
    taken: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Table:
    name: str
    columns: tuple[str, ...]
    conflict: str
    order: str = ""


_LIVE: Final = _Table(
    "account_live",
    (
        *("account_id", "batch", "at", "balance_minor", "equity_minor", "trading_days", "last_trading_day"),
        *("positions", "floors", "rule_state"),
    ),
    "(account_id) DO UPDATE SET (batch, at, balance_minor, equity_minor, trading_days, last_trading_day, positions,"
    " floors, rule_state) = ROW (excluded.batch, excluded.at, excluded.balance_minor, excluded.equity_minor,"
    " excluded.trading_days, excluded.last_trading_day, excluded.positions, excluded.floors, excluded.rule_state)",
)
_DEALS: Final = _Table(
    "deals",
    (
        *("account_id", "deal_id", "seq", "at", "position_id", "symbol", "side", "entry", "lots", "price"),
        *("profit_minor", "commission_minor", "swap_minor", "balance_minor", "reason"),
    ),
    "(account_id, deal_id) DO NOTHING",
    "seq",
)
_OPERATIONS: Final = _Table(
    "balance_operations",
    ("account_id", "key", "operation", "seq", "at", "amount_minor", "balance_minor"),
    "(account_id, key) DO NOTHING",
    "seq",
)
_SNAPSHOTS: Final = _Table(
    "daily_snapshots",
    ("account_id", "day", "reset_at", "balance_minor", "equity_minor", "floors"),
    "(account_id, day) DO NOTHING",
)
_BARS: Final = _Table(
    "equity_bars",
    ("account_id", "minute", "open_minor", "high_minor", "low_minor", "close_minor", "balance_minor"),
    # A checkpoint within a minute stores what there is of it; the rest of the minute extends it.
    "(account_id, minute) DO UPDATE SET (high_minor, low_minor, close_minor, balance_minor) ="
    " ROW (greatest(equity_bars.high_minor, excluded.high_minor), least(equity_bars.low_minor, excluded.low_minor),"
    " excluded.close_minor, excluded.balance_minor)",
)
_EXPOSURES: Final = _Table(
    "exposures",
    ("shard", "symbol", "long_lots", "short_lots", "accounts", "floating_minor", "bid", "ask", "at"),
    "(shard, symbol) DO UPDATE SET (long_lots, short_lots, accounts, floating_minor, bid, ask, at) ="
    " ROW (excluded.long_lots, excluded.short_lots, excluded.accounts, excluded.floating_minor, excluded.bid,"
    " excluded.ask, excluded.at)",
)
_REVIEWS: Final = _Table(
    "reviews",
    ("id", "key", "kind", "account_id", "detail", "status", "occurred_at", "close_reason"),
    "(key) DO UPDATE SET (detail, status, close_reason) = ROW (excluded.detail, excluded.status, excluded.close_reason)"
    " WHERE reviews.status = 'open'",
    "key",  # shards that see the same bad quote write the same key: in one order, so that none waits in a circle
)


_WARNINGS: Final = _Table(
    "warnings",
    ("account_id", "kind", "rule_id", "period", "at", "figures"),
    "(account_id, kind, rule_id, period) DO NOTHING",
    "at",
)
_CORRECTIONS: Final = _Table(
    "corrections", ("feed", "seq", "corrects_seq", "at", "body"), "(feed, seq) DO NOTHING", "seq"
)


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
# Only a verdict that is new ends an account: one found again after a restart may have been overturned since. And what a
# person was asked to look at because the data were doubtful, good data have judged.
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
    """Writes for one owner of one shard; every transaction first makes sure that it still is the owner."""

    def __init__(self, connection: Connection[Any], shard: int, epoch: int) -> None:
        self._connection, self._shard, self._epoch = connection, shard, epoch
        self._staged: set[str] = set()

    def verdicts(self, rows: VerdictRows) -> list[str]:
        """Commit verdicts with proofs, account states and messages in one transaction. Gives the keys of the locks
        that still have to be placed. Raises StaleEpoch."""
        # One way there and back for all statements: each would wait for its own answer otherwise.
        with self._connection.pipeline(), self._connection.transaction():
            owner = epoch_held(self._connection, self._shard)
            self._proofs(rows.proofs)
            self._insert(
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
            # as arrays, whose length the planner knows: it must not read all accounts to end one
            ids, times = [lock["account_id"] for lock in ended], [lock["at"] for lock in ended]
            self._connection.execute(_ENDINGS, (_text(rows.breaches), _text(rows.passes), ids, times))
            waiting = self._messages(rows)
            check_epoch(owner, self._shard, self._epoch)
            open_keys = {key for (key,) in waiting.fetchall()}
            return [lock["key"] for lock in rows.locks if lock["key"] in open_keys]

    def _proofs(self, rows: list[dict[str, Any]]) -> None:
        """Sheets are long: each travels as a text of its own and is taken apart once."""
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

    def _messages(self, rows: VerdictRows) -> Cursor[Any]:
        """Gives the keys of the locks that nobody has placed yet."""
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

    def locked(self, keys: list[str], breach_ids: list[str]) -> None:
        """The venue has placed these locks."""
        with self._connection.pipeline(), self._connection.transaction():
            self._connection.execute(
                "UPDATE breaches SET locked_at = clock_timestamp() WHERE id = ANY(%s) AND locked_at IS NULL",
                (breach_ids,),
            )
            self._connection.execute(
                "UPDATE outbox SET dispatched_at = clock_timestamp() WHERE key = ANY(%s) AND dispatched_at IS NULL",
                (keys,),
            )

    def checkpoint(self, rows: CheckpointRows) -> None:
        """Store everything up to a batch in one transaction. Raises StaleEpoch.

        Whose the shard is, is asked last, and of what verdicts lock nothing is touched before: they hold the shard's row
        too, and must not wait for all the rest. A newer owner sees nothing of it, since nothing is committed then.
        """
        with self._connection.transaction():
            for table, data in (
                (_DEALS, rows.deals),
                (_OPERATIONS, rows.operations),
                (_SNAPSHOTS, rows.snapshots),
                (_LIVE, rows.live),
                (_EXPOSURES, rows.exposures),
                (_WARNINGS, rows.warnings),
                (_CORRECTIONS, rows.corrections),
            ):
                self._copy(table, data)
            self._bars(rows.bars)
            self._connection.execute(
                "INSERT INTO shard_peaks (shard, peaks) VALUES (%s, %b)"
                " ON CONFLICT (shard) DO UPDATE SET peaks = excluded.peaks",
                (self._shard, rows.peaks),
            )
            self._stage(_REVIEWS, rows.reviews)
            check_epoch(epoch_taken(self._connection, self._shard), self._shard, self._epoch)
            if rows.reviews:
                self._merge(_REVIEWS)
            carry_out(self._connection, rows.version_moves)
            if rows.released or rows.taken:
                self._moves(rows)
            with self._connection.pipeline():
                self._connection.execute(
                    "UPDATE shards SET batch = %s, feed = %s::jsonb, watermark = %s, checkpoint_at = clock_timestamp()"
                    " WHERE id = %s",
                    (rows.batch, json.dumps(rows.feed), rows.watermark, self._shard),
                )
                self._market_clock(rows)

    def _market_clock(self, rows: CheckpointRows) -> None:
        """Market time is that of the slowest shard. One checkpoint at a time reads the shards: two at once would each
        miss what the other has just stored."""
        self._connection.execute("SELECT pg_advisory_xact_lock(%s)", (_CLOCK_LOCK,))
        self._connection.execute(
            """
            INSERT INTO market_clock (feed, watermark, last_tick_at)
            SELECT %s, min(watermark), %s FROM shards HAVING bool_and(watermark IS NOT NULL)
            ON CONFLICT (feed) DO UPDATE
               SET recorded_at = CASE WHEN excluded.watermark > market_clock.watermark THEN clock_timestamp()
                                      ELSE market_clock.recorded_at END,
                   watermark = greatest(market_clock.watermark, excluded.watermark),
                   last_tick_at = greatest(market_clock.last_tick_at, excluded.last_tick_at)
            """,
            (rows.feed_name, rows.last_tick_at),
        )

    def _moves(self, rows: CheckpointRows) -> None:
        moved = "SELECT account_id FROM shard_move_accounts WHERE move_id = ANY(%s)"
        self._connection.execute(
            f"UPDATE accounts SET shard = NULL WHERE id IN ({moved}) AND shard = %s", (rows.released, self._shard)
        )
        self._connection.execute(
            "UPDATE shard_moves SET state = 'released', batch = %s, feed = %s::jsonb, released_at = clock_timestamp()"
            " WHERE id = ANY(%s) AND state = 'requested' AND from_shard = %s",
            (rows.batch, json.dumps(rows.feed), rows.released, self._shard),
        )
        self._connection.execute(
            f"UPDATE accounts SET shard = %s WHERE id IN ({moved}) AND shard IS NULL", (self._shard, rows.taken)
        )
        self._connection.execute(
            "UPDATE shard_moves SET state = 'done', done_at = clock_timestamp()"
            " WHERE id = ANY(%s) AND state = 'released' AND to_shard = %s",
            (rows.taken, self._shard),
        )

    def _insert(self, table: str, shape: str, rows: list[dict[str, Any]]) -> None:
        """Insert rows in bulk, skipping those that exist."""
        if not rows:
            return
        names = sql.SQL(", ").join(sql.Identifier(part.split()[0]) for part in shape.split(", "))
        query = sql.SQL(
            "INSERT INTO {} ({}) SELECT {} FROM jsonb_to_recordset(%s::jsonb) AS r ({}) ON CONFLICT DO NOTHING"
        )
        self._connection.execute(query.format(sql.Identifier(table), names, names, sql.SQL(shape)), (_text(rows),))

    def _copy(self, table: _Table, rows: Sequence[Row]) -> None:
        """COPY into a temporary twin of the table, then merge: a row that was stored before is no conflict."""
        if rows:
            self._stage(table, rows)
            self._merge(table)

    def _stage(self, table: _Table, rows: Sequence[Row]) -> None:
        if not rows:
            return
        twin, columns = self._twin(table)
        query = sql.SQL("COPY {} ({}) FROM STDIN").format(twin, columns)
        with self._connection.cursor() as cursor, cursor.copy(query) as copy:
            for row in rows:
                copy.write_row(row)

    def _bars(self, minutes: Sequence[MinuteRows]) -> None:
        """Bars are many at a time; in the binary form no row of theirs is ever looked at by itself."""
        if not minutes:
            return
        twin, columns = self._twin(_BARS)
        query = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(twin, columns)
        with self._connection.cursor() as cursor, cursor.copy(query) as copy:
            copy.write(_BINARY_HEAD)
            for minute in minutes:
                for block in binary_bars(minute):
                    copy.write(block)
            copy.write(_BINARY_END)
        self._merge(_BARS)

    def _twin(self, table: _Table) -> tuple[sql.Identifier, sql.Composed]:
        """The temporary table's name and columns; it is made once a connection and is empty between transactions."""
        twin = sql.Identifier(f"staged_{table.name}")
        columns = sql.SQL(", ").join(map(sql.Identifier, table.columns))
        if table.name not in self._staged:
            self._connection.execute(
                sql.SQL("CREATE TEMP TABLE {} ON COMMIT DELETE ROWS AS SELECT {} FROM {} WITH NO DATA").format(
                    twin, columns, sql.Identifier(table.name)
                )
            )
            self._staged.add(table.name)
        return twin, columns

    def _merge(self, table: _Table) -> None:
        twin, columns = self._twin(table)
        order = sql.SQL(" ORDER BY {}").format(sql.Identifier(table.order)) if table.order else sql.SQL("")
        merge = sql.SQL("INSERT INTO {} ({}) SELECT {} FROM {}{} ON CONFLICT {}")
        self._connection.execute(
            merge.format(sql.Identifier(table.name), columns, columns, twin, order, sql.SQL(table.conflict))
        )


def binary_bars(minute: MinuteRows) -> Iterator[bytes]:
    """Rows of `equity_bars` in PostgreSQL's binary form: per row the number of fields, then each field's length and
    bytes. Some rows at a time, so that no thread waits long for this one; ids of one length make rows of one shape."""
    at = (minute.minute - _BINARY_EPOCH) // timedelta(microseconds=1)
    for start in range(0, len(minute.account_ids), _BARS_AT_ONCE):
        some = slice(start, start + _BARS_AT_ONCE)
        ids, figures = minute.account_ids[some], minute.figures[some]
        lengths = np.strings.str_len(ids)
        for length in np.unique(lengths).tolist():
            mine = lengths == length
            yield _binary_block(at, ids[mine], length, figures[mine])


def _binary_block(at: int, ids: npt.NDArray[np.bytes_], length: int, figures: npt.NDArray[np.int64]) -> bytes:
    names = ("open", "high", "low", "close", "balance")
    fields = [("fields", ">i2"), ("id_length", ">i4"), ("id", f"S{length}"), ("at_length", ">i4"), ("at", ">i8")]
    fields += [part for name in names for part in ((f"{name}_length", ">i4"), (name, ">i8"))]
    block = np.zeros(len(ids), fields)
    block["fields"], block["id_length"], block["id"] = len(_BARS.columns), length, ids
    block["at_length"], block["at"] = 8, at
    for name, column in zip(names, figures.T, strict=True):
        block[f"{name}_length"], block[name] = 8, column
    return block.tobytes()
