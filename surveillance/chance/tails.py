"""Tails of distributions, and the line for many tests at once."""

from math import log

import numpy as np
from numba import njit

from surveillance.book import Flags, Floats


def poisson_binomial_tail(chances: Floats, least: int) -> float:
    """Returns P(at least `least` of independent trials succeed), exact: `chances` has one success chance a trial.

    Probabilities are only added, so even a tail of 1e-200 keeps its digits. Work is trials x `least`.
    """
    if least <= 0:
        return 1.0
    if least > len(chances):
        return 0.0
    return float(_tail(np.clip(chances, 0.0, 1.0), least))


def beyond_chance(p_values: Floats, tests: float, rate: float, *, dependent: bool = True) -> Flags:
    """Returns which tests stand out when at most `rate` of those that do may be false.

    `tests`: all that were possible, also those whose p-value nobody computed because it would be large. Benjamini and
    Yekutieli's line when tests depend on each other (pairs share members), else Benjamini and Hochberg's.
    """
    size = len(p_values)
    if size == 0:
        return np.zeros(0, dtype=bool)
    total = max(tests, float(size))
    allowed = rate / (total * (log(total) + 0.5772 + 0.5 / total if dependent else 1.0))
    order = np.argsort(p_values, kind="stable")
    passing = np.flatnonzero(p_values[order] <= allowed * np.arange(1, size + 1))
    found = np.zeros(size, dtype=bool)
    if len(passing):
        found[order[: passing[-1] + 1]] = True
    return found


@njit(cache=True, nogil=True)
def _tail(chances, least):  # type: ignore[no-untyped-def]
    """`exactly[k]`: chance of k successes so far. What reaches `least` stays there."""
    exactly = np.zeros(least)
    exactly[0] = 1.0
    reached = 0.0
    for chance in chances:
        reached += exactly[least - 1] * chance
        for k in range(least - 1, 0, -1):
            exactly[k] = exactly[k] * (1.0 - chance) + exactly[k - 1] * chance
        exactly[0] *= 1.0 - chance
    return reached
