"""The clock of each venue, as its gateway estimates it: written by the monitor, read by surveillance."""

from typing import Any

from psycopg import Connection
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from store.models import VenueClockRow


def write(connection: Connection[Any], platform: str, *, ahead_us: int, simulated: bool, samples: int) -> None:
    """Keeps the newest estimate of a platform. `ahead_us`: microseconds by which its clock is ahead of ours."""
    connection.execute(
        "INSERT INTO venue_clocks (platform, ahead_us, simulated, samples) VALUES (%s, %s, %s, %s)"
        " ON CONFLICT (platform) DO UPDATE SET ahead_us = excluded.ahead_us, simulated = excluded.simulated,"
        " samples = excluded.samples, recorded_at = clock_timestamp()",
        (platform, ahead_us, simulated, samples),
    )


async def ahead(session: AsyncSession) -> dict[str, int]:
    """Returns the microseconds by which the clock of each platform is ahead of ours; platforms without an estimate are
    left out."""
    rows = await session.execute(select(VenueClockRow.platform, VenueClockRow.ahead_us))
    return {platform: int(ahead_us) for platform, ahead_us in rows}
