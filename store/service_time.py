"""The service clock on the record: wall time, unless a test moved it or a demo has it follow market time."""

from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from store.models import ServiceTime

_NOW: Final = "service_now"

NOW: Final = select(func.service_now())


async def service_now(session: AsyncSession, read: datetime | None = None) -> datetime:
    """Returns the time of the service clock, UTC. It stays the same within a transaction. `read`: the time, where the
    caller has read it with other things (`NOW`)."""
    known: datetime | None = session.info.get(_NOW)
    if known is None:
        read = read or (await session.scalars(NOW)).one()
        known = session.info[_NOW] = read.astimezone(UTC)
    return known


async def move_to(session: AsyncSession, at: datetime) -> None:
    """Sets the service clock to `at`; it runs on from there as fast as wall time. For tests."""
    await _set(session, moved=at - datetime.now(UTC), follows_market=False)


async def follow_market(session: AsyncSession) -> None:
    """Has the service clock show market time, as a demo needs it that plays months in minutes."""
    await _set(session, moved=timedelta(0), follows_market=True)


async def _set(session: AsyncSession, *, moved: timedelta, follows_market: bool) -> None:
    values = {"moved": moved, "follows_market": follows_market}
    row = insert(ServiceTime).values(id=1, **values)
    await session.execute(row.on_conflict_do_update(index_elements=["id"], set_=values))
    session.info.pop(_NOW, None)
