"""Judges the trades behind a payout: all patterns look at its trader's accounts, and at who traded in the same seconds.

Nothing is skipped: without a reading the payout is held (`firm/payouts/readings.py`). A pattern that fails leaves it
held until a later attempt; a pattern that lacks a fact is stored with the reading.
"""

import asyncio
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from functools import partial
from typing import Any, Final

import structlog

from activities.patterns_in_force import patterns_in_force
from activities.trading_memory import TradingMemory
from firm import case_opening
from firm.payouts import readings
from firm.payouts.readings import ToRead
from store.db import Database
from surveillance.pattern import Pattern
from surveillance.stream.memory import Memory
from surveillance.stream.watch import Looked, look, partners, ready

_MOST_NEWER: Final = 0.01  # the book of the firm is made again when a larger part of the deals is newer
Patterns = Mapping[str, Pattern[Any]]
_log: Final = structlog.get_logger("surveillance")


class PayoutReadings:
    """`patterns`: None: all that there are."""

    def __init__(self, db: Database, patterns: Patterns | None = None) -> None:
        self._db, self._trading, self._patterns = db, TradingMemory.of(db), patterns
        self._running: dict[str, asyncio.Task[None]] = {}  # by payout
        self._making = asyncio.Lock()

    async def ensure(self, payout_id: str) -> None:
        """Judges the trades up to the payout's request unless they were; opens the cases of what is found.

        A first reading takes longer than an attempt of an activity may. It goes on when its caller is cancelled, and
        whoever asks next waits for the same one.
        """
        if payout_id not in self._running:
            task = self._running[payout_id] = asyncio.create_task(self._ensure(payout_id))
            task.add_done_callback(partial(self._ended, payout_id))
        await asyncio.shield(self._running[payout_id])

    def _ended(self, payout_id: str, task: asyncio.Task[None]) -> None:
        del self._running[payout_id]
        if not task.cancelled() and (error := task.exception()) is not None:  # its caller may be gone
            _log.warning("a reading failed", payout=payout_id, error=type(error).__name__)

    async def _ensure(self, payout_id: str) -> None:
        async with self._db.transaction() as session:
            read = await readings.to_read(session, payout_id)
            patterns = await patterns_in_force(session) if self._patterns is None else self._patterns
        if read is None:
            return
        read_to, looked = await self._look_now(patterns, read.trader_id)
        older = await self._trading.older(read.trader_id, read.begins)
        if older is not None:
            looked.add(await asyncio.to_thread(_look_back, older, patterns))
        await self._store(read, read_to, patterns, looked)

    async def _look_now(self, patterns: Patterns, trader_id: str) -> tuple[int, Looked]:
        """Returns up to which deal the patterns have looked, and what they found. The book of the firm, with which the
        accounts are compared, is made anew first when it is too old."""
        most_newer = _MOST_NEWER
        while True:
            async with self._trading.up_to_date() as memory:
                mine, others = await asyncio.to_thread(_around, memory, trader_id)
                if not _is_old(memory, mine | others, most_newer):
                    return self._trading.read_to, await asyncio.to_thread(_look, memory, patterns, mine, others)
            await self._renew_firm(patterns, mine | others, most_newer)
            most_newer = 1.0  # what is told while the book is made does not make it old: only new accounts do

    async def _renew_firm(self, patterns: Patterns, accounts: AbstractSet[int], most_newer: float) -> None:
        """Makes the book of the firm while the stream goes on: the memory is held only to begin and to take it."""
        async with self._making:
            async with self._trading.up_to_date() as memory:
                if not _is_old(memory, accounts, most_newer):  # another payout made it
                    return
                making = memory.making_firm()
            made = await asyncio.to_thread(ready, making, patterns)
            async with self._trading.up_to_date() as memory:
                memory.take_firm(made)

    async def _store(self, read: ToRead, read_to: int, patterns: Patterns, looked: Looked) -> None:
        for name, error in looked.failed.items():
            _log.error("a payout waits: a pattern failed", pattern=name, payout=read.payout_id, exc_info=error)
        async with self._db.transaction() as session:
            for finding in case_opening.in_order(looked.findings):
                await case_opening.open_case(session, finding)
            if not looked.failed:
                versions = {name: f"{each.version}/{each.limits.default.version}" for name, each in patterns.items()}
                await readings.record(
                    session, read, read_to=read_to, patterns=versions, cannot_judge=looked.cannot_judge
                )


def _around(memory: Memory, trader_id: str) -> tuple[set[int], set[int]]:
    """Returns the accounts of a trader, and those that traded in the same seconds or share a fact with them."""
    mine = {*memory.rows_of_owner(trader_id)}
    return mine, partners(memory, mine)


def _is_old(memory: Memory, accounts: AbstractSet[int], most_newer: float) -> bool:
    """Returns whether the book of the firm lacks one of these accounts, or more than this part of the deals."""
    if not memory.accounts_in_firm:
        return bool(memory.facts)
    return (
        memory.deals_since_firm > len(memory.deals) * most_newer or max(accounts, default=0) >= memory.accounts_in_firm
    )


def _look(memory: Memory, patterns: Patterns, mine: AbstractSet[int], others: AbstractSet[int]) -> Looked:
    looked = look((each for each in patterns.values() if each.scope == "account"), memory.book_of(mine))
    looked.add(look((each for each in patterns.values() if each.scope == "firm"), memory.book_of(mine | others)))
    return looked


def _look_back(older: Memory, patterns: Patterns) -> Looked:
    return look((each for each in patterns.values() if each.scope == "account"), older.firm())
