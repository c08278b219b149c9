"""A shard's checkpoint: its whole state as of a batch, stored in one transaction."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from psycopg import Connection

from store.live import check_epoch, select_epoch_exclusive, select_epoch_shared
from store.live_tables import (
    BARS,
    CORRECTIONS,
    DEALS,
    EXPOSURES,
    LIVE,
    OPERATIONS,
    ORDER_EVENTS,
    REVIEWS,
    SNAPSHOTS,
    STOP_CHANGES,
    WARNINGS,
    Row,
    Staging,
)
from store.platform_changes import PlaceRows, apply_places
from store.version_moves import MoveOutcome, apply_moves

_CLOCK_LOCK: Final = 7120003


@dataclass(frozen=True, slots=True)
class CheckpointRows:
    """The rows of one checkpoint, as of `batch`. Columns are in the order of `store.live_tables`. `places`: accounts
    that leave for another platform, or come from one.

    `peaks` holds the peaks that changed after their accounts' rows were stored. `released` and `taken` are ids of shard
    moves: the shard hands their accounts over, or has caught up with them, at this batch.
    """

    batch: int
    feed_name: str
    feed: dict[str, Any]
    watermark: datetime
    last_tick_at: datetime | None
    peaks: bytes = b""
    live: list[Row] = field(default_factory=list)
    deals: list[Row] = field(default_factory=list)
    order_events: list[Row] = field(default_factory=list)
    stop_changes: list[Row] = field(default_factory=list)
    operations: list[Row] = field(default_factory=list)
    snapshots: list[Row] = field(default_factory=list)
    bars: Iterable[bytes] = ()  # blocks in PostgreSQL's binary form
    exposures: list[Row] = field(default_factory=list)
    reviews: list[Row] = field(default_factory=list)
    warnings: list[Row] = field(default_factory=list)
    corrections: list[Row] = field(default_factory=list)
    version_moves: list[MoveOutcome] = field(default_factory=list)
    released: list[str] = field(default_factory=list)
    taken: list[str] = field(default_factory=list)
    places: PlaceRows | None = None


class CheckpointWriter:
    """Writes the checkpoints of one owner of one shard. Writing the same checkpoint again is harmless."""

    def __init__(self, connection: Connection[Any], shard: int, epoch: int) -> None:
        self._connection, self._shard, self._epoch = connection, shard, epoch
        self._staging = Staging(connection)

    def write(self, rows: CheckpointRows) -> None:
        """Store a checkpoint in one transaction. Raises StaleEpoch.

        The owner is checked late, before the writes to rows that verdicts lock too (the shard's row, reviews): no
        verdict may wait for the bulk copies. A stale owner commits nothing.
        """
        with self._connection.transaction():
            for table, data in (
                (DEALS, rows.deals),
                (ORDER_EVENTS, rows.order_events),
                (STOP_CHANGES, rows.stop_changes),
                (OPERATIONS, rows.operations),
                (SNAPSHOTS, rows.snapshots),
                (LIVE, rows.live),
                (EXPOSURES, rows.exposures),
                (WARNINGS, rows.warnings),
                (CORRECTIONS, rows.corrections),
            ):
                self._staging.copy(table, data)
            self._staging.copy_binary(BARS, rows.bars)
            self._connection.execute(
                "INSERT INTO shard_peaks (shard, peaks) VALUES (%s, %b)"
                " ON CONFLICT (shard) DO UPDATE SET peaks = excluded.peaks",
                (self._shard, rows.peaks),
            )
            self._staging.stage(REVIEWS, rows.reviews)
            check_epoch(select_epoch_exclusive(self._connection, self._shard), self._shard, self._epoch)
            apply_moves(self._connection, rows.version_moves)
            if rows.places is not None:
                apply_places(self._connection, rows.places, self._shard)
            if rows.released or rows.taken:
                self._record_shard_moves(rows)
            if rows.reviews:  # after challenges and accounts, in the order in which everybody locks
                self._staging.merge(REVIEWS)
            with self._connection.pipeline():
                self._connection.execute(
                    "UPDATE shards SET batch = %s, feed = %s::jsonb, watermark = %s, checkpoint_at = clock_timestamp()"
                    " WHERE id = %s",
                    (rows.batch, json.dumps(rows.feed), rows.watermark, self._shard),
                )
                self._update_market_clock(rows)

    def write_bars(self, block: bytes) -> None:
        """Store a block of the bars of a checkpoint ahead of it. Harmless without the checkpoint: after a restart the
        same bars are made again. Raises StaleEpoch."""
        with self._connection.transaction():
            self._staging.copy_binary(BARS, [block])
            check_epoch(select_epoch_shared(self._connection, self._shard), self._shard, self._epoch)

    def _update_market_clock(self, rows: CheckpointRows) -> None:
        """Set the market time of the platform to the watermark of its slowest shard.

        Shards of other platforms do not count: each platform has a market time of its own. The lock lets one checkpoint
        at a time read the shards: two at once would miss each other's watermark.
        """
        self._connection.execute("SELECT pg_advisory_xact_lock(%s)", (_CLOCK_LOCK,))
        self._connection.execute(
            """
            INSERT INTO market_clock (feed, watermark, last_tick_at)
            SELECT platform, min(watermark), %s FROM shards WHERE platform = %s
             GROUP BY platform HAVING bool_and(watermark IS NOT NULL)
            ON CONFLICT (feed) DO UPDATE
               SET recorded_at = CASE WHEN excluded.watermark > market_clock.watermark THEN clock_timestamp()
                                      ELSE market_clock.recorded_at END,
                   watermark = greatest(market_clock.watermark, excluded.watermark),
                   last_tick_at = greatest(market_clock.last_tick_at, excluded.last_tick_at)
            """,
            (rows.last_tick_at, rows.feed_name),
        )

    def _record_shard_moves(self, rows: CheckpointRows) -> None:
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
