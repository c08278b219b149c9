"""Scheduled economic releases on the record."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection
from sqlalchemy import func, or_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from store.models import NewsRelease


@dataclass(frozen=True, slots=True)
class NewRelease:
    """A release as a source announces it."""

    key: str
    released_at: datetime
    ends_at: datetime | None
    names: tuple[str, ...]
    impact: str
    title: str


@dataclass(frozen=True, slots=True)
class ScheduledRelease:
    """A release as the monitor reads it. `id` grows in the order in which releases were added or moved."""

    id: int
    key: str
    released_at: datetime
    names: tuple[str, ...]
    impact: str
    ends_at: datetime | None = None


async def add_releases(session: AsyncSession, releases: Sequence[NewRelease]) -> tuple[int, int]:
    """Adds releases; one with a known key that has changed is moved. Returns how many were new and how many moved."""
    rows = [
        {
            "key": one.key,
            "released_at": one.released_at,
            "ends_at": one.ends_at,
            "names": list(one.names),
            "impact": one.impact,
            "title": one.title,
        }
        for one in {one.key: one for one in releases}.values()
    ]
    if not rows:
        return 0, 0
    new = insert(NewsRelease).values(rows)
    added = new.on_conflict_do_nothing(index_elements=["key"]).returning(NewsRelease.id)
    added_ids = (await session.scalars(added)).all()
    told = new.excluded
    changed = or_(
        NewsRelease.released_at != told.released_at,
        NewsRelease.ends_at.is_distinct_from(told.ends_at),
        NewsRelease.names != told.names,
        NewsRelease.impact != told.impact,
    )
    moved = new.on_conflict_do_update(
        index_elements=["key"],
        set_={
            "id": func.nextval(func.pg_get_serial_sequence("news_releases", "id")),
            **{name: told[name] for name in ("released_at", "ends_at", "names", "impact", "title")},
        },
        where=changed,
    ).returning(NewsRelease.id)
    return len(added_ids), len((await session.scalars(moved)).all())


def releases_after(connection: Connection[Any], last: int, since: datetime) -> list[ScheduledRelease]:
    """Returns the releases with an id above `last` that happen at `since` or later, or last until then, by id."""
    rows = connection.execute(
        "SELECT id, key, released_at, ends_at, names, impact FROM news_releases"
        " WHERE id > %s AND coalesce(ends_at, released_at) >= %s ORDER BY id",
        (last, since),
    ).fetchall()
    return [ScheduledRelease(id_, key, at, tuple(names), impact, ends) for id_, key, at, ends, names, impact in rows]
