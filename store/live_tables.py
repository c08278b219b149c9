"""Bulk writes of a checkpoint: the tables, and COPY into them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from psycopg import Connection, sql

_BINARY_HEAD: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)  # no flags, no extension
_BINARY_END: Final = b"\xff\xff"

Row = Sequence[Any]


@dataclass(frozen=True, slots=True)
class Table:
    """A target of bulk writes. `conflict` follows ON CONFLICT; `order` names the column that rows are sorted by."""

    name: str
    columns: tuple[str, ...]
    conflict: str
    order: str = ""


LIVE: Final = Table(
    "account_live",
    (
        *("account_id", "batch", "at", "balance_minor", "equity_minor", "trading_days", "last_trading_day"),
        *("positions", "floors", "rule_state"),
    ),
    "(account_id) DO UPDATE SET (batch, at, balance_minor, equity_minor, trading_days, last_trading_day, positions,"
    " floors, rule_state) = ROW (excluded.batch, excluded.at, excluded.balance_minor, excluded.equity_minor,"
    " excluded.trading_days, excluded.last_trading_day, excluded.positions, excluded.floors, excluded.rule_state)",
)
DEALS: Final = Table(
    "deals",
    (
        *("account_id", "deal_id", "seq", "at", "position_id", "symbol", "side", "entry", "lots", "price"),
        *("profit_minor", "commission_minor", "swap_minor", "balance_minor", "reason", "fee_minor"),
        *("stop_loss", "take_profit", "bid", "ask", "late", "expert_id", "comment"),
    ),
    "(account_id, deal_id, at) DO NOTHING",
    "seq",
)
ORDER_EVENTS: Final = Table(
    "order_events",
    ("account_id", "seq", "at", "order_id", "symbol", "side", "lots", "change", "type", "price"),
    "(account_id, seq, at) DO NOTHING",
    "seq",
)
STOP_CHANGES: Final = Table(
    "stop_changes",
    ("account_id", "seq", "at", "position_id", "stop_loss", "take_profit"),
    "(account_id, seq, at) DO NOTHING",
    "seq",
)
OPERATIONS: Final = Table(
    "balance_operations",
    ("account_id", "key", "operation", "seq", "at", "amount_minor", "balance_minor"),
    "(account_id, key) DO NOTHING",
    "seq",
)
SNAPSHOTS: Final = Table(
    "daily_snapshots",
    ("account_id", "day", "reset_at", "balance_minor", "equity_minor", "floors"),
    "(account_id, day) DO NOTHING",
)
BARS: Final = Table(
    "equity_bars",
    ("account_id", "minute", "open_minor", "high_minor", "low_minor", "close_minor", "balance_minor"),
    # A checkpoint within a minute stores the bar so far; the next one extends it.
    "(account_id, minute) DO UPDATE SET (high_minor, low_minor, close_minor, balance_minor) ="
    " ROW (greatest(equity_bars.high_minor, excluded.high_minor), least(equity_bars.low_minor, excluded.low_minor),"
    " excluded.close_minor, excluded.balance_minor)",
)
EXPOSURES: Final = Table(
    "exposures",
    ("shard", "symbol", "long_lots", "short_lots", "accounts", "floating_minor", "bid", "ask", "at"),
    "(shard, symbol) DO UPDATE SET (long_lots, short_lots, accounts, floating_minor, bid, ask, at) ="
    " ROW (excluded.long_lots, excluded.short_lots, excluded.accounts, excluded.floating_minor, excluded.bid,"
    " excluded.ask, excluded.at)",
)
REVIEWS: Final = Table(
    "reviews",
    ("id", "key", "kind", "account_id", "detail", "status", "occurred_at", "close_reason"),
    "(key) DO UPDATE SET (detail, status, close_reason) = ROW (excluded.detail, excluded.status, excluded.close_reason)"
    " WHERE reviews.status = 'open'",
    "key",  # shards that see the same bad quote write the same keys: one order avoids deadlocks
)
WARNINGS: Final = Table(
    "warnings",
    ("account_id", "kind", "rule_id", "period", "at", "figures"),
    "(account_id, kind, rule_id, period) DO NOTHING",
    "at",
)
CORRECTIONS: Final = Table(
    "corrections", ("feed", "seq", "corrects_seq", "at", "body"), "(feed, seq) DO NOTHING", "seq"
)


class Staging:
    """Copies rows into a temporary table, then merges them into the real one, so that stored rows are no conflict."""

    def __init__(self, connection: Connection[Any]) -> None:
        self._connection = connection
        self._staged: set[str] = set()

    def copy(self, table: Table, rows: Sequence[Row]) -> None:
        if rows:
            self.stage(table, rows)
            self.merge(table)

    def stage(self, table: Table, rows: Sequence[Row]) -> None:
        if not rows:
            return
        twin, columns = self._twin(table)
        query = sql.SQL("COPY {} ({}) FROM STDIN").format(twin, columns)
        with self._connection.cursor() as cursor, cursor.copy(query) as copy:
            for row in rows:
                copy.write_row(row)

    def copy_binary(self, table: Table, blocks: Iterable[bytes]) -> None:
        """Copy and merge `blocks` of whole rows in PostgreSQL's binary COPY format, produced while being sent."""
        blocks = iter(blocks)
        first = next(blocks, None)
        if first is None:
            return
        twin, columns = self._twin(table)
        query = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(twin, columns)
        with self._connection.cursor() as cursor, cursor.copy(query) as copy:
            copy.write(_BINARY_HEAD + first)
            for block in blocks:
                copy.write(block)
            copy.write(_BINARY_END)
        self.merge(table)

    def merge(self, table: Table) -> None:
        """Move the staged rows into the table."""
        twin, columns = self._twin(table)
        order = sql.SQL(" ORDER BY {}").format(sql.Identifier(table.order)) if table.order else sql.SQL("")
        merge = sql.SQL("INSERT INTO {} ({}) SELECT {} FROM {}{} ON CONFLICT {}")
        self._connection.execute(
            merge.format(sql.Identifier(table.name), columns, columns, twin, order, sql.SQL(table.conflict))
        )

    def _twin(self, table: Table) -> tuple[sql.Identifier, sql.Composed]:
        """Returns the temporary table's name and columns. It is created once per connection; a commit empties it."""
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
