"""`propos chaos venue`: plays the day of a seed at each kind of venue and prints what must be zero."""

import asyncio
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cli.chaos.folders import fresh_folder, step_lines
from cli.chaos.venue.ctrader import CTrader
from cli.chaos.venue.day import DayAtVenue
from cli.chaos.venue.dxtrade import Dxtrade
from cli.chaos.venue.firm import database, venue_firm
from cli.chaos.venue.judge import FIGURES
from cli.chaos.venue.kinds import BAD_INPUT, Kind, least
from cli.chaos.venue.mt5 import Mt5
from cli.chaos.venue.plan import LEAST_ACCOUNTS, plan
from cli.chaos.venue.tradovate import Tradovate
from cli.progress import Progress, progress_bar
from cli.stack import logs
from domain.errors import BadInput

_NEAR: Final = 1000  # dollars above the floor
KINDS: Final[Mapping[str, Kind]] = {kind.name: kind for kind in (Tradovate(), Dxtrade(), Mt5(), CTrader())}


@dataclass(frozen=True)
class Result:
    """Of one kind of venue. `found`: what is wrong, in words, by figure. `faults`: how often each happened. `rare`:
    those that happened too seldom. `more`: what else happened, for a person."""

    found: Mapping[str, list[str]]
    faults: Mapping[str, int]
    rare: Sequence[str]
    seconds: float
    more: Mapping[str, int]

    @property
    def is_good(self) -> bool:
        return not any(self.found.values()) and not self.rare

    def figures(self) -> dict[str, Any]:
        zeros = {name: len(words) for name, words in self.found.items()}
        return {**zeros, "faults": dict(self.faults), **self.more, "seconds": round(self.seconds, 1)}


def venue(*, kinds: list[str], accounts: int, seed: int, data: Path | None, as_json: bool) -> bool:
    """Runs the chaos on an empty folder. Returns whether nothing went wrong and every fault happened."""
    unknown = [name for name in kinds if name not in KINDS]
    if unknown or not kinds:
        known = ",".join(KINDS)
        raise BadInput(f"There is no kind of venue {','.join(unknown)!r}.", field="--kinds", remedy=f"Choose {known}.")
    if accounts < LEAST_ACCOUNTS:
        words = f"Fewer than {LEAST_ACCOUNTS} accounts do not play every part."
        raise BadInput(words, field="--accounts", remedy=f"Ask for {LEAST_ACCOUNTS} or more.")
    folder = fresh_folder(data)
    logs.configure("chaos", "error")
    with progress_bar() as bar:
        progress = bar if sys.stderr.isatty() else step_lines()
        results = asyncio.run(run(kinds, accounts, seed, folder, progress))
    total = bad_input(results)
    _print(results, total, accounts, seed, folder, as_json)
    return all(result.is_good for result in results.values()) and all(total.values())


def bad_input(results: Mapping[str, Result]) -> dict[str, int]:
    """Returns how often each of BAD_INPUT happened at the venues that were played and can do it."""
    total: dict[str, int] = {}
    for name in BAD_INPUT:
        of_kinds = {kind: KINDS[kind].bad_input.get(name, (name,)) for kind in results}
        counts = [
            results[kind].faults[fault]
            for kind, faults in of_kinds.items()
            for fault in faults
            if fault in results[kind].faults
        ]
        if counts:
            total[name] = sum(counts)
    return total


async def run(kinds: list[str], accounts: int, seed: int, folder: Path, progress: Progress) -> dict[str, Result]:
    """Plays one day after the other, on one database."""
    results = {}
    folder.mkdir(parents=True, exist_ok=True)
    with database(folder) as url:
        for shard, name in enumerate(kinds):
            results[name] = await _one(KINDS[name], accounts, seed, folder / name, url, shard, progress)
    return results


async def _one(kind: Kind, accounts: int, seed: int, folder: Path, url: str, shard: int, progress: Progress) -> Result:
    started = time.monotonic()
    async with venue_firm(kind, folder, url, shard) as firm:
        day = DayAtVenue(firm, plan(kind.name, accounts, seed), shard, seed)
        await day.play(progress)
        found = await day.settle(progress)
        faults, books = await day.faults(), await firm.control.book()
        more = {
            "fills": sum(len(book.fills) for book in books.values()),
            "breached": len(firm.breached()),
            "just_above": sum(day.floor <= (book.lowest or 0) < day.floor + _NEAR for book in books.values()),
            "shard_restarts": firm.shard.again,
        }
        rare = [name for name, times in faults.items() if times < least(kind, name)]
        return Result(found, faults, rare, time.monotonic() - started, more)


def _print(
    results: Mapping[str, Result], total: Mapping[str, int], accounts: int, seed: int, folder: Path, as_json: bool
) -> None:
    zeros = {name: sum(len(each.found[name]) for each in results.values()) for name in FIGURES}
    figures: dict[str, Any] = {"accounts": accounts, "seed": seed, **zeros, "faults": dict(total)}
    figures |= {name: each.figures() for name, each in results.items()}
    if as_json:
        sys.stdout.write(json.dumps(figures) + "\n")
    else:
        for name, value in figures.items():
            sys.stdout.write(f"{name}: {value}\n")
    lines = [f"  it never happened: {name}" for name, times in total.items() if not times]
    for name, result in results.items():
        lines += [f"  {name}: it happened too seldom: {fault}" for fault in result.rare]
        lines += [f"  {name}: {figure}: {words}" for figure, found in result.found.items() for words in found]
    if lines:
        sys.stderr.write("\n".join([f"Seed {seed} failed. The data is in {folder}.", *lines]) + "\n")
