"""Scheduled releases on real Postgres: added once, moved when the source moves them, read again by the monitor."""

from datetime import UTC, datetime, timedelta

import psycopg
from sqlalchemy import text

from adapters.news.calendar_csv import Columns, read_calendar
from store import news
from store.db import Database

COLUMNS = Columns(time="when", title="what", place="who", impact="how", ends="until", id="number")
HEADER = "when,what,who,how,until,number\n"
NFP = "2014-05-02T12:30:00Z,Payrolls,US,high,,17\n"
TALK = "2014-05-02T18:30:00Z,Press conference,US,high,2014-05-02T19:20:00Z,18\n"
NOON = datetime(2014, 5, 2, 12, tzinfo=UTC)


async def imported(db: Database, rows: str) -> tuple[int, int]:
    releases = [
        news.NewRelease(one.key, one.at, one.ends_at, one.names, one.impact, one.title)
        for one in read_calendar(HEADER + rows, "week.csv", COLUMNS)
    ]
    async with db.transaction() as session:
        return await news.add_releases(session, releases)


async def test_a_release_that_the_source_moves_is_moved(database_url: str) -> None:
    db = Database(database_url)
    assert await imported(db, NFP + TALK) == (2, 0)
    assert await imported(db, NFP + TALK) == (0, 0)
    with psycopg.connect(database_url) as connection:
        first = news.releases_after(connection, 0, NOON)
        assert [(one.released_at.hour, one.ends_at and one.ends_at.minute) for one in first] == [(12, None), (18, 20)]
        last = first[-1].id
        assert await imported(db, NFP.replace("12:30", "13:30") + TALK) == (0, 1)
        (moved,) = news.releases_after(connection, last, NOON)
        assert (moved.key, moved.released_at) == (first[0].key, NOON + timedelta(minutes=90))
        assert await imported(db, TALK.replace("19:20", "19:40")) == (0, 1)
        (longer,) = news.releases_after(connection, moved.id, NOON)
        assert longer.ends_at == NOON + timedelta(minutes=460)
    async with db.transaction() as session:
        assert await session.scalar(text("SELECT count(*) FROM news_releases")) == 2
    await db.close()
