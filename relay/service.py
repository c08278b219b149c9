"""The relay process: loops that deliver committed messages, and continue while Temporal or a provider is down."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

import psycopg
import structlog
from prometheus_client import Counter, Gauge
from sqlalchemy.exc import InterfaceError, OperationalError
from temporalio.service import RPCError

from domain.errors import Unavailable
from domain.quoting import storable_text
from firm import screening, wakeups
from firm.service import clocks, deadlines, timers
from ports.mail import MailDesk
from ports.payments import Payments
from ports.platform import Platforms
from ports.tickets import TicketDesk
from relay import answers
from relay.desk.copier import DeskNotes
from relay.desk.reader import DeskSweep
from relay.inbox import EventSweep, InboxDispatcher
from relay.keeper import Keeper
from relay.notifications import Notifier
from relay.outbox import Connect, OutboxDispatcher
from relay.redrive import Redrive
from relay.singletons import Singletons
from relay.temporal import SharedClient
from relay.webhooks import WebhookDispatcher
from store import account_ranks, audit, deliveries
from store.db import Database, connect_async
from store.keeping import STANDARD, Policy

_POLL_SECONDS: Final = 0.5  # between two looks for messages of which no notification came
_OWN_LOOK: Final = 10  # after as many of these looks a loop of messages looks for itself: the looks may fail
_WAKEUP_SECONDS: Final = 0.5  # when nobody says that market time has moved
# loop -> what it delivers. A notification starts the loop that has most to do at once, and a look starts the others.
_MESSAGES: Final[dict[str, deliveries.Due]] = {
    "outbox": "messages",
    "inbox": "events",
    "desk-copies": "copies",
    "desk-events": "tickets",
    "bulk-mail": "bulk",
}
_TIMES: Final = ("market_clock", "wakeups")  # notifications: it has moved, or there is a new wake-up
_SWEEP_SECONDS: Final = 60.0
_SINGLETON_SECONDS: Final = 5.0
_ANCHOR_SECONDS: Final = 5.0
_KEEPER_SECONDS: Final = 10.0  # market time may pass quickly in a replay
_SCREENING_SECONDS: Final = 5.0  # new traders and new lists
_SCREENING_BATCH: Final = 50
_WEBHOOK_SECONDS: Final = 1.0
_NOTIFY_SECONDS: Final = 1.0
_REDRIVE_SECONDS: Final = 30.0  # between two rounds over all open subjects
_REDRIVE_PAUSE: Final = 1.0  # between two batches of a round
_FIRST_PAUSE_SECONDS: Final = 1.0  # after a failure; doubled by each further one
_OUTAGE_SECONDS: Final = 5.0  # the longest pause while the database, Temporal or a provider is away
_LONGEST_PAUSE_SECONDS: Final = 60.0  # the longest pause after an unexpected error
_WAKEUP_BATCH: Final = 500
_TICKETS_SECONDS: Final = 1.0  # deadlines are minutes apart
_TICKETS_BATCH: Final = 100
_ANSWERS_SECONDS: Final = 1.0
_DEADLINES_SECONDS: Final = 5.0
_RANKS_SECONDS: Final = 5.0  # the shortest pause between two rounds
_RANKS_REST: Final = 20  # a pause is as many times as long as the round before it, so that rounds take a twentieth
_LONGEST_RANKS_SECONDS: Final = 120.0
_OUTAGES: Final = (Unavailable, OperationalError, InterfaceError, psycopg.OperationalError, RPCError, OSError)

_failures = Gauge(
    "propos_relay_loop_failures", "Rounds of a loop that failed in a row; 0 when the last went well", ["loop"]
)
_late = Counter("propos_service_clocks_late_total", "Clocks of tickets that were found late", ["clock"])
_log = structlog.get_logger("relay")


class Relay:
    """All loops of the relay. `shards`: number of shards of each platform that take new accounts. `policy`: how long
    rows are kept. `poll_seconds`: how often messages are looked for when no notification came. `webhooks`: sends
    business events to programs of others; None: nobody does here. `desk`: what mail is sent with. `tickets`: the desk
    where people work on tickets; None: our own. `notes`: what is noted on each ticket there. `notifier`: tells people
    what happened; None: nobody does here."""

    def __init__(
        self,
        db: Database,
        connect: Connect,
        platforms: Platforms,
        payments: Payments,
        shards: int = 1,
        policy: Policy = STANDARD,
        poll_seconds: float = _POLL_SECONDS,
        webhooks: WebhookDispatcher | None = None,
        desk: MailDesk | None = None,
        tickets: TicketDesk | None = None,
        notes: DeskNotes | None = None,
        notifier: Notifier | None = None,
    ) -> None:
        self._poll_seconds = poll_seconds
        client = SharedClient(connect)
        self._db = db
        self._notified = {name: asyncio.Event() for name in _MESSAGES}
        self._told = asyncio.Event()  # of new messages or events
        self._time_moved = asyncio.Event()
        self._outbox = OutboxDispatcher(db, client, platforms, desk, tickets, notes)
        self._inbox = InboxDispatcher(db, payments, tickets)
        self._desk_sweep = None if tickets is None else DeskSweep(db, tickets)
        self._sweeps = {name: EventSweep(db, source) for name, source in payments.event_sources.items()}
        self._singletons = Singletons(db, client, shards, sorted(platforms.by_name))
        self._redrive = Redrive(db, client, self._singletons.known)
        self._keeper = Keeper(db, policy)
        self._webhooks, self._notifier = webhooks, notifier
        self._ranks_took = 0.0  # seconds of the last round

    async def run(self, stop: asyncio.Event) -> None:
        """Runs until `stop`. Rounds in progress are finished; the rest stays in the database."""
        await _retry_until_done("release", self._release, stop)
        async with asyncio.TaskGroup() as loops:  # no loop ends with an error: see _loop
            tasks = [
                loops.create_task(_loop("wakeups", self._fire_wakeups, _WAKEUP_SECONDS, stop, self._time_moved)),
                loops.create_task(_loop("tickets", self._fire_ticket_timers, _TICKETS_SECONDS, stop)),
                loops.create_task(_loop("answers", partial(answers.let_go, self._db), _ANSWERS_SECONDS, stop)),
                loops.create_task(_loop("deadlines", self._stamp_deadlines, _DEADLINES_SECONDS, stop)),
                loops.create_task(_loop("ranks", lambda: self._rank_accounts(stop), _RANKS_SECONDS, stop)),
                loops.create_task(_loop("singletons", self._start_singletons, _SINGLETON_SECONDS, stop)),
                loops.create_task(_loop("keeper", self._keeper.step, _KEEPER_SECONDS, stop)),
                loops.create_task(_loop("screening", self._rescreen, _SCREENING_SECONDS, stop)),
                loops.create_task(_loop("audit", self._anchor, _ANCHOR_SECONDS, stop)),
                loops.create_task(_loop("redrive", lambda: self._redrive_once(stop), _REDRIVE_SECONDS, stop)),
            ]
            steps = (
                *(self._outbox.step, self._inbox.step, self._outbox.step_copies, self._inbox.step_tickets),
                self._outbox.step_bulk,
            )

            tasks += [
                loops.create_task(_loop(name, step, self._poll_seconds * _OWN_LOOK, stop, self._notified[name]))
                for name, step in zip(_MESSAGES, steps, strict=True)
            ]
            tasks.append(loops.create_task(_loop("due", self._look, self._poll_seconds, stop, self._told)))
            tasks += [
                loops.create_task(_loop(f"sweep/{name}", partial(_sweep_once, sweep), _SWEEP_SECONDS, stop))
                for name, sweep in self._sweeps.items()
            ]
            if self._desk_sweep is not None:
                tasks.append(loops.create_task(_loop("desk", self._desk_sweep.step, _SWEEP_SECONDS, stop)))
            if self._webhooks is not None:
                tasks.append(loops.create_task(_loop("webhooks", self._webhooks.step, _WEBHOOK_SECONDS, stop)))
            if self._notifier is not None:
                tasks.append(loops.create_task(_loop("notifications", self._notifier.step, _NOTIFY_SECONDS, stop)))
            listening = loops.create_task(self._listen(stop))
            await asyncio.wait(tasks)
            listening.cancel()
            if self._webhooks is not None:
                await self._webhooks.close()

    async def _release(self) -> None:
        await self._outbox.release()
        await self._inbox.release()

    async def _look(self) -> int:
        """Starts the loops whose messages are due. One question for all of them: mostly there is nothing to do."""
        due = await deliveries.due(self._db)
        for name, what in _MESSAGES.items():
            if what in due:
                self._notified[name].set()
        return 0

    async def _fire_wakeups(self) -> int:
        if not await wakeups.are_due(self._db):
            return 0
        async with self._db.transaction() as session:
            return await wakeups.fire(session, limit=_WAKEUP_BATCH)

    async def _fire_ticket_timers(self) -> int:
        """Deals with deadlines of tickets that were reached, and applies a new service policy to the next open ones."""
        async with self._db.transaction() as session:
            fired = await timers.fire(session, limit=_TICKETS_BATCH)
        for each in fired:
            if each.outcome == "late":
                _late.labels(each.clock).inc()
                _log.warning("ticket is late", ticket=each.ticket_id, clock=each.clock)
        async with self._db.transaction() as session:
            return len(fired) + await clocks.recompute(session, limit=_TICKETS_BATCH)

    async def _stamp_deadlines(self) -> int:
        """Gives deadlines to the decisions that wait for a person."""
        async with self._db.transaction() as session:
            return await deadlines.stamp(session, limit=_TICKETS_BATCH)

    async def _rank_accounts(self, stop: asyncio.Event) -> int:
        """Brings up to date what the list of accounts is sorted by. All accounts that moved are in one round."""
        await _pause(ranks_pause(self._ranks_took) - _RANKS_SECONDS, stop, None)
        began = time.monotonic()
        async with self._db.transaction() as session:
            await account_ranks.refresh(session)
        self._ranks_took = time.monotonic() - began
        return 0

    async def _rescreen(self) -> int:
        """After a list changed, a batch in each round until every trader was compared with it."""
        async with self._db.transaction() as session:
            return await screening.rescreen(session, limit=_SCREENING_BATCH)

    async def _start_singletons(self) -> int:
        await self._singletons.step()
        return 0

    async def _anchor(self) -> int:
        """Anchors the audit log. While writers are busy it is left for the next round."""
        try:
            async with self._db.transaction() as session:
                await audit.anchor(session)
        except OperationalError as error:
            if not isinstance(error.orig, psycopg.errors.LockNotAvailable):
                raise
        return 0

    async def _redrive_once(self, stop: asyncio.Event) -> int:
        found = await self._redrive.step()
        if found:
            await _pause(_REDRIVE_PAUSE, stop, None)
        return found

    async def _listen(self, stop: asyncio.Event) -> None:
        """Starts a round at once on each database notification. Without notifications the loops still poll."""

        async def listen() -> int:
            async with await connect_async(self._db.url, autocommit=True) as connection:
                await connection.execute("LISTEN relay")
                _failures.labels("listen").set(0)
                self._told.set()
                self._time_moved.set()
                try:
                    async for told in connection.notifies():
                        if told.payload in _TIMES:
                            self._time_moved.set()
                        elif told.payload in _MESSAGES:  # the table has the name of its loop
                            self._notified[told.payload].set()
                            self._told.set()
                except psycopg.OperationalError as error:
                    _log.warning("notifications ended", error=type(error).__name__)
            return 0

        await _loop("listen", listen, _FIRST_PAUSE_SECONDS, stop)


def ranks_pause(seconds: float) -> float:
    """How long to wait after a round that ranked accounts and took `seconds`."""
    return min(max(_RANKS_SECONDS, _RANKS_REST * seconds), _LONGEST_RANKS_SECONDS)


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
    the loop pauses and continues: as soon as the failures allow where work is told of, else not before its usual time.
    The other loops are not affected."""
    failures = 0
    while not stop.is_set():
        if notified is not None:
            notified.clear()
        try:
            found = await step()
        except Exception as error:  # noqa: BLE001 -- one loop's failure ends neither itself nor the others
            failures += 1
            pause = _report_failure(name, error, failures)
            if notified is None:
                pause = max(pause, min(idle_seconds, _OUTAGE_SECONDS))
            await _pause(pause, stop, None)  # news does not shorten it: it may be of what failed
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
