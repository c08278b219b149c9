"""Makes the search index of the names that have none, after an upgrade."""

import asyncio

from cli.compose import build_database
from settings import Settings
from store.name_words import index_some


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
