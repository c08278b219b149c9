"""Time measurement: medians of interleaved repetitions, percentiles."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Timed = Callable[[], Any]


def once(work: Timed) -> float:
    """Returns the milliseconds of one run."""
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000


def percentile(values: Sequence[float], share: float) -> float:
    """Returns the smallest value that at least `share` of all values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, int(share * len(ordered) + 0.9999) - 1))]


def median(values: Sequence[float]) -> float:
    return percentile(values, 0.5)


def spread(values: Sequence[float]) -> dict[str, float] | None:
    """Returns the median and the 99th percentile; None without values."""
    if not values:
        return None
    return {"p50": rounded(percentile(values, 0.5)), "p99": rounded(percentile(values, 0.99))}


def rounded(value: float) -> float:
    """Rounds to four significant digits."""
    return float(f"{value:.4g}")


def interleaved(works: Mapping[str, tuple[Timed, int]], rounds: int) -> dict[str, float]:
    """Returns the median milliseconds of each work.

    In every round each work runs as often as its number says, so that a busy moment of the machine affects all.
    """
    for work, _ in works.values():
        work()
    taken: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, (work, times) in works.items():
            taken[name] += [once(work) for _ in range(times)]
    return {name: median(values) for name, values in taken.items()}
