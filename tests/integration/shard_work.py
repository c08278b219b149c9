"""Shards at work on real Postgres."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

from store import crypto
from store.db import Database
from tests.challenge_world import KEYS

T = TypeVar("T")


def work(database_url: str, task: Callable[[AsyncSession], Awaitable[T]]) -> T:
    """`task` in a transaction of its own."""

    async def transact() -> T:
        db = Database(database_url, pool_size=1)
        try:
            async with db.transaction() as session:
                return await task(session)
        finally:
            await db.close()

    crypto.install(crypto.FieldKeys.parse(KEYS))
    return asyncio.run(transact())


def falling_prices() -> list[str]:
    """A quote each second for twenty minutes: 1.10000, and from the tenth minute on 1.09400."""
    prices = ("1.10000,1.10010" if second < 600 else "1.09400,1.09410" for second in range(1200))
    return [f"{second * 1000},{price}" for second, price in enumerate(prices)]
