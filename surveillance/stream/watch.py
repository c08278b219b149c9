"""Watches the stream: alarms say at whom to look, the patterns look at their book, what they find is returned."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from domain.surveillance.findings import Finding
from surveillance.book import UNKNOWN, Book, Identities
from surveillance.deals import LeftOut
from surveillance.pattern import Pattern
from surveillance.stream.alarms import PAIRS, REACH, Alarms, Due
from surveillance.stream.memory import Memory

_LARGE_PART: Final = 4  # of the daily loss that one deal moves, or
_LARGE_OF_SIZE: Final = 100  # of the size
_PARTNERS: Final = 200  # of a few accounts, the ones that met them most often
_COMPANY: Final = 4  # more for each account of a pair
_FIRST_MEETINGS: Final = 3
_MOST_LEFT: Final = 10_000  # accounts that wait for a pattern that failed


@dataclass
class Looked:
    """What came of a look: the findings, and the patterns that raised an error with that error. `below`: what is a
    little below the line, where that was asked for."""

    findings: list[Finding] = field(default_factory=list)
    below: list[Finding] = field(default_factory=list)
    failed: dict[str, Exception] = field(default_factory=dict)
    cannot_judge: dict[str, str] = field(default_factory=dict)

    def add(self, other: "Looked") -> None:
        self.findings += other.findings
        self.below += other.below
        self.failed |= other.failed
        self.cannot_judge |= other.cannot_judge


def look(patterns: Iterable[Pattern[Any]], book: Book, *, below: bool = False) -> Looked:
    """Returns what the patterns find in a book; with `below`, also what is a little below the line. One that fails does
    not keep the others."""
    looked = Looked()
    for pattern in patterns:
        try:
            judged = pattern.judge(book)
            just_below = pattern.just_below(book, judged.findings) if below else ()
        except Exception as error:  # noqa: BLE001 -- the error of one pattern is reported, the others go on
            looked.failed[pattern.name] = error
            continue
        looked.findings += judged.findings
        looked.below += just_below
        if judged.cannot_judge is not None:
            looked.cannot_judge[pattern.name] = judged.cannot_judge
    return looked


def ready(make: Callable[[], tuple[Book, LeftOut]], patterns: Mapping[str, Pattern[Any]]) -> tuple[Book, LeftOut]:
    """Makes a book of the firm and has the patterns look at a few accounts of it: what they measure of the firm is
    known then, and the next alarm need not wait for it."""
    book, left = make()
    some = np.unique(book.trades.account)[:2]
    if len(some):
        look(patterns.values(), book.of_accounts(some))
    return book, left


class Watch:
    """One reader of the stream. It owns its alarms; the memory may be shared."""

    def __init__(self, memory: Memory, patterns: Mapping[str, Pattern[Any]], *, pairs: int = PAIRS) -> None:
        self._memory, self._patterns = memory, dict(patterns)
        self._alarms = Alarms(pairs)
        self._sizes_of = 0
        self._waiting: dict[str, set[int]] = {}  # accounts that a pattern has not looked at, because it failed
        self._later: set[int] = set()  # accounts at which nobody has looked, because deals waited
        self._made: dict[frozenset[int], Book] = {}  # of one look: most patterns look at the same accounts
        self.left_out = 0  # of those that wait: more than are kept
        self._next = memory.deals.first  # number of the first deal in memory that was not taken yet
        self.taken_to = 0  # the highest number on the record of a deal that was taken

    @property
    def pairs_forgotten(self) -> int:
        return self._alarms.pairs_forgotten

    def skip(self, upto_id: int) -> None:
        """Takes in the deals of the record up to this one as looked at before."""
        before = int(np.count_nonzero(self._memory.deals.column("id") <= upto_id))
        self._take(range(self._memory.deals.first, self._memory.deals.first + before))
        self._alarms.looked_at_all()

    def take(self, at_most: int | None = None) -> Due:
        """Takes in deals that are new in memory, at most so many, and returns at whom to look."""
        start, end = max(self._next, self._memory.deals.first), self._memory.deals.end
        return self._take(range(start, end if at_most is None else min(end, start + at_most)))

    def rest(self, at_most: int) -> Due:
        """Returns whom nobody looked at since their last deal, though no alarm asks for it."""
        return self._alarms.rest(at_most)

    def _take(self, numbers: range) -> Due:
        memory = self._memory
        deals = memory.deals.rows(np.arange(numbers.start, numbers.stop, dtype=np.int64))
        number_of = memory.main_symbols()
        self._alarms.size(len(memory.facts), int(number_of.max(initial=-1)) + 1)
        self._know_sizes()
        symbol = number_of[deals.listed] if len(deals) else np.empty(0, dtype=np.int32)
        self._next = numbers.stop
        self.taken_to = max(self.taken_to, int(deals.id.max(initial=0)))
        return self._alarms.take(deals, symbol)

    @property
    def behind(self) -> int:
        """How many deals in memory were not taken yet."""
        return self._memory.deals.end - self._next

    def look(self, due: Due, *, paused: Iterable[str] = (), hurried: bool = False) -> Looked:
        """Has the patterns look at the accounts that are due. Those `paused` look later, at all that they missed.
        `hurried`: deals wait, so only pairs are looked at, and the others as soon as none waits."""
        together = {*due.together.ravel().tolist()}
        self._later |= {*due.alone.tolist()}
        chosen = set(together)
        if not hurried:
            chosen |= self._later
            self._later.clear()
        if together:  # a pair may be two of many round one signal: its company is looked at, too
            chosen |= partners(self._memory, together, most=_PARTNERS + len(together) * _COMPANY)
        newer = (
            {row for row in chosen if row >= self._memory.accounts_in_firm} if self._memory.accounts_in_firm else set()
        )
        looked = Looked()
        for name, pattern in self._patterns.items():
            if name in paused:
                self._keep_waiting(name, chosen)
                continue
            accounts = (chosen | self._waiting.pop(name, set())) - newer
            self._keep_waiting(name, newer)  # until there is a book of the firm that knows them
            if not accounts:
                continue
            found = look([pattern], self._book(accounts))
            if found.failed:
                self._keep_waiting(name, accounts)
            looked.add(found)
        self._made.clear()
        return looked

    def waits(self, paused: Iterable[str]) -> bool:
        """Returns whether a pattern that is not paused has accounts to look at."""
        return bool(self._later) or any(name not in paused and waiting for name, waiting in self._waiting.items())

    def _book(self, accounts: set[int]) -> Book:
        key = frozenset(accounts)
        if key not in self._made:
            self._made[key] = self._memory.book_of(accounts)
        return self._made[key]

    def _keep_waiting(self, name: str, accounts: set[int]) -> None:
        waiting = self._waiting.setdefault(name, set())
        waiting |= accounts
        while len(waiting) > _MOST_LEFT:
            waiting.pop()
            self.left_out += 1

    def _know_sizes(self) -> None:
        facts = self._memory.facts
        if self._sizes_of != len(facts):
            self._sizes_of = len(facts)
            self._alarms.know_sizes(np.array([_large(each.daily_loss_minor, each.size_minor) for each in facts]))


def _large(daily_loss_minor: int, size_minor: int) -> int:
    if daily_loss_minor != UNKNOWN and daily_loss_minor > 0:
        return max(1, daily_loss_minor // _LARGE_PART)
    return max(1, size_minor // _LARGE_OF_SIZE)


def partners(memory: Memory, accounts: Iterable[int], most: int = _PARTNERS) -> set[int]:
    """Returns the accounts that often opened in the same symbol within seconds of these, or share a fact about their
    owner with them; at most so many of each."""
    mine = np.array(sorted({*accounts}), dtype=np.int64)
    number_of = memory.main_symbols()
    opens = np.flatnonzero(memory.deals.column("entry") == 1)
    at, account = memory.deals.column("at")[opens], memory.deals.column("account")[opens]
    symbol = number_of[memory.deals.column("listed")[opens]]
    own = np.isin(account, mine)
    met: dict[int, int] = {}
    for each in np.unique(symbol[own]).tolist():
        rows = np.flatnonzero(symbol == each)
        rows = rows[np.argsort(at[rows], kind="stable")]
        moments, who = at[rows], account[rows]
        openings = np.unique(moments[own[rows]])
        first = np.searchsorted(moments, openings - REACH)
        last = np.searchsorted(moments, openings + REACH, side="right")
        for start, stop in zip(first.tolist(), last.tolist(), strict=True):
            for other in np.unique(who[start:stop]).tolist():
                met[other] = met.get(other, 0) + 1
    met.pop(UNKNOWN, None)
    often = [other for other, count in met.items() if count >= _FIRST_MEETINGS]
    often.sort(key=lambda other: (-met[other], other))
    return {*often[:most], *_sharing(memory.around.identities, mine)} - {*mine.tolist()}


def _sharing(facts: Identities | None, mine: npt.NDArray[np.int64]) -> list[int]:
    if facts is None:
        return []
    values = np.unique(facts.value[np.isin(facts.account, mine)])
    counts = np.bincount(facts.value, minlength=int(values.max(initial=0)) + 1)
    rare = values[counts[values] <= _PARTNERS]  # what thousands share ties nobody together
    found: list[int] = np.unique(facts.account[np.isin(facts.value, rare)]).tolist()
    return found[:_PARTNERS]
