"""How far the firm has read what a simulated venue told: asked at the gateway of that venue."""

import asyncio
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

import httpx

_FIRST_PAUSE, _LONGEST_PAUSE = 0.001, 0.05
_REMIND_EVERY: Final = 1.0  # seconds


class Hearing:
    """`url`: of the gateway."""

    def __init__(self, url: str) -> None:
        self._http = httpx.AsyncClient(base_url=url, timeout=5, trust_env=False)

    async def aclose(self) -> None:
        await self._http.aclose()

    async def read(self, at: datetime, remind: Callable[[], None]) -> None:
        """Returns when the gateway has read up to market time `at`. `remind`: tells the time once more; a connection
        that was broken has missed it."""
        await self._until(lambda status: _has_read(status, at), remind)

    async def stored(self, at: datetime, remind: Callable[[], None]) -> None:
        """Returns when every reader of the gateway has judged and stored everything up to market time `at`."""
        await self._until(lambda status: _has_read(status, at) and _is_stored(status), remind)

    async def _until(self, reached: Callable[[dict[str, Any]], bool], remind: Callable[[], None]) -> None:
        pause, reminded = _FIRST_PAUSE, time.monotonic()
        while True:
            status = await self._status()
            if status is not None and reached(status):
                return
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_PAUSE)
            if time.monotonic() - reminded > _REMIND_EVERY:
                remind()
                reminded = time.monotonic()

    async def _status(self) -> dict[str, Any] | None:
        try:
            answer = await self._http.get("/health")
        except httpx.TransportError:  # it is starting
            return None
        status: dict[str, Any] = answer.json()
        return status


def _has_read(status: dict[str, Any], at: datetime) -> bool:
    return bool(status["caught_up"]) and datetime.fromisoformat(status["market_time"]) >= at


def _is_stored(status: dict[str, Any]) -> bool:
    readers = status["readers"].values()
    return bool(readers) and min(readers) >= status["batch"]
