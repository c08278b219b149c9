"""Waits for the servers that a process needs."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

import structlog
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from temporalio.client import Client

from cli.compose import temporal
from contracts.drops import ReportDrop
from domain.errors import Unavailable
from settings import Settings
from store.db import Database

_PAUSES: Final = (0.5, 1.0, 2.0, 5.0)

_log = structlog.get_logger("worker")
T = TypeVar("T")


async def connect_when_ready(
    settings: Settings, db: Database, stop: asyncio.Event, note: ReportDrop | None = None
) -> Client | None:
    """Waits for PostgreSQL, then connects to Temporal. Returns the connection, or None when `stop` came first. `note`
    hears of each payload that cannot be read."""

    async def postgres() -> None:
        async with db.transaction() as session:
            await session.execute(text("SELECT 1"))

    await _retry("PostgreSQL", postgres, stop)
    return await _retry(f"Temporal at {settings.temporal_address}", lambda: temporal(settings, note), stop)


async def _retry(target: str, attempt: Callable[[], Awaitable[T]], stop: asyncio.Event) -> T | None:
    """Repeats `attempt` until it succeeds; None when `stop` came first. Logs once that it waits for `target`."""
    logged = False
    pauses: Sequence[float] = _PAUSES
    while not stop.is_set():
        try:
            return await attempt()
        except (Unavailable, OperationalError, OSError) as error:
            if not logged:
                _log.warning(f"waiting for {target}", error=str(error).splitlines()[0])
                logged = True
        pause, pauses = pauses[0], pauses[1:] or pauses
        try:
            async with asyncio.timeout(pause):
                await stop.wait()
        except TimeoutError:
            continue
    return None
