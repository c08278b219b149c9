"""A restore is noted in the record that it made: at once, or by `propos migrate` where the schema is an earlier one.

Until then the note is the comment of the database, which no backup takes along.
"""

import asyncio
import json
from dataclasses import asdict
from typing import Final

import psycopg
from psycopg import sql

from cli.backup.record import Databases
from cli.compose import field_keys
from firm import restored
from firm.restored import Restore
from settings import Settings
from store import crypto, migrate
from store.db import Database

_FIELD: Final = "propos restore"


def note(settings: Settings, server: Databases, name: str, done: Restore) -> dict[str, int] | None:
    """Notes the restore that made the database `name`. Returns what providers are asked for; None: `propos migrate`
    will ask them."""
    with server.connect() as connection:
        words = sql.Literal(json.dumps({_FIELD: asdict(done)}))
        connection.execute(sql.SQL("COMMENT ON DATABASE {} IS {}").format(sql.Identifier(name), words))
    have, newest = migrate.current(server.url(name))
    return _write(settings, server.url(name), done) if have == newest else None


def note_after_upgrade(settings: Settings) -> None:
    """Notes the restore that made the database of the settings, unless that is done or there was none."""
    url = settings.owner_database_url or settings.required("database_url")
    with psycopg.connect(url) as connection:
        found = connection.execute(
            "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = current_database()"
        ).fetchone()
    done = _read(found[0] if found else None)
    if done is not None:
        _write(settings, url, done)


def _read(comment: str | None) -> Restore | None:
    """Returns None for a comment that is not ours."""
    try:
        return Restore(**json.loads(comment or "")[_FIELD])
    except (ValueError, KeyError, TypeError):
        return None


def _write(settings: Settings, url: str, done: Restore) -> dict[str, int] | None:
    crypto.install(field_keys(settings))

    async def work() -> dict[str, int] | None:
        db = Database(url, pool_size=1, name="propos restore")
        try:
            async with db.transaction() as session:
                return await restored.note(session, done)
        finally:
            await db.close()

    return asyncio.run(work())
