"""The trading of the last weeks in the memory of this process, read from the record and kept up to date.

The stream, the windows and the payouts of a worker process share one: it is read once, and only what is new afterwards.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Final, TypeVar
from weakref import WeakKeyDictionary

from sqlalchemy.ext.asyncio import AsyncSession

from activities import trading_facts
from store import identity_facts
from store.db import Database
from store.read import trading
from store.read.trading import Bulk, Correction, Span
from store.surveillance import OVERLAP
from surveillance.binary import columns
from surveillance.book import DAY, Book
from surveillance.stream.memory import Memory

WINDOW: Final = timedelta(days=30)
_FACTS_SECONDS: Final = 60.0  # how old what is known of accounts, symbols and releases may be
_MISSING: Final = {
    "orders": "no platform tells of orders",
    "identities": "no facts about identities are on the record",
    "events": "no calendar of releases was imported",
    "quotes": "the record has no prices of an independent source",
}
_shared: Final[WeakKeyDictionary[Database, "TradingMemory"]] = WeakKeyDictionary()

T = TypeVar("T")


async def in_thread(work: Callable[[], T]) -> T:
    """Runs `work`, which reads the memory, in a thread. A caller that is cancelled waits for the end of the thread, so
    that nobody changes the memory before."""
    running = asyncio.create_task(asyncio.to_thread(work))
    try:
        return await asyncio.shield(running)
    finally:
        await asyncio.wait({running})


class TradingMemory:
    """`memory` is changed only by `up_to_date`. Who reads it holds it by that, too."""

    def __init__(self, db: Database) -> None:
        self.memory = Memory(WINDOW.days * DAY)
        self.memory.around.missing.update(_MISSING)
        self._db, self._lock = db, asyncio.Lock()
        self._accounts = trading_facts.AccountBook()
        self._read: dict[str, int] = {}  # table -> number of its last row that was read
        self._correction = 0
        self.behind = 0  # how many deals of the record were not read when it was last looked at
        self._facts_at = self._book_at = float("-inf")
        self._making = asyncio.Lock()
        self._book: tuple[Book, Sequence[int]] | None = None
        self.corrected: set[int] = set()  # rows of accounts of which a deal was corrected; who judges takes them out

    @classmethod
    def of(cls, db: Database) -> "TradingMemory":
        """Returns the memory that this process shares for a database."""
        if db not in _shared:
            _shared[db] = cls(db)
        return _shared[db]

    @property
    def read_to(self) -> int:
        """The number of the last deal that was read."""
        return self._read.get(trading.DEALS.table, 0)

    @asynccontextmanager
    async def up_to_date(self, *, at_most: int | None = None) -> AsyncIterator[Memory]:
        """Reads what is new on the record, at most so many deals, and yields the memory, which nobody changes
        meanwhile."""
        async with self._lock:
            async with self._db.transaction() as session:
                await self._catch_up(session, at_most)
            yield self.memory

    async def firm_book(self, at_most_old: float) -> tuple[Book, Sequence[int]]:
        """Returns the book of the firm, made at most so many seconds ago, and the number on the record of each of its
        accounts. Nobody changes it: it may be read while the memory goes on."""
        async with self._making:
            now = asyncio.get_running_loop().time()
            if self._book is None or now - self._book_at > at_most_old:
                async with self.up_to_date() as memory:
                    making, numbers = memory.making_firm(), memory.numbers()
                self._book = (await asyncio.to_thread(making))[0], numbers
                self._book_at = now
            return self._book

    async def _catch_up(self, session: AsyncSession, at_most: int | None) -> None:
        newest, at = await trading.newest(session)
        if at is None:
            return
        loop_time = asyncio.get_running_loop().time()
        if loop_time - self._facts_at > _FACTS_SECONDS:
            await self._read_facts(session, at)
            self._facts_at = loop_time
        if newest > self.read_to:
            until = newest if at_most is None or not self.read_to else min(newest, self.read_to + at_most)
            await self._read_trading(session, until, at)
        self.behind = newest - self.read_to
        corrections = await trading.corrections(session, self._correction)
        self.corrected |= _correct(self.memory, corrections)
        self._correction = max([self._correction, *(each.number for each in corrections)])
        self.memory.forget()

    async def older(self, trader_id: str, begins: datetime) -> Memory | None:
        """Returns the trading of a trader's accounts from `begins` on by itself, when that is longer ago than what the
        memory keeps; None when it is not."""
        async with self._db.transaction() as session:
            _, newest_at = await trading.newest(session)
            if newest_at is None or begins >= newest_at - WINDOW:
                return None
            older = Memory((newest_at - begins).days * DAY + DAY)
            older.around.missing.update(_MISSING)
            found = await trading.accounts(session, trader_id=trader_id)
            older.know_accounts(await self._accounts.facts(session, found))
            older.know_symbols(trading_facts.symbols(await trading.symbol_facts(session)))
            facts = await identity_facts.of_accounts(session, trader_id=trader_id)
            older.around.identities = trading_facts.identities(facts, older.accounts)
            older.around.events = trading_facts.events(await trading.releases(session, begins))
            span = Span(since=begins, accounts=[each.id for each in found])
            for bulk in (trading.STOPS, trading.ORDERS, trading.DEALS):
                await self._read_rows(session, older, bulk, span)
            _correct(older, await trading.corrections(session, trader_id=trader_id))
            return older

    async def _read_facts(self, session: AsyncSession, newest_at: datetime) -> None:
        memory, since = self.memory, newest_at - WINDOW
        memory.know_symbols(trading_facts.symbols(await trading.symbol_facts(session)))
        found = await trading.accounts(session, since=since)
        memory.know_accounts(await self._accounts.facts(session, found))
        memory.around.events = trading_facts.events(await trading.releases(session, since))
        facts = await identity_facts.of_accounts(session)
        memory.around.identities = trading_facts.identities(facts, memory.accounts)

    async def _read_trading(self, session: AsyncSession, until: int, newest_at: datetime) -> None:
        for bulk in (trading.STOPS, trading.ORDERS, trading.DEALS):
            is_first = bulk.table not in self._read
            after = self._read.get(bulk.table, 0)
            span = Span(
                after=None if is_first else after - OVERLAP,
                until=until if bulk is trading.DEALS else None,
                since=newest_at - WINDOW if is_first else None,
            )
            newest = await self._read_rows(session, self.memory, bulk, span)
            self._read[bulk.table] = until if bulk is trading.DEALS else max(after, newest)

    async def _read_rows(self, session: AsyncSession, memory: Memory, bulk: Bulk, span: Span) -> int:
        """Adds these rows to a memory. Returns the highest of their numbers, 0 when there are none."""
        blocks = [block async for block in trading.blocks(session, bulk, span)]
        told = await asyncio.to_thread(columns, blocks, bulk.layout)
        if not len(told["id"]):
            return 0
        names = await trading.names(session, bulk, span)
        if unknown := memory.unknown_accounts(told["account"]):
            found = await trading.accounts(session, numbers=unknown)
            memory.know_accounts(await self._accounts.facts(session, found))
        if bulk is trading.DEALS:
            memory.add_deals(told, names, trading_facts.REASONS)
        elif bulk is trading.STOPS:
            memory.add_stops(told)
        else:
            memory.add_orders(told, names)
        return int(told["id"].max())


def _correct(memory: Memory, corrections: Sequence[Correction]) -> set[int]:
    """Corrects the deals of a memory. Returns the rows of their accounts. A corrected price changes no deal."""
    found = {
        memory.correct(each.platform, each.seq, None if each.cancelled else each.total)
        for each in corrections
        if each.cancelled or each.total is not None
    }
    return {row for row in found if row is not None}
