"""The simulated market: reads ticks from a feed and releases numbered batches of events.

Lockstep: a batch is released only during an advance, and only after the batch before it was acknowledged.
Live: a batch is released every quarter second. A lockstep market can go live once and cannot go back: the price model
then continues from the last recorded prices at wall time. One step runs between two awaits: traders act, ticks apply,
the batch is written to the journal; only then can readers see it.
"""

import asyncio
import os
import signal
import sqlite3
import time
from collections.abc import AsyncIterator, Iterable
from decimal import Decimal
from typing import Any, Final, Literal

from pydantic_core import to_json

from domain.errors import BadInput, Conflict, Unavailable
from ports.platform import FIRST_READER, AccountSnapshot, GapInStream
from sandbox.feed import Feed, Quote
from sandbox.instants import HOUR, MINUTE, SECOND, Stamper, iso
from sandbox.journal import Journal, Row
from sandbox.model import PriceModel
from sandbox.neighbours import Neighbours
from sandbox.provider import Provider
from sandbox.readers import Readers
from sandbox.sequence import Sequence
from sandbox.tape import Tape
from sandbox.traders import TraderDesk
from sandbox.venue import STATES_GROUPS, Venue

SLICE_US: Final = 5 * SECOND
MAX_TICKS: Final = 400
_LIVE_INTERVAL: Final = 0.25
_LIVE_FLUSH: Final = 2.0
_LIVE_KEEP: Final = 50_000
_MISSED_US: Final = 10 * SECOND
_IN_MEMORY: Final = 256
_DROP_STEP: Final = 64


class SimulatedMarket:
    """One market with its venue, hosted traders, payment provider and readers. Times are microseconds since 1970."""

    def __init__(
        self,
        feed: Feed,
        journal: Journal,
        venue: Venue,
        tape: Tape,
        desk: TraderDesk,
        provider: Provider,
        neighbours: Neighbours,
        start_us: int,
        mode: Literal["lockstep", "live"],
        readers: Iterable[str] = (FIRST_READER,),
    ) -> None:
        self.venue, self.desk, self.provider, self.journal = venue, desk, provider, journal
        self._feed, self._tape, self._sequence, self.neighbours = feed, tape, Sequence(venue), neighbours
        self.market_us, self.mode = start_us, mode
        self.went_live = False  # by `go_live`, in this process or an earlier one
        self.number = self.ticks = 0
        self.readers = Readers(readers)
        self._flushed = 0  # the last batch that asked its readers to flush
        self.running = self.closing = False
        self._minute, self._dropped, self._tape_changed = start_us // MINUTE, 0, False
        self._recent: dict[int, str] = {}
        # Last reported (balance, equity) by login. Not journaled: a restart reports all of them again.
        self._reported: dict[int, tuple[int, int]] = {}
        self._stamp = Stamper()
        self._turn = asyncio.Lock()
        self._released, self._acknowledged, self._live = asyncio.Event(), asyncio.Event(), asyncio.Event()
        if mode == "live":
            self._live.set()
        self._restore()
        venue.now_us = self.market_us

    # lockstep

    async def advance(self, until_us: int, *, pause: bool = False) -> int:
        """Release batches up to market time `until_us`, each after the one before it was acknowledged.

        The last batch asks readers to flush and is awaited too. Returns the number of ticks released. With `pause`,
        stops early when an account was locked or a neighbour or a reader has news: the firm's reaction takes wall time,
        and a run is repeatable only if the market waits for it. Raises Conflict for a live market, BadInput for an
        earlier time.
        """
        async with self._turn:
            if self.mode == "live":
                raise Conflict("This market runs by itself; only a replay in lockstep is advanced.")
            if until_us < self.market_us:
                raise BadInput(
                    f"Market time is already {iso(self.market_us)}.", field="until", remedy="Give a later time."
                )
            self.running, before, news = True, self.ticks, self._pause_counts()
            try:
                await self._all_acknowledged()
                done = False
                while not done:
                    done = self._release(self._slice_end(until_us), flush_at=until_us)
                    await self._all_acknowledged()
                    if pause and not done and self._pause_counts() != news:
                        done = self._release(self.market_us, flush_at=self.market_us)
                        await self._all_acknowledged()
            finally:
                self.running = False
            return self.ticks - before

    def _pause_counts(self) -> tuple[int, ...]:
        return self.venue.locks, self.readers.news, *self.neighbours.news()

    def _slice_end(self, until_us: int) -> int:
        """Returns the end of the next slice: the next five-second mark, or up to an hour on when no quote is near."""
        next_at = self._feed.next_at()
        if next_at is None or next_at - self.market_us > HOUR:
            return min(until_us, self.market_us + HOUR)
        return min(until_us, (self.market_us // SLICE_US + 1) * SLICE_US)

    async def _all_acknowledged(self) -> None:
        while self.readers.waited_for(self.number, self._flushed):
            await self._acknowledged.wait()

    # live

    async def go_live(self, seed: int) -> None:
        """End the replay: the price model continues from the last prices at wall time. Repeating changes nothing.

        Raises Conflict when wall time is before market time, or when the replay runs at its own speed.
        """
        async with self._turn:
            if self._feed.ends_at is None:
                return
            if self.mode == "live":
                raise Conflict(
                    "This market replays a recording at its own speed and cannot change over.",
                    remedy="Start the sandbox without a speed: a replay in lockstep can go live.",
                )
            now_us = time.time_ns() // 1000
            if now_us < self.market_us:
                raise Conflict(
                    f"Market time is {iso(self.market_us)}, but it is only {iso(now_us)} now: time cannot go back.",
                    remedy="Replay an earlier date, or go live once that time has come.",
                )
            bids = {symbol: bid for symbol, (bid, _) in self.venue.quotes.items()}
            self._feed = PriceModel(seed, list(self.venue.specs), now_us, bids)
            self.mode, self.went_live = "live", True
            self._jump_to(now_us)
            self._live.set()

    async def run_live(self, speed: float | None) -> None:
        """Wait until the market is live, then release due batches every quarter second until `stop`.

        Runs at wall time, or `speed` times as fast as recorded. After a pause of the process, the model skips the
        time it missed.
        """
        await self._live.wait()
        self.running = True
        began, begin_us, flushed = time.monotonic(), self.market_us, 0.0
        while not self.closing:
            now = time.monotonic()
            due = time.time_ns() // 1000 if speed is None else begin_us + int((now - began) * speed * SECOND)
            if speed is None and due - self.market_us > _MISSED_US:
                self._feed.skip_to(due)
                self._jump_to(due)
            while self.market_us < due and not self.closing:
                end = self._slice_end(due)
                flush = end == due and now - flushed >= _LIVE_FLUSH
                flushed = now if flush else flushed
                self._release(end, flush_at=due if flush else None)
                await asyncio.sleep(0)
            await asyncio.sleep(_LIVE_INTERVAL)

    # the batch

    def _release(self, end_us: int, flush_at: int | None = None) -> bool:
        """Release one batch: the events of API calls and traders since the last batch, then the ticks up to `end_us`.

        Returns True when market time has reached `flush_at`; the batch then asks readers to flush.
        """
        start_us = self.market_us
        self.desk.act(start_us, self._feed.ends_at)
        events = self._sequence.take()
        quotes = self._feed.take(end_us, MAX_TICKS)
        for quote in quotes:
            events.append(self._tick_text(quote))
            self.venue.tick(quote)
            if self.venue.pending:
                events += self._sequence.take()
        clock = quotes[-1].at_us if len(quotes) == MAX_TICKS else end_us
        self.ticks += len(quotes)
        self._tape_changed = self._tape.record(quotes, self.venue.quotes, start_us, clock)
        done = clock == flush_at and len(quotes) < MAX_TICKS
        self._close_batch(events, clock, flush=done)
        return done

    def _jump_to(self, to_us: int) -> None:
        """Release one batch without ticks that sets market time: nobody trades at prices of the skipped time."""
        self._close_batch(self._sequence.take(), to_us, flush=True)

    def _close_batch(self, events: list[str], clock: int, *, flush: bool) -> None:
        self.market_us = self.venue.now_us = clock
        self.neighbours.advance(clock)
        events += self._account_states(each_minute=clock // MINUTE != self._minute)
        self._minute = clock // MINUTE
        events.append(
            f'{{"kind":"clock","seq":{self._sequence.next()},"at":"{self._stamp(clock)}",'
            f'"flush":{"true" if flush else "false"}}}'
        )
        self._flushed = self.number + 1 if flush else self._flushed
        self._publish(f'{{"number":{self.number + 1},"events":[{",".join(events)}]}}')

    def _tick_text(self, quote: Quote) -> str:
        at, symbol, bid, ask = quote
        return (
            f'{{"kind":"tick","seq":{self._sequence.next()},"at":"{self._stamp(at)}",'
            f'"symbol":"{symbol}","bid":"{bid:f}","ask":"{ask:f}"}}'
        )

    def _account_states(self, *, each_minute: bool) -> list[str]:
        """Returns account states as JSON texts, for the end of the batch.

        Accounts with positions are reported once a minute, for comparison. Accounts of `STATES_GROUPS` are reported
        whenever balance or equity has changed.
        """
        at, texts = self._stamp(self.market_us), []
        for account in self.venue.accounts.values():
            by_state = account.group.startswith(STATES_GROUPS)
            if not (by_state or (each_minute and account.positions)):
                continue
            worth = (account.balance_minor, self.venue.equity_minor(account))
            if by_state and self._reported.get(account.login, (0, 0)) == worth:
                continue
            if by_state:
                self._reported[account.login] = worth
            texts.append(
                f'{{"kind":"state","seq":{self._sequence.next()},"at":"{at}","login":{account.login},'
                f'"balance_minor":{worth[0]},"equity_minor":{worth[1]}}}'
            )
        return texts

    def _publish(self, body: str) -> None:
        self.number += 1
        drop_to = max(self.readers.keep_after, self.number - _LIVE_KEEP)
        drop = drop_to if drop_to - self._dropped >= _DROP_STEP else 0
        self._dropped = drop or self._dropped
        self.commit((self.number, body), drop)
        self._recent[self.number] = body
        self._recent.pop(self.number - _IN_MEMORY, None)
        self._released.set()
        self._released = asyncio.Event()

    def deals(self, login: int) -> str:
        """Returns the account's deals as a JSON list, including those of the next batch."""
        self.venue.account(login)
        waiting = self._sequence.pending_deals(login)
        self.commit()
        return f"[{','.join([*self.journal.texts('deal', f'{login}/'), *waiting])}]"

    def snapshot(self, login: int) -> AccountSnapshot:
        """Returns the account as of the last sequence number. Pending events are numbered first."""
        self.venue.account(login)
        self._sequence.number_pending()
        self.commit()
        return self.venue.snapshot(login, self._sequence.last)

    # readers

    def check_after(self, after: int) -> None:
        """Raises GapInStream when batches after `after` are deleted, Conflict when `after` was never made."""
        if after > self.number:
            raise Conflict(
                f"The venue has made only {self.number} batches, not {after}.",
                remedy="The sandbox was started anew: start the reader anew as well.",
            )
        gone = max(self.readers.keep_after, self._dropped)
        if after < gone:
            raise GapInStream(after, gone + 1)

    async def stream(self, after: int) -> AsyncIterator[str]:
        """Yields the batches after `after` as lines, then new ones as they come, and an empty line each idle second."""
        number = after + 1
        while not self.closing:
            released = self._released
            while number <= self.number:
                body = self._recent.get(number) or self.journal.batch(number)
                if body is None:
                    return
                yield body + "\n"
                number += 1
            if released is self._released:
                try:
                    async with asyncio.timeout(1.0):
                        await released.wait()
                except TimeoutError:
                    yield "\n"

    def join(self, reader: str, after: int, behind: int = 0) -> None:
        """Add a reader that lockstep waits for from batch `after` on, `behind` batches late at most."""
        if self.readers.join(reader, after, behind):
            self.commit()

    def acknowledge(self, number: int, keep_after: int, reader: str = FIRST_READER, news: int = 0) -> None:
        if number > self.number or keep_after > number:
            raise BadInput(
                f"Batch {number} cannot be acknowledged: the last is {self.number}.",
                field="number" if number > self.number else "keep_after",
            )
        self.readers.acknowledge(reader, number, keep_after, news)
        if number == self._flushed:  # any other is written with the next batch; a reader that starts anew repeats it
            self.commit()
        self._acknowledged.set()
        self._acknowledged = asyncio.Event()

    def stop(self) -> None:
        """End the streams and the live loop."""
        self.closing = True
        self._released.set()

    def last_quotes(self) -> dict[str, dict[str, str]]:
        return {
            symbol: {"bid": f"{bid:f}", "ask": f"{ask:f}", "at": iso(self.venue.quoted_at[symbol])}
            for symbol, (bid, ask) in self.venue.quotes.items()
        }

    @property
    def feed_ends_at(self) -> str | None:
        return None if self._feed.ends_at is None else iso(self._feed.ends_at)

    @property
    def market_time(self) -> str:
        return iso(self.market_us)

    # journal

    def commit(self, batch: tuple[int, str] | None = None, drop_to: int = 0) -> None:
        """Write every change in one transaction, before anyone can read it.

        When the journal cannot be written, the sandbox stops: a restart continues from the last commit.
        """
        try:
            self.journal.write(self._rows(), batch, drop_to)
        except sqlite3.Error as exc:
            os.kill(os.getpid(), signal.SIGTERM)
            raise Unavailable(f"The sandbox cannot write its journal and stops: {exc}.") from exc
        self.neighbours.committed(at_rest=batch is None or batch[0] == self._flushed)

    def _rows(self) -> Iterable[Row]:
        yield from self.venue.drain()
        yield from self.desk.drain()
        yield from self.neighbours.drain()
        yield from self._sequence.drain()
        if self._tape_changed:
            self._tape_changed = False
            yield Row("state", "tape", to_json(self._tape.state()).decode())
        yield Row("state", "market", to_json(self._state()).decode())

    def _state(self) -> dict[str, Any]:
        quotes = {s: [str(bid), str(ask), self.venue.quoted_at[s]] for s, (bid, ask) in self.venue.quotes.items()}
        return {
            "market_us": self.market_us,
            "went_live": self.went_live,
            "number": self.number,
            "readers": self.readers.state(),
            "dropped": self._dropped,
            "seq": self._sequence.last,
            "ticks": self.ticks,
            "minute": self._minute,
            "acted_us": self.desk.acted_us,
            "feed": self._feed.state(),
            "pulse": self._tape.pulse(),
            "quotes": quotes,
        }

    def _restore(self) -> None:
        state = self.journal.get("state", "market")
        if state is None:
            return
        for name in ("market_us", "went_live", "number", "ticks"):
            setattr(self, name, state[name])
        self.readers.restore(state["readers"])
        self._dropped, self._minute = state["dropped"], state["minute"]
        self._feed.restore(state["feed"])
        self.venue.restore((data for _, data in self.journal.all("account")), self.journal.all("key"))
        for symbol, (bid, ask, at) in state["quotes"].items():
            self.venue.quotes[symbol], self.venue.quoted_at[symbol] = (Decimal(bid), Decimal(ask)), at
        self._sequence.restore((data for _, data in self.journal.all("pending")), state["seq"])
        tape = self.journal.get("state", "tape")
        if tape is not None:
            self._tape.restore(tape, state["pulse"])
        self.desk.restore(self.journal.all("binding"), dict(self.journal.all("trader")), state["acted_us"])
        self.neighbours.restore(self.journal, state["market_us"])
