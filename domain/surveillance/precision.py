"""How often surveillance was right: counted from decided cases, with the interval that so few of them allow."""

import math
from dataclasses import dataclass
from typing import Final

_Z: Final = 1.959963984540054  # 95 %


@dataclass(frozen=True, slots=True)
class Interval:
    """A share with its Wilson interval, each 0..1."""

    share: float
    low: float
    high: float


def wilson(hits: int, total: int) -> Interval | None:
    """Returns the share of hits with its 95 % Wilson interval; None when nothing was counted. Raises ValueError."""
    if not 0 <= hits <= total:
        raise ValueError(f"{hits} hits of {total} cannot be")
    if total == 0:
        return None
    share, square = hits / total, _Z * _Z
    middle = share + square / (2 * total)
    spread = _Z * math.sqrt(share * (1 - share) / total + square / (4 * total * total))
    scale = 1 + square / total
    low = 0.0 if hits == 0 else (middle - spread) / scale
    high = 1.0 if hits == total else (middle + spread) / scale
    return Interval(share, max(0.0, low), min(1.0, high))


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Cases by outcome. An inconclusive case is neither right nor wrong, and an undecided one is no negative."""

    confirmed: int = 0
    false_positive: int = 0
    inconclusive: int = 0
    undecided: int = 0
