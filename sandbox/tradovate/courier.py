"""Sends quotes and the changes of accounts in one order, though they go over different sockets.

Market time runs much faster than on the real venue, so that a fill which overtakes a quote, or is overtaken by one,
would come seconds or minutes too late. The courier changes from one socket to the other only when the firm has read
what it sent on the first.
"""

import asyncio
from collections import deque
from datetime import datetime, timedelta
from typing import Final

from sandbox.hearing import Hearing
from sandbox.tradovate.rows import Change, Row
from sandbox.tradovate.sockets import Hub

_STEP: Final = timedelta(milliseconds=1)  # of the venue's times
_RUNS, _STANDS = 100, 0  # speed of the clock
_LOOK: Final = 0.02  # seconds


class Courier:
    """`kept`: (time, quote or changes) that are not sent yet."""

    def __init__(self, hub: Hub, hearing: Hearing) -> None:
        self._hub, self._hearing = hub, hearing
        self._kept: deque[tuple[datetime, Row | list[Change]]] = deque()
        self._last: tuple[datetime, bool] | None = None  # when, and whether it was quotes
        self._sending = asyncio.Lock()

    def keep_changes(self, at: datetime, changes: list[Change]) -> None:
        self._kept.append((at, changes))

    def keep_quote(self, at: datetime, quote: Row) -> None:
        self._kept.append((at, quote))

    async def run(self) -> None:
        """Sends soon what the firm's own calls have changed. Quotes wait for `send`: many of them share a frame."""
        while True:
            if any(isinstance(told, list) for _, told in self._kept):
                await self.send()
            await asyncio.sleep(_LOOK)

    async def send(self) -> None:
        """Returns when everything is sent."""
        async with self._sending:
            while self._kept:
                at, told = self._kept.popleft()
                await self._change_sockets(quotes=isinstance(told, dict))
                if isinstance(told, dict):
                    at = self._send_quotes(at, told)
                else:
                    self._hub.send_changes(told)
                self._last = at, isinstance(told, dict)

    async def stand(self, at: datetime) -> None:
        """Sends everything, lets the clock stand at `at`, and returns when the firm has stored all of it. What the firm
        does because of it is told in the same way."""
        while True:
            await self.send()
            self._hub.send_clock(at, _STANDS)
            await self._hearing.stored(at, lambda: self._hub.send_clock(at, _STANDS))
            if not self._kept:
                return

    async def _change_sockets(self, *, quotes: bool) -> None:
        if self._last is None or self._last[1] == quotes:
            return
        at = self._last[0] if self._last[1] else self._last[0] + _STEP
        if not self._last[1]:
            self._hub.send_clock(at, _RUNS)
        await self._hearing.read(at, lambda: self._hub.send_clock(at, _RUNS))

    def _send_quotes(self, at: datetime, quote: Row) -> datetime:
        quotes = [quote]
        while self._kept and isinstance(self._kept[0][1], dict):
            at, more = self._kept.popleft()
            assert isinstance(more, dict)
            quotes.append(more)
        self._hub.send_quotes(quotes)
        return at
