"""The relay process: loops that deliver committed messages, and continue while Temporal or a provider is down."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

import psycopg
import structlog
from prometheus_client import Gauge
from sqlalchemy.exc import InterfaceError, OperationalError
from temporalio.service import RPCError

from domain.errors import Unavailable
from domain.quoting import storable_text
from firm import wakeups
from ports.payments import Providers
from ports.platform import Platforms
from relay.inbox import EventSweep, InboxDispatcher
from relay.keeper import Keeper
from relay.outbox import Connect, OutboxDispatcher
from relay.redrive import Redrive
from relay.singletons import Singletons
from relay.temporal import SharedClient
from store.db import Database
from store.keeping import STANDARD, Policy

_POLL_SECONDS: Final = 0.5  # when no notification came
_WAKEUP_SECONDS: Final = 0.5  # when nobody says that market time has moved
_TIMES: Final = ("market_clock", "wakeups")  # notifications: it has moved, or there is a new wake-up
_SWEEP_SECONDS: Final = 60.0
_SINGLETON_SECONDS: Final = 5.0
_KEEPER_SECONDS: Final = 10.0  # market time may pass quickly in a replay
_REDRIVE_SECONDS: Final = 30.0  # between two rounds over all open subjects
_REDRIVE_PAUSE: Final = 1.0  # between two batches of a round
_FIRST_PAUSE_SECONDS: Final = 1.0  # after a failure; doubled by each further one
_OUTAGE_SECONDS: Final = 5.0  # the longest pause while the database, Temporal or a provider is away
_LONGEST_PAUSE_SECONDS: Final = 60.0  # the longest pause after an unexpected error
_WAKEUP_BATCH: Final = 500
_OUTAGES: Final = (Unavailable, OperationalError, InterfaceError, psycopg.OperationalError, RPCError, OSError)

_failures = Gauge(
    "propos_relay_loop_failures", "Rounds of a loop that failed in a row; 0 when the last went well", ["loop"]
)
_log = structlog.get_logger("relay")


class Relay:
    """All loops of the relay. `shards`: number of shards of each platform that take new accounts. `policy`: how long
    rows are kept. `poll_seconds`: how often messages are looked for when no notification came."""

    def __init__(
        self,
        db: Database,
        connect: Connect,
        platforms: Platforms,
        payments: Providers,
        shards: int = 1,
        policy: Policy = STANDARD,
        poll_seconds: float = _POLL_SECONDS,
    ) -> None:
        self._poll_seconds = poll_seconds
        client = SharedClient(connect)
        self._db = db
        self._outbox_notified = asyncio.Event()
        self._inbox_notified = asyncio.Event()
        self._time_moved = asyncio.Event()
        self._outbox = OutboxDispatcher(db, client, platforms)
        self._inbox = InboxDispatcher(db, payments)
        self._sweeps = {name: EventSweep(db, provider) for name, provider in payments.by_name.items()}
        self._singletons = Singletons(db, client, shards, sorted(platforms.by_name))
        self._redrive = Redrive(db, client, self._singletons.known)
        self._keeper = Keeper(db, policy)

    async def run(self, stop: asyncio.Event) -> None:
        """Runs until `stop`. Rounds in progress are finished; the rest stays in the database."""
        await _retry_until_done("release", self._release, stop)
        async with asyncio.TaskGroup() as loops:  # no loop ends with an error: see _loop
            tasks = [
                loops.create_task(_loop("outbox", self._outbox.step, self._poll_seconds, stop, self._outbox_notified)),
                loops.create_task(_loop("inbox", self._inbox.step, self._poll_seconds, stop, self._inbox_notified)),
                loops.create_task(_loop("wakeups", self._fire_wakeups, _WAKEUP_SECONDS, stop, self._time_moved)),
                loops.create_task(_loop("singletons", self._start_singletons, _SINGLETON_SECONDS, stop)),
                loops.create_task(_loop("keeper", self._keeper.step, _KEEPER_SECONDS, stop)),
                loops.create_task(_loop("redrive", lambda: self._redrive_once(stop), _REDRIVE_SECONDS, stop)),
            ]
            tasks += [
                loops.create_task(_loop(f"sweep/{name}", partial(_sweep_once, sweep), _SWEEP_SECONDS, stop))
                for name, sweep in self._sweeps.items()
            ]
            listening = loops.create_task(self._listen(stop))
            await asyncio.wait(tasks)
            listening.cancel()

    async def _release(self) -> None:
        await self._outbox.release()
        await self._inbox.release()

    async def _fire_wakeups(self) -> int:
        async with self._db.transaction() as session:
            return await wakeups.fire(session, limit=_WAKEUP_BATCH)

    async def _start_singletons(self) -> int:
        await self._singletons.step()
        return 0

    async def _redrive_once(self, stop: asyncio.Event) -> int:
        found = await self._redrive.step()
        if found:
            await _pause(_REDRIVE_PAUSE, stop, None)
        return found

    async def _listen(self, stop: asyncio.Event) -> None:
        """Starts a round at once on each database notification. Without notifications the loops still poll."""

        async def listen() -> int:
            async with await psycopg.AsyncConnection.connect(self._db.url, autocommit=True) as connection:
                await connection.execute("LISTEN relay")
                _failures.labels("listen").set(0)
                self._notify_loops()
                self._time_moved.set()
                try:
                    async for told in connection.notifies():
                        if told.payload in _TIMES:
                            self._time_moved.set()
                        else:
                            self._notify_loops()
                except psycopg.OperationalError as error:
                    _log.warning("notifications ended", error=type(error).__name__)
            return 0

        await _loop("listen", listen, _FIRST_PAUSE_SECONDS, stop)

    def _notify_loops(self) -> None:
        self._outbox_notified.set()
        self._inbox_notified.set()


async def _sweep_once(sweep: EventSweep) -> int:
    await sweep.step()
    return 0


async def _loop(
    name: str,
    step: Callable[[], Awaitable[int]],
    idle_seconds: float,
    stop: asyncio.Event,
    notified: asyncio.Event | None = None,
) -> None:
    """Repeats `step`: at once while it finds work, else after `notified` or `idle_seconds`. After an error of `step`
    the loop pauses and continues; the other loops are not affected."""
    failures = 0
    while not stop.is_set():
        if notified is not None:
            notified.clear()
        try:
            found = await step()
        except Exception as error:  # noqa: BLE001 -- one loop's failure ends neither itself nor the others
            failures += 1
            await _pause(max(min(idle_seconds, _OUTAGE_SECONDS), _report_failure(name, error, failures)), stop, None)
            continue
        if failures:
            _log.info("works again", loop=name, failures=failures)
        failures = 0
        _failures.labels(name).set(0)
        if not found:
            await _pause(idle_seconds, stop, notified)


def _report_failure(name: str, error: Exception, failures: int) -> float:
    """Reports a failed round; returns the seconds to pause."""
    _failures.labels(name).set(failures)
    outage = isinstance(error, _OUTAGES)
    if failures & (failures - 1) == 0:  # the 1st, 2nd, 4th, 8th in a row: a long outage does not fill the log
        if outage:
            words = str(error).splitlines() or [type(error).__name__]
            _log.warning("interrupted", loop=name, failures=failures, error=storable_text(words[0]))
        else:
            _log.error("failed", loop=name, failures=failures, error=type(error).__name__, exc_info=error)
    longest = _OUTAGE_SECONDS if outage else _LONGEST_PAUSE_SECONDS
    return float(min(longest, _FIRST_PAUSE_SECONDS * 2 ** min(failures - 1, 10)))


async def _pause(seconds: float, stop: asyncio.Event, notified: asyncio.Event | None) -> None:
    waits = [asyncio.ensure_future(event.wait()) for event in (stop, notified) if event is not None]
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


async def _retry_until_done(name: str, step: Callable[[], Awaitable[None]], stop: asyncio.Event) -> None:
    """Repeats `step` until it succeeds once."""
    failures = 0
    while not stop.is_set():
        try:
            await step()
        except Exception as error:  # noqa: BLE001 -- as in the loops
            failures += 1
            await _pause(_report_failure(name, error, failures), stop, None)
        else:
            _failures.labels(name).set(0)
            return
