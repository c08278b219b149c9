"""Scheduled economic releases on the record."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from store.models import NewsRelease


@dataclass(frozen=True, slots=True)
class ScheduledRelease:
    """A release as the monitor reads it. `id` grows in the order in which releases were added."""

    id: int
    key: str
    released_at: datetime
    names: tuple[str, ...]
    impact: str


async def add_releases(session: AsyncSession, releases: Sequence[tuple[str, datetime, Sequence[str], str, str]]) -> int:
    """Add releases as (key, released at, names, impact, title). Returns how many were new."""
    rows = [
        {"key": key, "released_at": at, "names": list(names), "impact": impact, "title": title}
        for key, at, names, impact, title in releases
    ]
    if not rows:
        return 0
    query = insert(NewsRelease).values(rows).on_conflict_do_nothing(index_elements=["key"]).returning(NewsRelease.id)
    return len((await session.scalars(query)).all())


def releases_after(connection: Connection[Any], last: int, since: datetime) -> list[ScheduledRelease]:
    """Returns the releases with an id above `last` that happen at `since` or later, by id."""
    rows = connection.execute(
        "SELECT id, key, released_at, names, impact FROM news_releases WHERE id > %s AND released_at >= %s ORDER BY id",
        (last, since),
    ).fetchall()
    return [ScheduledRelease(id_, key, at, tuple(names), impact) for id_, key, at, names, impact in rows]
