"""Reads the venue: connects, records, decodes, puts into order, journals and only then tells.

One task reads messages into a queue, one takes all that wait there and makes one batch of them. A connection that
breaks is opened again after a growing pause.
"""

import asyncio
import json
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

import structlog
from pydantic import TypeAdapter

from domain.errors import Conflict, PropOSError, Unavailable
from gateway.hub import Hub
from gateway.recording import Recording
from gateway.sequencer import Sequencer
from ports.facts import checked
from ports.journal import Journal
from ports.platform import SymbolSpec
from ports.venue import CONNECTED, SYMBOLS, Cursor, Decoder, Fact, Message, Quote, State, Unreadable, VenueFeed

_QUEUED: Final = 20_000
_IN_ONE_BATCH: Final = 2_000
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 30.0
_UNREADABLE_KEPT: Final = 20

_SPECS: Final = TypeAdapter(list[SymbolSpec])

_log = structlog.get_logger(__name__)


class _JournalFailed(Exception):
    """The journal, and not the adapter, failed with `error`."""

    def __init__(self, error: PropOSError) -> None:
        self.error = error


class VenueReader:
    """`reconcile_every`: seconds between two comparisons of all books with the venue's snapshots. `now` gives the time
    of receipt."""

    def __init__(
        self,
        feed: VenueFeed,
        sequencer: Sequencer,
        journal: Journal,
        hub: Hub,
        recording: Recording | None,
        *,
        reconcile_every: float = 60.0,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._feed, self._sequencer, self._journal, self._hub = feed, sequencer, journal, hub
        self._recording, self._reconcile_every, self._now = recording, reconcile_every, now
        self._queue: asyncio.Queue[Message] = asyncio.Queue(_QUEUED)
        self._decoder: Decoder = feed.decoder()
        self._unlisted: set[int] = set()  # accounts that the venue named and did not list at the last comparison
        self.connected = False
        self.trouble = ""  # why it is not connected, in words
        self.last_message_at: datetime | None = None
        self.unreadable: list[str] = []  # the last ones

    async def run(self) -> None:
        """Runs until cancelled. Raises Unavailable when the journal does not answer or cannot store, and Conflict when
        another gateway has taken it: nothing is told then."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._keep_connected())
                tasks.create_task(self._keep_reconciled())
                tasks.create_task(self._tell())
        except BaseExceptionGroup as failed:  # of one task: the others were cancelled
            raise failed.exceptions[0] from None

    # from the venue to the queue

    async def _keep_connected(self) -> None:
        pause = _FIRST_PAUSE
        while True:
            try:
                specs = [spec.model_dump(mode="json") for spec in await self._feed.symbols()]
                await self._queue.put(Message(SYMBOLS, json.dumps(specs).encode(), self._now()))
                await self._queue.put(Message(CONNECTED, b"", self._now()))
                await self._queue.join()  # cursors are those of everything that was received
                async with closed(self._feed.messages(dict(self._sequencer.cursors))) as messages:
                    async for message in messages:
                        self.connected, self.trouble = True, ""
                        await self._queue.put(message)
                self.trouble = "The venue closed the connection."
            except Unavailable as exc:
                self.trouble = exc.message
            self.connected = False
            self._sequencer.counts.reconnects += 1
            _log.warning("connection lost", platform=self._feed.name, why=self.trouble)
            # A connection that had caught up is opened again soon, so that little is missed.
            pause = _FIRST_PAUSE if self._sequencer.live else min(pause * 2, _LONGEST_PAUSE)
            await asyncio.sleep(pause * random.uniform(0.5, 1))

    async def _keep_reconciled(self) -> None:
        """Asks the venue about the accounts that differ, at once, and about all of them from time to time."""
        compared = time.monotonic()
        while True:
            await asyncio.sleep(0.2)
            if not (self.connected and self._sequencer.live):
                continue
            due = time.monotonic() - compared >= self._reconcile_every
            try:
                await self._ask(everything=due)
            except Unavailable as exc:
                self.trouble = exc.message
            if due:
                compared = time.monotonic()

    async def _ask(self, *, everything: bool) -> None:
        sequencer = self._sequencer
        if everything:
            sequencer.compare_anew()
        refused = await self._ask_fills()
        wanted = set(sequencer.wants_snapshot)
        if everything:
            wanted |= sequencer.books.keys() | sequencer.unknown
        if wanted:
            asked = set(wanted & sequencer.wants_snapshot)
            sequencer.wants_snapshot.clear()
            try:
                await self._pass_on(self._feed.snapshots(sorted(wanted)))
            except Unavailable:
                sequencer.wants_snapshot.update(asked)
                raise
        if everything:
            await self._queue.join()
            for login in self._unlisted & sequencer.unknown:
                sequencer.unlisted(login)
            self._unlisted = set(sequencer.unknown)
        if refused is not None:
            raise refused

    async def _ask_fills(self) -> Unavailable | None:
        """Returns why the venue did not tell the fills of an account. The others are asked for all the same."""
        sequencer, refused = self._sequencer, None
        connection = sequencer.counts.reconnects
        for login in sorted(sequencer.wants_fills):
            try:
                await self._pass_on(self._feed.fills(login, ""))
            except Unavailable as exc:
                refused = exc
                continue
            await self._queue.join()
            if sequencer.counts.reconnects != connection or not sequencer.live:
                break  # what was read goes with the connection before: it is asked for again on this one
            sequencer.asked(login)
        return refused

    async def _pass_on(self, told: AsyncIterator[Message]) -> None:
        async with closed(told) as messages:
            async for message in messages:
                await self._queue.put(message)

    # from the queue to the journal and the readers

    async def _tell(self) -> None:
        while True:
            waiting = [await self._queue.get()]
            while len(waiting) < _IN_ONE_BATCH and not self._queue.empty():
                waiting.append(self._queue.get_nowait())
            for message in waiting:
                self.take(message)
            while self.store():  # noqa: ASYNC110 -- no event to wait for:
                await asyncio.sleep(0)  # readers, locks and the health check have their turn
            for _ in waiting:
                self._queue.task_done()

    def take(self, message: Message) -> None:
        """Records one message and takes what it says."""
        if self._recording is not None:
            self._recording.add(message)
        self.last_message_at = message.received_at
        self._sequencer.counts.messages += 1
        if message.channel == SYMBOLS:
            self._sequencer.specs = {spec.symbol: spec for spec in _SPECS.validate_json(message.body)}
            return
        if message.channel == CONNECTED:
            self._decoder = self._feed.decoder()
            self._sequencer.connected()
            return
        try:
            for fact in self._decoder.facts(message):
                self._take_fact(fact, message)
        except Unreadable as exc:
            self._set_aside(message, str(exc))
        except _JournalFailed as exc:
            raise exc.error from None
        except Exception as exc:  # noqa: BLE001  # a fault in an adapter must not end the reading of a venue
            _log.exception("the adapter failed", platform=self._feed.name, channel=message.channel)
            self._set_aside(message, f"the adapter failed: {type(exc).__name__}")

    def _take_fact(self, fact: Fact, message: Message) -> None:
        try:
            plain = _PLAIN.get(type(fact))
            if plain is None or not plain(fact):
                checked(fact)
            self._sequencer.take(fact, message.received_at)
        except Unreadable as exc:
            self._set_aside(message, str(exc))
        except (Unavailable, Conflict) as exc:  # a fact that is set aside now would be lost once the journal is back
            raise _JournalFailed(exc) from None

    def _set_aside(self, message: Message, why: str) -> None:
        self._sequencer.counts.unreadable += 1
        self.unreadable = [*self.unreadable[1 - _UNREADABLE_KEPT :], f"{message.channel}: {why}"]

    def store(self) -> bool:
        """Journals what was taken, then tells it. Of a connection that catches up it is one part; returns whether
        there is more."""
        more = self._sequencer.tell_earlier(_IN_ONE_BATCH)
        if self._recording is not None:
            self._recording.flush()
        batch, changes = self._sequencer.batch()
        changes |= self._hub.take_changes()
        if batch is not None or changes:
            self._journal.append(batch, changes)
        for note in self._sequencer.notes:
            _log.warning("differs from the venue", platform=self._feed.name, words=note)
        self._sequencer.notes.clear()
        if batch is not None:
            self._hub.publish(batch)
        return more


# Whether a fact has the types of its fields: a short way for the most frequent kinds, in a sixth of the time.


def _is_time(at: object) -> bool:
    return at is None or (type(at) is datetime and at.tzinfo is not None)


def _is_plain_quote(quote: Quote) -> bool:
    prices = type(quote.bid) is Decimal and type(quote.ask) is Decimal and type(quote.symbol) is str
    return prices and _is_time(quote.at)


def _is_plain_state(state: State) -> bool:
    money = type(state.balance_minor) is int and type(state.equity_minor) is int and type(state.login) is int
    return money and type(state.estimated) is bool and _is_time(state.at)


def _is_plain_cursor(cursor: Cursor) -> bool:
    return type(cursor.name) is str and type(cursor.value) is str


_PLAIN: Final[dict[type[Fact], Callable[[Any], bool]]] = {
    Quote: _is_plain_quote,
    State: _is_plain_state,
    Cursor: _is_plain_cursor,
}


@asynccontextmanager
async def closed(messages: AsyncIterator[Message]) -> AsyncIterator[AsyncIterator[Message]]:
    """Ends the connection of a feed with the block, also when it is not read to its end: not some time later."""
    try:
        yield messages
    finally:
        if isinstance(messages, AsyncGenerator):
            await messages.aclose()
