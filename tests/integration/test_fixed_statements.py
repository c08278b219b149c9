"""Statements whose values stand in their text: signs that mean something to a driver reach the database as they are."""

from datetime import timedelta

from sqlalchemy import Interval, String, literal, select, true

from store.db import Database
from store.together import OneFixedValueEach, fixed

_ODD = ("a:b", ":name", "::text", "100%", "%s %(x)s %%", "it's", 'a "quote"', "12:30:15", "outbox:key/:id")


async def test_odd_texts_are_read_as_they_were_written(database_url: str) -> None:
    columns = [literal(text, String).label(f"c{number}") for number, text in enumerate(_ODD)]
    query = select(*columns, literal(timedelta(hours=2), Interval()).label("pause"), true().label("yes"))
    rows = fixed(query).subquery("odd")
    db = Database(database_url, pool_size=1)
    async with db.transaction() as session:
        for wanted in ("a:b", "nothing"):  # beside a value of a request, and beside none
            row = (await session.execute(select(rows).where((rows.c.c0 == wanted) | rows.c.yes))).one()
            assert tuple(row) == (*_ODD, timedelta(hours=2), True)
        assert (await session.execute(select(rows.c.c4))).scalar_one() == "%s %(x)s %%"
        each = OneFixedValueEach(**{f"v{number}": select(column) for number, column in enumerate(columns)})
        assert tuple(await each.read(session)) == _ODD
    await db.close()
