"""How often and how soon a venue is asked: rate limits, pauses between attempts, a breaker for a venue that is down.

All three belong to one connection and one event loop. `clock` returns seconds that never go back.
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, NamedTuple

from domain.errors import Unavailable

Clock = Callable[[], float]
Sleep = Callable[[float], Awaitable[None]]


_urgent: ContextVar[bool] = ContextVar("urgent", default=False)


@contextmanager
def urgently() -> Iterator[None]:
    """The calls within, questions too, are urgent."""
    before = _urgent.set(True)
    try:
        yield
    finally:
        _urgent.reset(before)


def is_urgent() -> bool:
    return _urgent.get()


class Rate(NamedTuple):
    """At most `calls` within any `seconds`."""

    calls: int
    seconds: float


class RateLimiter:
    """Delays calls so that every rate holds. `patience`: the longest delay in seconds; a call that would wait longer
    is refused. `who`: the venue, for messages."""

    def __init__(
        self,
        who: str,
        rates: Sequence[Rate],
        *,
        patience: float = 30.0,
        clock: Clock = time.monotonic,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._who, self._rates, self._patience = who, tuple(rates), patience
        self._clock, self._sleep = clock, sleep
        self._sent: list[deque[float]] = [deque() for _ in self._rates]

    async def wait(self, *, urgent: bool = False) -> None:
        """Waits until a call may be sent, and counts it. An urgent call (a lock) is counted and never waits. Raises
        Unavailable when the wait would be longer than the patience."""
        now = self._clock()
        delay = 0.0 if urgent else self._delay(now)
        if delay > self._patience:
            raise Unavailable(
                f"{self._who} takes no more calls for {delay:.0f} s: its rate limit is used up.",
                remedy="Wait, or ask the venue for a higher limit.",
            )
        for sent in self._sent:
            sent.append(now + delay)
        if delay > 0:
            await self._sleep(delay)

    def _delay(self, now: float) -> float:
        """Seconds until one more call keeps every rate. Calls that wait already hold their place."""
        delay = 0.0
        for rate, sent in zip(self._rates, self._sent, strict=True):
            while sent and sent[0] <= now - rate.seconds:
                sent.popleft()
            if len(sent) >= rate.calls:
                delay = max(delay, sent[-rate.calls] + rate.seconds - now)
        return delay


def pauses(first: float, longest: float, *, chance: Callable[[], float] = random.random) -> Iterator[float]:
    """Yields the pauses in seconds between attempts without end: each up to twice as long as the one before, at most
    `longest`, and by chance down to half of that, so that many callers do not come back together."""
    ceiling = first
    while True:
        yield ceiling * (0.5 + chance() / 2)
        ceiling = min(ceiling * 2, longest)


_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 60.0


class CircuitBreaker:
    """Stops asking a venue that fails again and again.

    After `failures` failures in a row calls are refused for a pause that doubles from one second to `longest`. Then one
    call may try: its success ends the refusals, its failure begins a longer pause. `hold` begins a pause that the venue
    itself asked for. After every `check` that passes comes `succeeded` or `failed`.
    """

    def __init__(
        self,
        who: str,
        *,
        failures: int = 5,
        longest: float = _LONGEST_PAUSE,
        clock: Clock = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._who, self._allowed, self._clock, self._chance = who, failures, clock, chance
        self._failed = 0
        self._until = 0.0
        self._trying = False
        self._longest = longest
        self._pauses = pauses(_FIRST_PAUSE, longest, chance=chance)

    def check(self, *, urgent: bool = False) -> None:
        """Raises Unavailable while calls are refused. An urgent call (a lock) is only refused in a pause that the venue
        asked for."""
        left = self._until - self._clock()
        open_by_failures = self._failed >= self._allowed
        if left > 0 and not (urgent and open_by_failures):
            raise self._refusal(left)
        if urgent:
            return
        if open_by_failures and self._trying:
            raise self._refusal(0)
        self._trying = open_by_failures

    def succeeded(self) -> None:
        self._failed, self._until, self._trying = 0, 0.0, False
        self._pauses = pauses(_FIRST_PAUSE, self._longest, chance=self._chance)

    def failed(self) -> None:
        self._failed, self._trying = self._failed + 1, False
        if self._failed >= self._allowed:
            self._until = max(self._until, self._clock() + next(self._pauses))

    def hold(self, seconds: float) -> None:
        """The venue asks for no call within `seconds`."""
        self._until = max(self._until, self._clock() + seconds)

    def _refusal(self, left: float) -> Unavailable:
        return Unavailable(
            f"{self._who} failed several times or asked for a pause. It is asked again in {max(left, 1):.0f} s.",
            remedy="Look at the venue's status page if this lasts.",
        )
