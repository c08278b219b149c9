"""Runs the work of a command on the database that its settings name."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:  # only annotations need them; importing them would slow down `--help`
    from sqlalchemy.ext.asyncio import AsyncSession

    from store.db import Database

T = TypeVar("T")


def with_database(data: Path | None, work: "Callable[[Database], Awaitable[T]]") -> T:
    """Runs `work` on DATABASE_URL, or on the database that `propos up` runs on the data folder."""
    from cli.compose import build_database
    from settings import load

    settings = load(data_dir=data)

    async def run() -> T:
        db = build_database(settings, pool_size=1)
        try:
            return await work(db)
        finally:
            await db.close()

    return asyncio.run(run())


def in_transaction(data: Path | None, work: "Callable[[AsyncSession], Awaitable[T]]") -> T:
    """Runs `work` in one transaction on that database."""

    async def transact(db: "Database") -> T:
        async with db.transaction() as session:
            return await work(session)

    return with_database(data, transact)
