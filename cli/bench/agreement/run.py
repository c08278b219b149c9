"""Runs many random lives, in one process or several, and counts what was compared and what differed."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from multiprocessing import get_context
from random import Random
from typing import Any, Final

from cli.bench.agreement.lives import PER_WORLD, Compared, Disagreement, compared, random_world
from cli.bench.agreement.terms import random_terms

WORLDS: Final = 6  # with the accounts of one product
LIVES: Final = WORLDS * PER_WORLD  # under one product
_SHOWN: Final = 5


@dataclass(slots=True)
class Counted:
    lives: int = 0
    verdicts: int = 0
    by_way: dict[str, int] = field(default_factory=dict)
    kinds: dict[str, int] = field(default_factory=dict)
    disagreements: list[Disagreement] = field(default_factory=list)

    def add(self, other: "Counted") -> None:
        self.lives += other.lives
        self.verdicts += other.verdicts
        for mine, more in ((self.by_way, other.by_way), (self.kinds, other.kinds)):
            for name, number in more.items():
                mine[name] = mine.get(name, 0) + number
        self.disagreements += other.disagreements


def one_product(seed: int) -> Counted:
    """Returns what the lives under one random product have shown. The same seed makes the same lives."""
    random, found = Random(seed), Counted()
    terms = random_terms(random, f"random-{seed}")
    for number in range(WORLDS):
        seen: Compared = compared(seed, random_world(f"{seed}/{number}", terms))
        found.add(Counted(PER_WORLD, seen.verdicts, seen.by_way, seen.kinds, seen.disagreements))
    return found


def measure(lives: int, seed: int, workers: int, step: Callable[[int], None]) -> dict[str, Any]:
    """Returns the figures of at least `lives` lives as JSON data. `step` is called with the number done so far."""
    began, found = time.perf_counter(), Counted()
    seeds = range(seed, seed + -(-lives // LIVES))
    for each in _all(seeds, workers):
        found.add(each)
        step(found.lives)
    seconds = time.perf_counter() - began
    return {
        "lives": found.lives,
        "verdicts": found.verdicts,
        "disagreements": len(found.disagreements),
        "compared": found.by_way,
        "kinds": dict(sorted(found.kinds.items())),
        "seconds": round(seconds, 1),
        "lives_per_second": round(found.lives / seconds, 1),
        "seed": seed,
        "workers": workers,
        "first": [asdict(each) for each in found.disagreements[:_SHOWN]],
    }


def _all(seeds: range, workers: int) -> Iterator[Counted]:
    if workers == 1:
        yield from map(one_product, seeds)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(one_product, seeds, chunksize=4)
