"""The events of one connection in the order in which they arrived, until they are told."""

import asyncio
from collections import deque
from contextlib import suppress

from ports.venue import Message


class Arrivals:
    """Each event stays here until it is told: nothing that is asked meanwhile can overtake it unseen."""

    def __init__(self) -> None:
        self._events: deque[tuple[int, Message]] = deque()
        self._came = asyncio.Event()

    def add(self, login: int, message: Message) -> None:
        """`login`: the account that the event is about; 0: none."""
        self._events.append((login, message))
        self._came.set()

    def take_all(self) -> list[Message]:
        found = [message for _, message in self._events]
        self._events.clear()
        return found

    def take_of(self, login: int) -> list[Message]:
        """Returns the events of one account and leaves the others."""
        found = [message for of, message in self._events if of == login]
        self._events = deque(each for each in self._events if each[0] != login)
        return found

    async def next(self, ended: asyncio.Event, seconds: float) -> Message | None:
        """Returns the next event; None after so many seconds without one, or when the connection has ended."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not self._events and not ended.is_set():
                    await self._one_of(ended)
        return self._events.popleft()[1] if self._events else None

    async def _one_of(self, ended: asyncio.Event) -> None:
        self._came.clear()
        waiting = [asyncio.ensure_future(each.wait()) for each in (self._came, ended)]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waiting:
                each.cancel()
