"""What the growing tables hold now, for `propos keep` and `propos doctor`."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from store.keeping import Policy, kept_from
from store.parts import AUDIT, BARS, DEALS, HOURS, ORDER_EVENTS, SNAPSHOTS, STOP_CHANGES, TABLES, Part, Table, parts_of

_PLAIN: Final = {
    "inbox": "handled_at",
    "outbox": "dispatched_at",
    "idempotency_keys": "recorded_at",
    "identity_facts": "last_at",
    "outgoing_mails": "recorded_at",
    "incoming_mails": "received_at",
    "mail_attachments": "recorded_at",
    "notifications": "read_at",
}
_MINUTES: Final = "exposure_minutes"  # by market time
_SIZE: Final = text("""
    SELECT sum(pg_total_relation_size(c.oid))::bigint, sum(greatest(c.reltuples, 0))::bigint
      FROM pg_class c WHERE c.oid IN (SELECT relid FROM pg_partition_tree(CAST(:name AS regclass)) WHERE isleaf)
""")


@dataclass(frozen=True, slots=True)
class Held:
    """`rows` is the database's estimate. `days`: how long rows are kept, None for ever. `before`: rows of an earlier
    time are removed (minute bars: made into hours). `parts`: 0 for a table that is not stored in parts."""

    table: str
    parts: int
    bytes: int
    rows: int
    oldest: datetime | None
    days: int | None
    before: datetime | None

    @property
    def due(self) -> bool:
        """Whether there are rows of a time that is no longer kept."""
        return self.oldest is not None and self.before is not None and self.oldest < self.before


async def held(session: AsyncSession, policy: Policy) -> list[Held]:
    """Returns what every growing table holds."""
    await session.execute(text("SET LOCAL timezone = 'UTC'"))
    days = {
        BARS.name: policy.minute_bars,
        HOURS.name: policy.hour_bars,
        DEALS.name: policy.deals,
        ORDER_EVENTS.name: policy.deals,
        STOP_CHANGES.name: policy.deals,
        SNAPSHOTS.name: policy.snapshots,
        AUDIT.name: None,
        "inbox": policy.inbox,
        "outbox": policy.outbox,
        "idempotency_keys": policy.idempotency_keys,
        "identity_facts": policy.identity_facts,
        _MINUTES: policy.exposure,
        "notifications": policy.notifications,
        **dict.fromkeys(("outgoing_mails", "incoming_mails", "mail_attachments"), policy.mails),
    }
    found = []
    for table in TABLES:
        parts = await parts_of(session, table)
        *own, rest = [part.name for part in parts]  # the rest may hold rows of any time
        first = [await _oldest(session, names, table.column) for names in (own, [rest])]
        oldest = min((at for at in first if at is not None), default=None)
        before = await kept_from(session, days[table.name])
        found.append(await _measured(session, table.name, len(parts) - 1, oldest, days[table.name], before))
    oldest = await _oldest(session, [_MINUTES], "minute")
    before = await kept_from(session, days[_MINUTES])
    found.append(await _measured(session, _MINUTES, 0, oldest, days[_MINUTES], before))
    for name, column in _PLAIN.items():
        oldest = await _oldest(session, [name], column)
        before = await kept_from(session, days[name], wall=True)
        found.append(await _measured(session, name, 0, oldest, days[name], before))
    return found


async def _measured(
    session: AsyncSession, name: str, parts: int, oldest: datetime | None, days: int | None, before: datetime | None
) -> Held:
    size, rows = (await session.execute(_SIZE, {"name": name})).one()
    return Held(name, parts, int(size or 0), int(rows or 0), oldest, days, before)


async def _oldest(session: AsyncSession, tables: list[str], column: str) -> datetime | None:
    """Returns the oldest time in the first of the tables that has rows."""
    for table in tables:
        oldest = await session.scalar(text(f"SELECT min({column})::timestamptz FROM {table}"))
        if oldest is not None:
            found: datetime = oldest.astimezone(UTC)
            return found
    return None


async def without_part(session: AsyncSession) -> list[str]:
    """Returns the tables that have no part for the present and store its rows outside of every part."""
    await session.execute(text("SET LOCAL timezone = 'UTC'"))
    times = [at.astimezone(UTC) for at in await session.scalars(text("SELECT watermark FROM market_clock"))]
    return [table.name for table in TABLES if await _lacks_part(session, table, times)]


async def _lacks_part(session: AsyncSession, table: Table, market: list[datetime]) -> bool:
    parts = await parts_of(session, table)
    times = [datetime.now(UTC)] if table.clock == "wall" else market
    if all(any(_holds(part, at) for part in parts) for at in times):
        return False
    return bool(await session.scalar(text(f"SELECT EXISTS (SELECT FROM {table.name}_default)")))


def _holds(part: Part, at: datetime) -> bool:
    return part.end is not None and part.start <= at < part.end
