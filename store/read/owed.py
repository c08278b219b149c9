"""What the firm would have owed at the end of each day, out of the minutes of exposure that are kept. For staff."""

from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.pnl import REPORTING_CURRENCY
from store.read.pages import View

DAYS: Final = 90

# The shards of a day are read at its last minute: of each the last figures of the five minutes before its end.
_DAYS: Final = text("""
    WITH newest AS (SELECT max(minute) AS minute FROM exposure_minutes),
    days AS (
        SELECT d AS day, d + interval '1 day' AS next
          FROM (SELECT date_trunc('day', minute AT TIME ZONE :zone) AS today FROM newest) AS last,
               generate_series(today - make_interval(days => :days - 1), today, interval '1 day') AS d
    ), ends AS (
        SELECT (SELECT max(m.minute) FROM exposure_minutes m
                 WHERE m.minute >= days.day AT TIME ZONE :zone
                   AND m.minute < days.next AT TIME ZONE :zone) AS at
          FROM days
    )
    SELECT ends.at, sum(last.owed) AS owed_minor, sum(last.closed) AS closed_minor
      FROM ends CROSS JOIN LATERAL (
           SELECT DISTINCT ON (m.shard) CAST(m.body ->> 'owed_minor' AS bigint) AS owed,
                  CAST(m.body ->> 'closed_minor' AS bigint) AS closed
             FROM exposure_minutes m
            WHERE m.minute > ends.at - interval '5 minutes' AND m.minute <= ends.at
            ORDER BY m.shard, m.minute DESC
           ) AS last
     GROUP BY ends.at ORDER BY ends.at
""")


class OwedDay(View):
    """The firm at the last kept minute of a day. `at`: market time. `owed_minor`: what it would owe by the rules then;
    `closed_minor`: what it would owe if every position were closed. Both in `currency`, the reporting currency."""

    at: datetime
    currency: str
    owed_minor: int
    closed_minor: int


async def days(session: AsyncSession, zone: str) -> tuple[OwedDay, ...]:
    """Returns a row for each of the newest `DAYS` days of `zone` of which a minute is kept, the oldest first.

    One statement, with one look into the primary key for each day: its cost does not grow with the history."""
    rows = await session.execute(_DAYS, {"zone": zone, "days": DAYS})
    return tuple(
        OwedDay(
            at=row.at,
            currency=REPORTING_CURRENCY,
            owed_minor=int(row.owed_minor),
            closed_minor=int(row.closed_minor),
        )
        for row in rows
    )
