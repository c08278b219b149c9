"""Surveillance of the stream: reads deals as they are stored, has the patterns look where alarms say, opens cases.

Woken by the database. The cursor moves in the transaction that opens the cases of what was found, so a restart loses
nothing: memory and alarms are made again from the record, and what was judged before is not judged again. A pattern
that fails is paused for a minute and then looks at everything that it missed; the others continue.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, Final

import structlog
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from activities.deps import Deps
from activities.impact_replays import ImpactReplays
from activities.patterns_in_force import patterns_in_force, version_in_force
from activities.policy_replays import PolicyReplays
from activities.trading_memory import TradingMemory, in_thread
from contracts.messages import SurveillanceStart
from domain.surveillance.findings import Finding
from firm import case_opening, corrections
from store import surveillance
from store.db import Database
from store.notifications import DEALS, told
from surveillance.book import Book
from surveillance.deals import LeftOut
from surveillance.pattern import Pattern
from surveillance.stream.alarms import Due, with_accounts
from surveillance.stream.memory import Memory
from surveillance.stream.watch import Looked, Watch, ready

_POLL_SECONDS: Final = 1.0  # when nobody says that there are new deals
_BEAT_SECONDS: Final = 2.0
_RUN_SECONDS: Final = 3600
_RETRY_SECONDS: Final = 60
_REPLAY_SECONDS: Final = 2.0  # between two looks for replays that people asked for
# The book of the firm, with which accounts are compared, is made anew when it lacks a fifth of the deals or an account,
# at most once a minute for a million deals.
_GROWN: Final = 5
_SECONDS_A_DEAL: Final = 60 / 1_000_000
_LARGE: Final = 20_000  # deals from which it is made in the background
_DEALS_AT_ONCE: Final = 2000
_REST_AT_ONCE: Final = 500  # in a quiet moment
_MOST_KEYS: Final = 100_000

_log = structlog.get_logger("surveillance")


class CursorMoved(RuntimeError):
    """Another reader moved the cursor, so the alarms of this one have a gap."""


class SurveillanceActivities:
    """`patterns`: those that look at the stream; None: all that there are."""

    def __init__(
        self, deps: Deps, *, at_once: int = _DEALS_AT_ONCE, patterns: Mapping[str, Pattern[Any]] | None = None
    ) -> None:
        self._db, self._at_once, self._patterns = deps.db, at_once, patterns

    def all(self) -> Sequence[Callable[..., Awaitable[object]]]:
        return [self.follow_deals]

    @activity.defn(name="surveillance.follow_deals")
    async def follow_deals(self, start: SurveillanceStart) -> None:
        """Returns after an hour or when the worker stops. The workflow then starts it again, so its history stays
        short."""
        loop = SurveillanceLoop(self._db, self._at_once, self._patterns)
        ends = time.monotonic() + _RUN_SECONDS
        async with (
            told(self._db.url, DEALS) as new_deals,
            signs_of_life(lambda: loop.read_to),
            beside(_repeated(PolicyReplays(self._db).step, "a replay of proposed thresholds failed")),
            beside(_repeated(ImpactReplays(self._db).step, "a replay under a draft's terms failed")),
        ):
            while time.monotonic() < ends and not activity.is_worker_shutdown():
                new_deals.clear()
                if not await loop.step():
                    with suppress(TimeoutError):
                        async with asyncio.timeout(_POLL_SECONDS):
                            await new_deals.wait()


async def _repeated(step: Callable[[], Awaitable[bool]], failed: str) -> None:
    """Carries out what people asked for while the stream goes on. What fails is tried again."""
    while True:
        try:
            if await step():
                continue
        except Exception:  # noqa: BLE001 -- the request waits, and the stream goes on
            _log.exception(failed)
        await asyncio.sleep(_REPLAY_SECONDS)


@asynccontextmanager
async def beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Does `work` meanwhile; it is cancelled at the end."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def signs_of_life(progress: Callable[[], object]) -> AsyncIterator[None]:
    """Sends a heartbeat with the progress every two seconds: a look at many accounts takes longer than its timeout."""

    async def beat() -> None:
        while True:
            activity.heartbeat(progress())
            await asyncio.sleep(_BEAT_SECONDS)

    async with beside(beat()):
        yield


class SurveillanceLoop:
    """One run of the loop. It owns its alarms; the memory of trading is that of the process."""

    def __init__(
        self, db: Database, at_once: int = _DEALS_AT_ONCE, patterns: Mapping[str, Pattern[Any]] | None = None
    ) -> None:
        self._db, self._at_once = db, at_once
        self._trading = TradingMemory.of(db)
        self._given = patterns
        self._policy = ""  # which policy and products the thresholds of the patterns are of
        self._patterns: Mapping[str, Pattern[Any]] = {}
        self._watch: Watch | None = None
        self._retry_at: dict[str, float] = {}  # patterns that failed
        self._firm_at = float("-inf")
        self._making: asyncio.Task[tuple[Book, LeftOut]] | None = None  # the next book of the firm
        self._keys: dict[str, int] = {}  # key of a finding -> hash of what it said last, the newest last
        self.read_to = 0

    async def step(self) -> bool:
        """Judges the next deals, at most `at_once`; returns whether there were any."""
        async with self._db.transaction() as session:
            await corrections.open_cases(session)
            await self._take_policy(session)
        now = time.monotonic()
        self._retry_at = {name: at for name, at in self._retry_at.items() if at > now}
        async with self._corrected() as corrected:
            async with self._trading.up_to_date(at_most=self._at_once) as memory:
                watch = self._watch or await self._begin(memory)
                corrected.update(self._take_corrected())
                due = with_accounts(watch.take(self._at_once), sorted(corrected))
                if watch.taken_to <= self.read_to and not due:
                    due = watch.rest(_REST_AT_ONCE)
                looked = Looked()
                if due or watch.waits(self._retry_at):
                    looked = await self._look(memory, watch, due)
            moved = watch.taken_to > self.read_to
            if moved or looked.findings:
                async with self._db.transaction() as session:
                    await self._store(session, looked.findings, max(watch.taken_to, self.read_to))
        return moved

    async def _take_policy(self, session: AsyncSession) -> None:
        """Takes the thresholds of the policy in force and of the products; others judge from the next deal on."""
        policy = await version_in_force(session)
        if policy != self._policy:
            self._policy = policy
            self._patterns = await patterns_in_force(session) if self._given is None else self._given
            self._watch = None
            self._keys.clear()  # another policy may hold what was only reviewed

    async def _begin(self, memory: Memory) -> Watch:
        """Makes the alarms anew from what is in memory: deals up to the cursor were judged before."""
        async with self._db.transaction() as session:
            self.read_to = await surveillance.cursor(session)
        watch = Watch(memory, self._patterns)
        await in_thread(partial(watch.skip, self.read_to))
        if len(memory.deals):
            await self._renew_firm(memory)
        self._watch = watch
        return watch

    @asynccontextmanager
    async def _corrected(self) -> AsyncIterator[set[int]]:
        """Accounts of corrected deals that this step looks at. If what it finds is not stored, the next reader looks at
        them again: the memory of trading outlives this one."""
        taken = set[int]()
        try:
            yield taken
        except BaseException:
            self._trading.corrected |= taken
            raise

    def _take_corrected(self) -> set[int]:
        corrected, self._trading.corrected = self._trading.corrected, set()
        return corrected

    async def _look(self, memory: Memory, watch: Watch, due: Due) -> Looked:
        await self._renew_firm(memory)
        hurried = watch.behind + self._trading.behind > self._at_once
        looked = await in_thread(partial(watch.look, due, paused=frozenset(self._retry_at), hurried=hurried))
        for name, error in looked.failed.items():
            _log.error("pattern paused after an error", pattern=name, exc_info=error)
            self._retry_at[name] = time.monotonic() + _RETRY_SECONDS
        return looked

    async def _renew_firm(self, memory: Memory) -> None:
        """Makes the book of the firm anew once it is old, with what the patterns measure of the firm: of a large one
        while the stream goes on."""
        if self._making is not None and self._making.done():
            memory.take_firm(self._making.result())
            self._making, self._firm_at = None, time.monotonic()
        deals = len(memory.deals)
        is_old = (
            memory.deals_since_firm * _GROWN > deals or memory.accounts_in_firm < len(memory.facts)
        ) and time.monotonic() - self._firm_at >= deals * _SECONDS_A_DEAL
        if self._making is not None or not (is_old or not memory.accounts_in_firm):
            return
        making = asyncio.create_task(asyncio.to_thread(ready, memory.making_firm(), self._patterns))
        if memory.accounts_in_firm and deals > _LARGE:
            self._making = making
        else:
            memory.take_firm(await making)
            self._firm_at = time.monotonic()

    async def _store(self, session: AsyncSession, findings: Sequence[Finding], read_to: int) -> None:
        row = await surveillance.lock_cursor(session)
        if row.last_deal != self.read_to:
            raise CursorMoved(f"the cursor is at {row.last_deal}, not at {self.read_to}")
        row.last_deal = self.read_to = read_to
        for finding in case_opening.in_order(findings):
            said = hash(
                (finding.severity, finding.link_strength, finding.accounts, finding.blamed, frozenset(finding.deals))
            )
            if self._keys.pop(finding.key, None) != said:
                await case_opening.open_case(session, finding)
            self._keys[finding.key] = said
        while len(self._keys) > _MOST_KEYS:
            del self._keys[next(iter(self._keys))]
