"""One transaction of a command, on the database that its settings name."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

T = TypeVar("T")


def in_transaction(data: Path | None, work: "Callable[[AsyncSession], Awaitable[T]]") -> T:
    """Do `work` in one transaction on DATABASE_URL, or on what `propos up` runs on the data folder."""
    from cli.compose import build_database
    from settings import load

    settings = load(data_dir=data)

    async def transact() -> T:
        db = build_database(settings, pool_size=1)
        try:
            async with db.transaction() as session:
                return await work(session)
        finally:
            await db.close()

    return asyncio.run(transact())
