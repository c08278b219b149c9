"""What a piece of work costs: milliseconds, time of the processor here and in PostgreSQL, rows that PostgreSQL read."""

import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import psycopg
from sqlalchemy import QueuePool, text

from cli.bench.timing import rounded
from store.db import Database

_OTHERS: Final = """
    SELECT pid FROM pg_stat_activity
     WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
"""
_READ: Final = """
    SELECT (SELECT coalesce(sum(seq_tup_read), 0) FROM pg_stat_user_tables)
         + (SELECT coalesce(sum(idx_tup_read), 0) FROM pg_stat_user_indexes)
"""
_FLUSH: Final = "SELECT pg_stat_force_next_flush()"


@dataclass(slots=True)
class Cost:
    """`ms`: by the clock on the wall. `cpu_ms`: of this process and of PostgreSQL's connections. `rows`: rows and index
    entries that PostgreSQL read."""

    ms: float = 0.0
    cpu_ms: float = 0.0
    rows: float = 0.0

    def each(self, count: int) -> "Cost":
        return Cost(self.ms / count, self.cpu_ms / count, self.rows / count)

    def figures(self) -> dict[str, float]:
        return {"ms": rounded(self.ms), "cpu_ms": rounded(self.cpu_ms), "rows": rounded(self.rows)}


class Meter:
    """Nobody else may use the database meanwhile. PostgreSQL must run on this machine under Linux."""

    def __init__(self, owner_url: str, dbs: Sequence[Database], connection: psycopg.Connection[Any]) -> None:
        """`dbs` and `connection`: what the work uses."""
        self._control = psycopg.connect(owner_url, autocommit=True)
        self._dbs, self._connection = dbs, connection

    def close(self) -> None:
        self._control.close()

    @contextmanager
    def here(self) -> Iterator[Cost]:
        """Measures work of this thread on `connection`."""
        self._flush_connection()
        cost, before, rows = Cost(), self._cpu(), self._rows()
        worked, started = time.process_time(), time.perf_counter()
        yield cost
        cost.ms = (time.perf_counter() - started) * 1000
        worked = time.process_time() - worked
        cost.cpu_ms = (worked + self._cpu_since(before)) * 1000
        self._flush_connection()
        cost.rows = self._rows() - rows

    async def of(self, work: Callable[[], Awaitable[Any]]) -> Cost:
        """Measures work on `dbs`."""
        await self._flush_pool()
        cost, before, rows = Cost(), self._cpu(), self._rows()
        worked, started = time.process_time(), time.perf_counter()
        await work()
        cost.ms = (time.perf_counter() - started) * 1000
        worked = time.process_time() - worked
        cost.cpu_ms = (worked + self._cpu_since(before)) * 1000
        await self._flush_pool()
        cost.rows = self._rows() - rows
        return cost

    def _flush_connection(self) -> None:
        self._connection.execute(_FLUSH)

    async def _flush_pool(self) -> None:
        """Has every connection of the pool tell what it has read: PostgreSQL adds it up only now and then."""
        for engine in (db.engine for db in self._dbs):
            held = [await engine.connect() for _ in range(cast("QueuePool", engine.pool).checkedin())]
            for connection in held:
                await connection.execute(text(_FLUSH))
                await connection.rollback()
                await connection.close()

    def _rows(self) -> int:
        ((rows,),) = self._control.execute(_READ).fetchall()
        return int(rows)

    def _cpu(self) -> dict[int, float]:
        return {pid: _seconds(pid) for (pid,) in self._control.execute(_OTHERS)}

    def _cpu_since(self, before: dict[int, float]) -> float:
        return sum(seconds - before.get(pid, 0.0) for pid, seconds in self._cpu().items())


def _seconds(pid: int) -> float:
    """Returns the processor's time of a process in seconds; 0 when it has ended."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
    except FileNotFoundError:
        return 0.0
