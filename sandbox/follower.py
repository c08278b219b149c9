"""Follows the sandbox's market: another simulated venue gets the same prices at the same market time.

The follower is a reader of the sandbox's stream. A market in lockstep waits for it, so that no venue is ahead of the
others for long: at a flush, every venue is at the same market time and the firm has stored what all of them told.
"""

import asyncio
import json
import logging
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Protocol

import httpx
from pydantic import BaseModel, ConfigDict, Field

from sandbox.feed import Quote
from sandbox.instants import to_us

_log: Final = logging.getLogger(__name__)
_BEHIND: Final = 24  # batches that it may be late: two minutes of a recording
_SILENCE: Final = 30.0
_PAUSE: Final = 0.3


class Following(BaseModel):
    """Where the prices come from: `sandbox` and `token`, of a sandbox that quotes `symbols`; under which name it is
    read; `gateway`, the address of the gateway that reads this venue for the firm; and `folder`, where the venue keeps
    its state."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sandbox: str = Field(pattern=r"^https?://")
    token: str
    reader: str
    symbols: tuple[str, ...]
    gateway: str = Field(pattern=r"^https?://")
    folder: Path


class FollowingVenue(Protocol):
    """`news`: how much has happened that the firm reacts to."""

    @property
    def news(self) -> int: ...

    def play(self, quotes: Iterable[Quote], start_us: int, end_us: int, ends_at: int | None) -> None:
        """What happens between two market times, in microseconds since 1970. `ends_at`: end of the recording, None for
        endless prices."""
        ...

    async def tell(self) -> None:
        """Returns when the firm was told everything."""
        ...

    async def stand(self) -> None:
        """Returns when the firm has stored everything up to now, where the clock stands."""
        ...


class Follower:
    """`is_following`: whether it has the sandbox's stream."""

    def __init__(self, config: Following, venue: FollowingVenue) -> None:
        self._config, self._venue = config, venue
        headers = {"Authorization": f"Bearer {config.token}"}
        self._http = httpx.AsyncClient(base_url=config.sandbox, headers=headers, timeout=60, trust_env=False)
        self._done = self._acked = 0
        self._market_us: int | None = None
        self._ends_at: int | None = None
        self.is_following = False

    async def run(self) -> None:
        """Runs until cancelled. A stream that breaks is opened again."""
        try:
            while True:
                try:
                    await self._read()
                except httpx.HTTPError as error:
                    _log.warning("the sandbox does not answer: %s", error)
                await asyncio.sleep(_PAUSE)
        finally:
            await self._http.aclose()

    async def _read(self) -> None:
        await self._look_at_market()
        query: dict[str, str | int] = {"after": self._done, "reader": self._config.reader, "behind": _BEHIND}
        async with self._http.stream("GET", "/venue/stream", params=query, timeout=_SILENCE) as answer:
            if answer.status_code == httpx.codes.GONE:
                self._done = int(json.loads(await answer.aread())["first"]) - 1
                return
            answer.raise_for_status()
            self.is_following = True
            async for line in answer.aiter_lines():
                if line:
                    await self._take(json.loads(line))

    async def _take(self, batch: Mapping[str, Any]) -> None:
        events = batch["events"]
        clock = events[-1]
        end_us = to_us(datetime.fromisoformat(clock["at"]))
        self._venue.play(_quotes(events), self._market_us or end_us, end_us, self._ends_at)
        self._market_us, self._done = end_us, int(batch["number"])
        if clock["flush"]:
            await self._venue.stand()
            if self._ends_at is not None and end_us >= self._ends_at:
                await self._look_at_market()
        elif self._ends_at is None or self._done - self._acked >= _BEHIND // 2:
            await self._venue.tell()
        else:
            return
        body = {"number": self._done, "keep_after": self._done, "reader": self._config.reader, "news": self._venue.news}
        (await self._http.post("/venue/ack", json=body)).raise_for_status()
        self._acked = self._done

    async def _look_at_market(self) -> None:
        market = (await self._http.get("/market")).raise_for_status().json()
        ends_at = market["feed_ends_at"]
        self._ends_at = None if ends_at is None else to_us(datetime.fromisoformat(ends_at))


def _quotes(events: Iterable[Mapping[str, Any]]) -> list[Quote]:
    return [
        Quote(to_us(datetime.fromisoformat(each["at"])), each["symbol"], Decimal(each["bid"]), Decimal(each["ask"]))
        for each in events
        if each["kind"] == "tick"
    ]
