"""What the patterns of this room share: accounts by their thresholds, the score, and words for evidence."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import TypeVar

import numpy as np

from domain.surveillance.base import Thresholds
from domain.surveillance.evidence import Figure
from surveillance.book import SECOND, Book, Flags
from surveillance.pattern import Pattern

L = TypeVar("L", bound=Thresholds)
SHOWN = 30  # rows of a table; `deals` of the finding has them all


def accounts_by_limits(pattern: Pattern[L], book: Book) -> Iterator[tuple[L, Flags]]:
    """Yields each set of thresholds with the accounts (flags of all rows) whose products have it."""
    if len(book.accounts) == 0:
        return
    of_product = [pattern.limits.of(name) for name in book.accounts.products]
    for limits in dict.fromkeys(of_product):
        chosen = np.array([each == limits for each in of_product], dtype=bool)
        yield limits, chosen[book.accounts.product]


def beyond(measured: float, line: float, full: float) -> float:
    """Returns how far a value is beyond its line: 0 at the line, 1 from `full` on. `full` may be the smaller one."""
    return float(min(max((measured - line) / (full - line), 0.0), 1.0))


def score(*parts: tuple[float, float]) -> float:
    """Returns 0.5 plus half of the weighted mean of (weight, 0 to 1): nothing beyond its line is 0.5."""
    total = sum(weight for weight, _ in parts)
    return 0.5 + 0.5 * sum(weight * value for weight, value in parts) / total


def figure(name: str, measured: float, threshold: float, *, at_most: bool = False, unit: str = "") -> Figure:
    return Figure(
        name=name,
        measured=_decimal(measured),
        threshold=_decimal(threshold),
        bound="at_most" if at_most else "at_least",
        unit=unit,
    )


def when(at: int) -> str:
    """Returns a time in UTC to the millisecond."""
    moment = datetime.fromtimestamp(at // SECOND, UTC)
    return f"{moment:%Y-%m-%d %H:%M:%S}.{at % SECOND // 1000:03d}"


def lasted(microseconds: int) -> str:
    seconds = microseconds / SECOND
    if abs(seconds) < 120:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.0f} min" if abs(seconds) < 7200 else f"{seconds / 3600:.1f} h"


def side_word(side: int) -> str:
    return "buy" if side > 0 else "sell"


def price(value: float, point: float) -> str:
    """Returns a price with the digits of its symbol."""
    digits = 5 if not point > 0 else max(0, min(8, round(-float(np.log10(point)))))
    return f"{value:.{digits}f}"


def one_in(chance: float) -> str:
    """Returns a small chance in words: `1 in 25,000`."""
    if chance >= 0.5:
        return f"{100 * chance:.0f} %"
    if chance < 1e-9:
        return "less than 1 in a billion"
    exact = 1 / chance
    rounded = round(exact, 1 - len(str(int(exact)))) if exact >= 10 else round(exact, 1)
    return f"1 in {rounded:,.0f}"


def _decimal(value: float) -> Decimal:
    return Decimal(f"{value:.4g}") if abs(value) < 1000 else Decimal(round(value))
