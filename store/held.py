"""What the growing tables hold now, for `propos keep` and `propos doctor`."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from store.keeping import Policy, ended_due, kept_from, minutes_due
from store.kept import FOR_EVER
from store.parts import AUDIT, BARS, DEALS, HOURS, ORDER_EVENTS, SNAPSHOTS, STOP_CHANGES, TABLES, Part, Table, parts_of

# table -> the wall time from which its rows count as old, and the field of the policy that says for how long they stay
PLAIN: Final = {
    "inbox": ("handled_at", "inbox"),
    "outbox": ("dispatched_at", "outbox"),
    "idempotency_keys": ("recorded_at", "idempotency_keys"),
    "identity_facts": ("last_at", "identity_facts"),
    "outgoing_mails": ("recorded_at", "mails"),
    "incoming_mails": ("received_at", "mails"),
    "mail_attachments": ("recorded_at", "mails"),
    "notifications": ("read_at", "notifications"),
    "work_reminders": ("told_at", "notifications"),
    "business_events": ("recorded_at", "events"),
    "sessions": ("expires_at", "sign_ins"),
    "links": ("expires_at", "sign_ins"),
}
# They go with a row of one of those.
WITH_ANOTHER: Final = {
    "mail_attachment_parts": "mails",
    "mail_references": "mails",
    "webhook_deliveries": "events",
    "webhook_tries": "events",
}
MINUTES: Final = "exposure_minutes"  # by market time
_SIZE: Final = text("""
    SELECT sum(pg_total_relation_size(c.oid))::bigint, sum(greatest(c.reltuples, 0))::bigint
      FROM pg_class c WHERE c.oid IN (SELECT relid FROM pg_partition_tree(CAST(:name AS regclass)) WHERE isleaf)
         OR (c.oid = CAST(:name AS regclass) AND c.relkind = 'r')
""")


@dataclass(frozen=True, slots=True)
class Held:
    """`rows` is the database's estimate. `oldest`: None when there is none, or nobody asks for it. `days`: how long
    rows are kept, None for ever. `before`: rows of an earlier time are removed (minute bars: made into hours). `parts`:
    0 for a table that is not stored in parts. `due`: whether the relay has rows to remove now. `needed`: whether the
    oldest rows of bars, deals and days stay although their time is over, as somebody may still look at them.
    `next_removal`: when the oldest row is no longer kept, in the time of the table: the market's, or real time; None
    while it is needed. `why`: for ever."""

    table: str
    parts: int
    bytes: int
    rows: int
    rows_a_day: int
    oldest: datetime | None
    days: int | None
    before: datetime | None
    next_removal: datetime | None
    due: bool
    needed: bool
    why: str = ""


@dataclass(frozen=True, slots=True)
class _Asked:
    """A table, and what is known of it beforehand. `first`: when its rows began to come. `now`: in the same time."""

    name: str
    first: datetime | None
    now: datetime
    parts: int = 0
    days: int | None = None
    before: datetime | None = None
    ends: datetime | None = None  # of the oldest part, where parts are dropped whole
    due: bool = True  # whether any row may go whose time is over


_WHOLE: Final = (BARS, HOURS)  # they lose whole parts
_PARTED: Final = {
    BARS.name: "minute_bars",
    HOURS.name: "hour_bars",
    DEALS.name: "deals",
    ORDER_EVENTS.name: "deals",
    STOP_CHANGES.name: "deals",
    SNAPSHOTS.name: "snapshots",
}
_WHY_AUDIT: Final = "Its chain is checked from the first entry on, and audits ask for years"


async def held(session: AsyncSession, policy: Policy) -> list[Held]:
    """Returns what every growing table holds: those that are cut first."""
    await session.execute(text("SET LOCAL timezone = 'UTC'"))
    now = datetime.now(UTC)
    slowest = await session.scalar(text("SELECT min(watermark) FROM market_clock"))
    market = now if slowest is None else slowest.astimezone(UTC)
    found = []
    for table in TABLES:
        found.append(await _parted(session, table, policy, now if table.clock == "wall" else market))
    first, days = await _oldest(session, [MINUTES], "minute"), policy.exposure
    asked = _Asked(MINUTES, first, market, days=days, before=await kept_from(session, days))
    found.append(await _measured(session, asked))
    for name, (column, kept) in PLAIN.items():
        first, days = await _oldest(session, [name], column), getattr(policy, kept)
        asked = _Asked(name, first, now, days=days, before=await kept_from(session, days, wall=True))
        found.append(await _measured(session, asked))
    for name, kept in WITH_ANOTHER.items():
        days = getattr(policy, kept)
        found.append(await _measured(session, _Asked(name, None, now, days=days), since=_beginning(found)))
    for name, why in FOR_EVER.items():
        found.append(await _measured(session, _Asked(name, None, now), why=why, since=_beginning(found)))
    return found


def _beginning(found: list[Held]) -> datetime | None:
    """Since when there is a record: since the first entry of the audit log."""
    return next(each.oldest for each in found if each.table == AUDIT.name)


async def _parted(session: AsyncSession, table: Table, policy: Policy, now: datetime) -> Held:
    parts = await parts_of(session, table)
    *own, rest = [part.name for part in parts]  # the rest may hold rows of any time
    firsts = [await _oldest(session, names, table.column) for names in (own, [rest])]
    first = min((at for at in firsts if at is not None), default=None)
    days = getattr(policy, _PARTED[table.name]) if table.name in _PARTED else None
    ends = None
    if table in _WHOLE and first is not None:
        ends = next((part.end for part in parts if part.end is not None and part.start <= first < part.end), None)
    before = await kept_from(session, days)
    if table is BARS:
        due = await minutes_due(session, policy)
    else:
        due = table is HOURS or await ended_due(session, table, days)
    asked = _Asked(table.name, first, now, parts=len(parts) - 1, days=days, before=before, ends=ends, due=due)
    return await _measured(session, asked, why=_WHY_AUDIT if table is AUDIT else "")


async def _measured(session: AsyncSession, asked: _Asked, *, why: str = "", since: datetime | None = None) -> Held:
    """`since`: when the rows of a table began to come whose oldest row is not looked for."""
    size, estimate = (await session.execute(_SIZE, {"name": asked.name})).one()
    rows, first = int(estimate or 0), asked.first or since
    age = 1.0 if first is None else max(1.0, (asked.now - first) / timedelta(days=1))
    over = asked.first is not None and asked.before is not None and asked.first < asked.before
    removal = None
    if asked.days is not None and asked.first is not None and not (over and not asked.due):
        removal = (asked.ends or asked.first) + timedelta(days=asked.days)
    return Held(
        table=asked.name,
        parts=asked.parts,
        bytes=int(size or 0),
        rows=rows,
        rows_a_day=round(rows / age),
        oldest=asked.first,
        days=asked.days,
        before=asked.before,
        next_removal=removal,
        due=over and asked.due,
        needed=over and not asked.due,
        why=why,
    )


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
