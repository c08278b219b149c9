"""What `propos migrate` does with the keys: it checks that they are those of the database, and makes the search index
of the names that have none, after an upgrade."""

import asyncio

from cli.compose import build_database
from settings import Settings
from store.key_check import check_keys as check
from store.name_words import index_some


def check_keys(settings: Settings) -> None:
    """Raises Conflict for keys of another database. Without keys nothing is checked: nothing can be read or written."""
    if settings.payload_keys is None:
        return

    async def work() -> None:
        db = build_database(settings, pool_size=1)
        try:
            async with db.transaction() as session:
                await check(session)
        finally:
            await db.close()

    asyncio.run(work())


def index_names(settings: Settings) -> None:
    """Goes through them in small steps, so that the firm can run meanwhile. Without the keys it cannot read the names:
    `propos keys rotate` indexes them later."""
    if settings.payload_keys is None:
        return

    async def work() -> None:
        db = build_database(settings, pool_size=1)
        try:
            done = 1
            while done:
                async with db.transaction() as session:
                    done = await index_some(session)
        finally:
            await db.close()

    asyncio.run(work())
