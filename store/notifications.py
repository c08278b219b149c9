"""Notifications of the database: work is begun when it is there, and not only when somebody looks for it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

import psycopg

from store.db import connect_async

DEALS: Final = "deals"  # there are new deals
_AGAIN_SECONDS: Final = 1.0  # before a lost connection is opened again


@asynccontextmanager
async def told(database_url: str, channel: str) -> AsyncIterator[asyncio.Event]:
    """Yields an event that is set by each notification on `channel`. While the connection is away none arrives: wait
    with a timeout."""
    event = asyncio.Event()
    listening = asyncio.create_task(_listen(database_url, channel, event))
    try:
        yield event
    finally:
        listening.cancel()
        with suppress(asyncio.CancelledError):
            await listening


async def _listen(database_url: str, channel: str, event: asyncio.Event) -> None:
    while True:
        with suppress(psycopg.OperationalError):
            async with await connect_async(database_url, autocommit=True) as connection:
                await connection.execute(psycopg.sql.SQL("LISTEN {}").format(psycopg.sql.Identifier(channel)))
                event.set()  # what happened before is not told
                async for _ in connection.notifies():
                    event.set()
        await asyncio.sleep(_AGAIN_SECONDS)
