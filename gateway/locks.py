"""Locks that shards ask for, carried out at the venue once per key."""

import asyncio
from collections.abc import Sequence
from typing import Final

from domain.errors import PropOSError
from ports.journal import Journal
from ports.platform import TradingPlatform

_AT_ONCE: Final = 20


class Locks:
    """The venue may have no memory of our keys, so the journal keeps those that are done: a late repeat has no effect
    on an account that was unlocked since."""

    def __init__(self, platform: TradingPlatform, journal: Journal) -> None:
        self._platform, self._journal = platform, journal
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._running: dict[str, asyncio.Task[None]] = {}

    async def lock(self, locks: Sequence[tuple[int, str]]) -> None:
        """Locks every account, each even if another fails. Raises the first failure after all have ended."""
        failed: list[PropOSError] = []

        async def one(login: int, key: str) -> None:
            try:
                await self._once(login, key)
            except PropOSError as exc:
                failed.append(exc)

        await asyncio.gather(*(one(login, key) for login, key in locks))
        if failed:
            raise failed[0]

    async def _once(self, login: int, key: str) -> None:
        """Two requests with one key are one call to the venue."""
        if self._journal.get(f"done/{key}") is not None:
            return
        task = self._running.get(key)
        if task is None:
            task = self._running[key] = asyncio.create_task(self._at_venue(login, key))
            task.add_done_callback(lambda _: self._running.pop(key, None))
        await asyncio.shield(task)

    async def _at_venue(self, login: int, key: str) -> None:
        async with self._turns:
            await self._platform.lock(login, key=key)
        self._journal.append(None, {f"done/{key}": str(login)})
