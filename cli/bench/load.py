"""A stream of ticks at a steady pace, which measures how fast the monitor reacts.

Ticks are generated in this process, so that their due time is known. Locks go to the platform's server.
"""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from cli.bench.market import Line, Market
from ports.platform import AccountSnapshot, Batch, ClockMark, PlatformStream, SymbolSpec, Tick

RATE: Final = 2_000  # ticks a second
VICTIMS: Final = "US500"  # falls by a point at every third of its ticks and breaks one account each time
MASS: Final = "XAGUSD"  # falls once
_MASS_FALL: Final = 3  # percent
_EVERY: Final = 3
WARM_SECONDS: Final = 2.0
_MINUTE_END_SECONDS: Final = 2.0
_QUIET_SECONDS: Final = 1.5
_MAX_BATCH: Final = 200  # ticks per batch if the reader falls behind


@dataclass(slots=True)
class Lock:
    """A lock that the monitor requested, with times; its verdict was committed before."""

    login: int
    asked: float
    placed: float


@dataclass(slots=True)
class Script:
    """The plan of the stream and its measurements. Times are of the performance counter."""

    market: Market
    seconds: float
    minute_at: datetime  # market time
    due: dict[int, float] = field(
        default_factory=dict
    )  # of each tick that moved the victims' symbol, by sequence number
    mass_due: float = 0.0
    measured_from: float = 0.0
    ticks: int = 0
    behind: float = 0.0  # longest time until a tick was read
    minute_ends: float = 0.0  # when the minute of market time ends that the load runs through; 0 before it does
    behind_at_minute_end: float = 0.0  # as `behind`, of the ticks that wait in the two seconds from then on
    locks: list[Lock] = field(default_factory=list)


class LoadStream:
    """A PlatformStream that plays a script and then ends the monitor."""

    def __init__(self, script: Script, venue: PlatformStream, stop: threading.Event, first: int) -> None:
        self._script, self._venue, self._stop, self._number = script, venue, stop, first
        self._turn = 0

    def batches(self, after: int) -> Iterator[Batch | None]:
        script = self._script
        began = time.perf_counter()
        script.measured_from = began + WARM_SECONDS
        yield from self._steady(began, began + WARM_SECONDS + script.seconds)
        until = time.perf_counter() + _QUIET_SECONDS
        while time.perf_counter() < until:
            time.sleep(0.05)
            yield None
        line = script.market.by_symbol[MASS]
        tick = script.market.tick(line, -line.points * _MASS_FALL // 100, seconds=1)
        script.mass_due = time.perf_counter()
        yield self._batch([tick])
        self._stop.set()
        yield None

    def _steady(self, began: float, until: float) -> Iterator[Batch | None]:
        script, given = self._script, 0
        while (now := time.perf_counter()) < until:
            due = min(int((now - began) * RATE), given + _MAX_BATCH)
            if due <= given:
                time.sleep(began + (given + 1) / RATE - now)
                continue
            self._waited(now - (began + (given + 1) / RATE), now)
            ticks = []
            for number in range(given + 1, due + 1):
                tick = self._next()
                if not script.minute_ends and tick.at >= script.minute_at:
                    script.minute_ends = now
                ticks.append(tick)
                if tick.symbol == VICTIMS:
                    script.due[tick.seq] = began + number / RATE
            given = due
            script.ticks += len(ticks)
            yield self._batch(ticks)

    def _waited(self, wait: float, now: float) -> None:
        """Notes how long the oldest unread tick has waited."""
        script = self._script
        script.behind = max(script.behind, wait)
        if script.minute_ends and now - script.minute_ends < _MINUTE_END_SECONDS:
            script.behind_at_minute_end = max(script.behind_at_minute_end, wait)

    def _next(self) -> Tick:
        market = self._script.market
        line: Line = market.random.choice(market.lines)
        if line.spec.symbol == MASS:
            return market.tick(line, 0, seconds=1 / RATE)
        if line.spec.symbol != VICTIMS:
            return market.tick(line, seconds=1 / RATE)
        self._turn += 1
        return market.tick(line, -(self._turn % _EVERY == 0), seconds=1 / RATE)

    def _batch(self, ticks: list[Tick]) -> Batch:
        self._number += 1
        mark = ClockMark.model_construct(kind="clock", seq=ticks[-1].seq, at=ticks[-1].at, flush=False)
        return Batch.model_construct(number=self._number, events=(*ticks, mark))

    def lock(self, login: int, key: str) -> None:
        asked = time.perf_counter()
        self._venue.lock(login, key)
        self._script.locks.append(Lock(login, asked, time.perf_counter()))

    def lock_many(self, locks: list[tuple[int, str]]) -> None:
        asked = time.perf_counter()
        self._venue.lock_many(locks)
        placed = time.perf_counter()
        self._script.locks += [Lock(login, asked, placed) for login, _ in locks]

    def acknowledge(self, number: int, keep_after: int) -> None:
        """Does nothing: this stream does not wait for acknowledgements."""

    def snapshot(self, login: int) -> AccountSnapshot:
        return self._venue.snapshot(login)

    def symbols(self) -> list[SymbolSpec]:
        return self._script.market.specs()

    def close(self) -> None:
        self._venue.close()
