"""Shares with the numbers that they stand on, and what became of the purchases of a cohort."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Final, Literal, TypeVar

_PLACES: Final = Decimal("0.0001")
_OPEN_TENTH: Final = 10  # a share is early while a tenth of what it stands on has not ended
Ended = Literal["", "breached", "expired", "otherwise"]
K = TypeVar("K")


def share(part: int, whole: int) -> Decimal | None:
    """Returns a share of 0 to 1 with four digits, halves up; None of nothing."""
    return None if whole == 0 else (Decimal(part) / whole).quantize(_PLACES, ROUND_HALF_UP)


def early(undecided: int, whole: int) -> bool:
    """Whether a share would mislead: a tenth or more of what it stands on can still change it."""
    return undecided > 0 and undecided * _OPEN_TENTH >= whole


@dataclass(frozen=True, slots=True)
class Alike:
    """Purchases of one month, product and version that went the same way. `passed`: the last evaluation phase that
    was passed, 0 for none. `ended`: how they ended; empty while they go on."""

    month: str
    product: str
    version: int
    purchases: int
    passed: int
    funded: bool
    paid: bool
    ended: Ended


@dataclass(frozen=True, slots=True)
class Fates:
    """What became of purchases. `passed`: how many passed the first evaluation phase, the second and so on.
    `in_evaluation`: those that go on and are not funded. `unpaid_yet`: those that are funded, go on, and were not paid
    so far."""

    bought: int
    passed: tuple[int, ...]
    funded: int
    paid: int
    breached: int
    expired: int
    ended_otherwise: int
    in_evaluation: int
    unpaid_yet: int

    @property
    def pass_rate_early(self) -> bool:
        return early(self.in_evaluation, self.bought)

    @property
    def payout_rate_early(self) -> bool:
        return early(self.in_evaluation + self.unpaid_yet, self.bought)


def fates(rows: Iterable[Alike], phases: int) -> Fates:
    """Returns the sums. `phases`: how many evaluation phases `passed` counts."""
    rows = tuple(rows)

    def count(fits: Callable[[Alike], bool]) -> int:
        return sum(row.purchases for row in rows if fits(row))

    return Fates(
        bought=count(lambda _: True),
        passed=tuple(sum(row.purchases for row in rows if row.passed >= phase) for phase in range(1, phases + 1)),
        funded=count(lambda row: row.funded),
        paid=count(lambda row: row.paid),
        breached=count(lambda row: row.ended == "breached"),
        expired=count(lambda row: row.ended == "expired"),
        ended_otherwise=count(lambda row: row.ended == "otherwise"),
        in_evaluation=count(lambda row: not row.ended and not row.funded),
        unpaid_yet=count(lambda row: not row.ended and row.funded and not row.paid),
    )


def grouped(rows: Iterable[Alike], key: Callable[[Alike], K]) -> dict[K, list[Alike]]:
    """Returns the rows by `key`, in the order in which the keys come first."""
    found: dict[K, list[Alike]] = {}
    for row in rows:
        found.setdefault(key(row), []).append(row)
    return found
