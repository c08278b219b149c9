"""All windowed patterns over a made-up firm, and the search for copy candidates beside duckdb."""

import time
from collections.abc import Callable
from typing import Any, Final

from cli.bench.surveillance import candidates
from cli.bench.surveillance.memory import Peak
from cli.bench.surveillance.population import DAYS, made_up_book
from cli.bench.timing import rounded
from surveillance.registry import default_patterns
from surveillance.run import run

STEPS: Final = 4
_ROUNDS: Final = 3

Step = Callable[[str], None]


def measure(accounts: int, deals: int, workers: int, seed: int, step: Step) -> dict[str, Any]:
    """Returns the figures as JSON data. `deals`: trades of 22 days. Figures of duckdb are None when it is missing."""
    with Peak() as peak:
        step("making a firm")
        book = made_up_book(accounts, deals, seed)
        patterns = list(default_patterns().values())
        step(f"judging {deals:,} trades by {len(patterns)} patterns")
        began = time.perf_counter()
        result = run(book, patterns, workers)
        batch = time.perf_counter() - began
    step("joining copy candidates by duckdb")
    theirs = candidates.by_duckdb(book.trades, _ROUNDS)
    step("joining copy candidates")
    count, seconds = candidates.ours(book.trades, _ROUNDS)
    return {
        "accounts": accounts,
        "deals": len(book.trades),
        "days": DAYS,
        "workers": workers,
        "batch_seconds": rounded(batch),
        "pattern_seconds": {name: rounded(each) for name, each in result.seconds.items()},
        "alerts": dict(result.counts),
        "cannot_judge": dict(result.cannot_judge),
        "failed": dict(result.failed),
        "peak_mb": round(peak.megabytes),
        "copy_candidates": count,
        "copy_seconds": rounded(seconds),
        "duckdb_copy_candidates": None if theirs is None else theirs[0],
        "duckdb_copy_seconds": None if theirs is None else rounded(theirs[1]),
        "copy_ratio": None if theirs is None else rounded(theirs[1] / seconds),
    }
