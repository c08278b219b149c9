"""Runs patterns over a book, in one process or in several. The result is the same to the byte.

What is found of an account depends on that account alone when the pattern says so (`scope`): these accounts are judged
in parts, however many workers there are. A pattern of the firm is judged in one piece. A pattern that raises is named
in `failed`, and the others go on.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from traceback import extract_tb
from typing import Any, Final

import numpy as np

from domain.surveillance.findings import Finding
from surveillance.book import Book, Ints
from surveillance.pattern import Pattern
from surveillance.shared_book import load, save

OnProgress = Callable[[str, float], None]

_PARTS: Final = 8
_LEAST_ACCOUNTS: Final = 250  # of a part


@dataclass(frozen=True)
class Result:
    """`alerts`: sorted by pattern, score (the highest first) and key. `cannot_judge`, `failed`: pattern -> why.
    `counts`: alerts by pattern. `seconds`: by pattern, of processor time spent in it."""

    alerts: tuple[Finding, ...]
    cannot_judge: Mapping[str, str]
    failed: Mapping[str, str]
    counts: Mapping[str, int]
    seconds: Mapping[str, float]


@dataclass(frozen=True)
class _Task:
    """One pattern over all accounts, or patterns over a part of the accounts (rows)."""

    patterns: tuple[Pattern[Any], ...]
    accounts: Ints | None = None


@dataclass
class _Found:
    """What one pattern said of one part."""

    pattern: str
    findings: tuple[Finding, ...] = ()
    cannot_judge: str | None = None
    failed: str | None = None
    seconds: float = 0.0


@dataclass
class _Gathered:
    found: dict[str, list[_Found]] = field(default_factory=dict)

    def add(self, each: Sequence[_Found]) -> None:
        for one in each:
            self.found.setdefault(one.pattern, []).append(one)

    def result(self, patterns: Sequence[Pattern[Any]]) -> Result:
        alerts: list[Finding] = []
        cannot, failed, counts, seconds = dict[str, str](), dict[str, str](), dict[str, int](), dict[str, float]()
        for name in sorted(pattern.name for pattern in patterns):
            parts = self.found.get(name, [])
            # A finding of several parts, such as one of a group of accounts, is one finding.
            mine = {finding.key: finding for part in parts for finding in part.findings}
            alerts += sorted(mine.values(), key=lambda finding: (-finding.score, finding.key))
            counts[name] = len(mine)
            seconds[name] = round(sum(part.seconds for part in parts), 3)
            for reasons, text in (
                (cannot, {part.cannot_judge for part in parts if part.cannot_judge}),
                (failed, {part.failed for part in parts if part.failed}),
            ):
                if text:
                    reasons[name] = "; ".join(sorted(text))
        return Result(tuple(alerts), cannot, failed, counts, seconds)


def run(
    book: Book, patterns: Sequence[Pattern[Any]], workers: int = 1, on_progress: OnProgress = lambda _step, _share: None
) -> Result:
    """Returns what the patterns find in the book. `workers`: processes; `on_progress`: (what, share done)."""
    tasks = _tasks(book, patterns)
    gathered = _Gathered()
    for done, (names, found) in enumerate(_all(book, tasks, workers), start=1):
        gathered.add(found)
        on_progress(names, done / len(tasks))
    return gathered.result(patterns)


def _tasks(book: Book, patterns: Sequence[Pattern[Any]]) -> list[_Task]:
    """Parts depend on the accounts only, never on the number of workers."""
    by_account = tuple(pattern for pattern in patterns if pattern.scope == "account")
    tasks = [_Task((pattern,)) for pattern in patterns if pattern.scope == "firm"]
    if by_account:
        count = max(1, min(_PARTS, len(book.accounts) // _LEAST_ACCOUNTS))
        parts = np.array_split(np.arange(len(book.accounts), dtype=np.int64), count)
        tasks += [_Task(by_account, part) for part in parts]
    return tasks


def _all(book: Book, tasks: Sequence[_Task], workers: int) -> Iterator[tuple[str, list[_Found]]]:
    if workers == 1 or len(tasks) < 2:
        for task in tasks:
            yield _names(task), _judge(book, task)
        return
    with TemporaryDirectory(prefix="propos-book-") as folder:
        save(book, Path(folder))
        with ProcessPoolExecutor(min(workers, len(tasks)), mp_context=get_context("spawn")) as pool:
            waiting = {pool.submit(_judge_saved, folder, task): task for task in tasks}
            for future in as_completed(waiting):
                yield _names(waiting[future]), _answer(future, waiting[future])


def _answer(future: Future[list[_Found]], task: _Task) -> list[_Found]:
    """When a process is killed, for instance for its memory, every pattern that has not finished is named as failed."""
    try:
        return future.result()
    except Exception as exc:  # noqa: BLE001 -- whatever ended the process, what has finished stands
        return [_Found(pattern.name, failed=f"its process ended: {_said(exc)}") for pattern in task.patterns]


def _judge_saved(folder: str, task: _Task) -> list[_Found]:
    return _judge(_loaded(folder), task)


@cache
def _loaded(folder: str) -> Book:
    return load(Path(folder))


def _judge(book: Book, task: _Task) -> list[_Found]:
    part = book if task.accounts is None else book.of_accounts(task.accounts)
    return [_judged(pattern, part) for pattern in task.patterns]


def _judged(pattern: Pattern[Any], book: Book) -> _Found:
    began = time.process_time()
    found = _Found(pattern.name)
    try:
        judged = pattern.judge(book)
        found.findings, found.cannot_judge = judged.findings, judged.cannot_judge
    except Exception as exc:  # noqa: BLE001 -- one defective pattern must not take the others' findings away
        found.failed = _said(exc)
    found.seconds = time.process_time() - began
    return found


def _said(exc: Exception) -> str:
    """Returns the error and the place in our code, or in a library, where it was raised."""
    place = extract_tb(exc.__traceback__)[-1]
    return f"{type(exc).__name__}: {exc}"[:300] + f" ({Path(place.filename).name}:{place.lineno})"


def _names(task: _Task) -> str:
    return task.patterns[0].name if task.accounts is None else "patterns of one account"
