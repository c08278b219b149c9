"""Tables that are stored in parts by time: their parts, and the making of the coming ones.

Every function is one step within the caller's transaction: it happens whole or not at all.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

_LOCK: Final = 7120004
_DAYS_AHEAD: Final = 7
_MONTHS_AHEAD: Final = 2
_BORDERS: Final = re.compile(r"FROM \((?:MINVALUE|'([^']+)')\) TO \('([^']+)'\)")
_BEGINNING: Final = datetime(1, 1, 1, tzinfo=UTC)
LOCK_WAIT: Final = "SET LOCAL lock_timeout = '200ms'"  # a change of parts waits no longer: writers queue behind it


@dataclass(frozen=True, slots=True)
class Table:
    """A table in parts. `column`: its time. `clock`: what that time is. `sealed`: its rows can only be added."""

    name: str
    column: str
    period: Literal["day", "month"]
    clock: Literal["market", "wall"] = "market"
    sealed: bool = False


BARS: Final = Table("equity_bars", "minute", "day")
HOURS: Final = Table("equity_hours", "hour", "month")
DEALS: Final = Table("deals", "at", "month")
ORDER_EVENTS: Final = Table("order_events", "at", "month")
STOP_CHANGES: Final = Table("stop_changes", "at", "month")
SNAPSHOTS: Final = Table("daily_snapshots", "day", "month")
AUDIT: Final = Table("audit_log", "recorded_at", "month", clock="wall", sealed=True)
TABLES: Final = (BARS, HOURS, DEALS, ORDER_EVENTS, STOP_CHANGES, SNAPSHOTS, AUDIT)


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a table, from `start` (inclusive) to `end` (exclusive). The rest, for all other rows, has no end."""

    name: str
    start: datetime
    end: datetime | None


async def alone(session: AsyncSession) -> bool:
    """Returns whether this transaction may change the parts; False while another relay does."""
    await session.execute(text("SET LOCAL timezone = 'UTC'"))
    return bool(await session.scalar(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": _LOCK}))


async def parts_of(session: AsyncSession, table: Table) -> list[Part]:
    """Returns the parts of a table, oldest first; the rest comes last."""
    rows = await session.execute(
        text(
            "SELECT c.relname, pg_get_expr(c.relpartbound, c.oid)"
            " FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = CAST(:name AS regclass)"
        ),
        {"name": table.name},
    )
    found = []
    for name, bounds in rows:
        borders = _BORDERS.search(bounds)
        if borders is None:
            found.append(Part(name, _BEGINNING, None))
        else:
            start, end = borders.groups()
            found.append(Part(name, _moment(start) if start else _BEGINNING, _moment(end)))
    return sorted(found, key=lambda part: (part.end is None, part.start))


def _moment(words: str) -> datetime:
    at = datetime.fromisoformat(words)
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


async def make_parts(session: AsyncSession) -> int:
    """Makes the parts that the coming days need. Returns the number of new ones."""
    await session.execute(text(LOCK_WAIT))
    now = datetime.now(UTC)
    times = [at.astimezone(UTC) for at in await session.scalars(text("SELECT watermark FROM market_clock"))]
    made = 0
    for table in TABLES:
        have = await parts_of(session, table)
        for start, end in _needed(table, [now] if table.clock == "wall" else times or [now]):
            if not any(part.end and part.start < end and start < part.end for part in have):
                made += await _make(session, table, start, end)
    return made


def _needed(table: Table, times: Sequence[datetime]) -> list[tuple[datetime, datetime]]:
    """Returns the periods around and after `times`, oldest first."""
    needed = set()
    for at in times:
        day = at.replace(hour=0, minute=0, second=0, microsecond=0)
        if table.period == "day":
            days = (day + timedelta(days=ahead) for ahead in range(-1, _DAYS_AHEAD + 1))
            needed |= {(each, each + timedelta(days=1)) for each in days}
        else:
            first = day.replace(day=1)
            for _ in range(_MONTHS_AHEAD + 1):
                needed.add((first, _next_month(first)))
                first = _next_month(first)
    return sorted(needed)


def _next_month(first: datetime) -> datetime:
    return (first + timedelta(days=32)).replace(day=1)


async def _make(session: AsyncSession, table: Table, start: datetime, end: datetime) -> int:
    """Makes one part, with the rows of its time that the rest holds. A sealed table cannot move them: it gets no part
    for a time that its rest has rows of. The database's function has the owner's right to do so."""
    values = {
        "parent": table.name,
        "part": f"{table.name}_{start:{'%Y%m%d' if table.period == 'day' else '%Y%m'}}",
        "column": table.column,
        "start": start.isoformat(),
        "end": end.isoformat(),
        "sealed": table.sealed,
    }
    return int(
        await session.scalar(text("SELECT make_part(:parent, :part, :column, :start, :end, :sealed)"), values) or 0
    )
