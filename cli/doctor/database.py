"""The checks of the database: it answers, has this version's
tables, our role, our keys, the same clock, and parts for the present."""

import asyncio
from datetime import UTC, datetime
from typing import Any, Final

import psycopg

from cli.doctor.context import START_REMEDY, Context
from cli.refusals import why_not_connected
from domain.errors import Unavailable

_CLOCK_SECONDS: Final = 5
_CLOCK_SQL: Final = "SELECT clock_timestamp(), (SELECT recorded_at FROM audit_log ORDER BY seq DESC LIMIT 1)"
_PARTS_SECONDS: Final = 15  # in which a running relay makes a missing part


async def postgres(context: Context) -> str:
    url = context.settings.required("database_url")
    ((version,),) = await asyncio.to_thread(rows, url, "SHOW server_version")
    return f"PostgreSQL {version}"


async def migrations(context: Context) -> str:
    from store.migrate import current, known_revisions, unknown_revision

    have, head = await asyncio.to_thread(current, context.settings.required("database_url"))
    if have is not None and have not in known_revisions():
        raise unknown_revision(have)
    if have != head:
        raise Unavailable(
            f"The database is at revision {have or 'none'}; the newest is {head}.", remedy="Run: propos migrate"
        )
    return f"revision {head}"


async def database_role(context: Context) -> str:
    """Checks that the application can neither change tables nor pass row security."""
    statement = (
        "SELECT current_user, r.rolsuper OR r.rolbypassrls, (SELECT count(*) FROM pg_class c WHERE c.relowner = r.oid"
        " AND c.relnamespace = 'public'::regnamespace) FROM pg_roles r WHERE r.rolname = current_user"
    )
    ((name, passes, owned),) = await asyncio.to_thread(rows, context.settings.required("database_url"), statement)
    if passes or owned:
        raise Unavailable(
            f"The application connects as {name}, which {'passes row security' if passes else f'owns {owned} tables'}.",
            remedy="Connect as propos_app: see docs/operations.md, and run `propos migrate`.",
        )
    return f"{name} owns nothing and passes no policy"


async def tables(context: Context) -> str:
    """Checks whether every growing table has a part for the present. The relay makes parts every few seconds."""
    from store.db import Database
    from store.held import without_part

    db = Database(context.settings.required("database_url"), pool_size=1)
    try:
        for wait in (_PARTS_SECONDS, 0):
            async with db.transaction() as session:
                missing = await without_part(session)
            if not missing:
                return "every growing table has a part for the present"
            await asyncio.sleep(wait)
    finally:
        await db.close()
    raise Unavailable(
        f"No part for the present: {', '.join(missing)}. Rows are stored all the same, and get slow to remove.",
        remedy=f"Start the relay, or see {context.log('relay')}.",
    )


def rows(url: str, statement: str) -> list[tuple[Any, ...]]:
    from store.db import connect

    try:
        with connect(url, connect_timeout=3) as connection:
            return connection.execute(statement.encode()).fetchall()
    except psycopg.OperationalError as error:
        raise Unavailable(f"PostgreSQL does not answer: {why_not_connected(str(error))}", remedy=START_REMEDY) from None


async def clock(context: Context) -> str:
    """Checks that the clocks of this machine and of PostgreSQL agree, and that none was set back."""
    ((there, newest),) = await asyncio.to_thread(rows, context.settings.required("database_url"), _CLOCK_SQL)
    fault = clock_fault(datetime.now(UTC), there, newest)
    if fault is not None:
        raise fault
    return "agrees with PostgreSQL's"


def clock_fault(here: datetime, there: datetime, newest: datetime | None) -> Unavailable | None:
    """Returns what is wrong with the clocks. `here` and `there`: now on this machine and on PostgreSQL's; `newest`:
    when the newest entry of the audit log was recorded."""
    remedy = "Set the clocks by NTP (timedatectl set-ntp true)."
    off = (here - there).total_seconds()
    if abs(off) > _CLOCK_SECONDS:
        words = "ahead of" if off > 0 else "behind"
        return Unavailable(f"The clock of this machine is {abs(off):.0f} s {words} that of PostgreSQL.", remedy=remedy)
    if newest is not None and (newest - there).total_seconds() > _CLOCK_SECONDS:
        ahead = (newest - there).total_seconds()
        return Unavailable(
            f"The clock was set back: the newest entry of the audit log is {ahead:.0f} s from now.",
            remedy=f"{remedy} Entries keep their order; their times are wrong until the clock is right.",
        )
    return None


async def keys(context: Context) -> str:
    """Checks that the keys are those that the values of the database are under."""
    from cli.compose import build_database
    from store.key_check import check_keys

    db = build_database(context.settings, pool_size=1)
    try:
        async with db.transaction() as session:
            await check_keys(session)
    finally:
        await db.close()
    return "the keys read what the database has"
