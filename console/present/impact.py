"""The effect of other terms as bars: how many challenges end how, and the money, before and after."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from console.formats import plain_money, words
from domain.histories.impact_report import ImpactReport
from domain.money import Money

WIDTH: Final = 1000  # of a plot, in its own units


@dataclass(frozen=True)
class Bar:
    """`start` and `width`: of a plot of WIDTH units. `text`: the number at its end. `tone`: as in app.css."""

    start: int
    width: int
    text: str
    tone: str


@dataclass(frozen=True)
class Pair:
    """Two bars under one name: under the terms of today, then under the draft."""

    label: str
    before: Bar
    after: Bar


@dataclass(frozen=True)
class Bars:
    """Pairs on one scale. `zero`: where nothing is."""

    title: str
    zero: int
    pairs: tuple[Pair, ...]


def bars(found: ImpactReport) -> tuple[Bars, ...]:
    """Returns the outcomes that occur, and the money; each with a scale of its own."""
    fates = [(each.fate, each.before, each.after) for each in found.fates if each.before or each.after]
    counts = [("payouts", found.payouts_before, found.payouts_after)]
    money = [(each.name, each.before_minor, each.after_minor) for each in found.money]
    number = [f"{value:,}" for _, *both in (*fates, *counts) for value in both]
    sums = [plain_money(Money(minor=value, currency=found.currency)) for _, *both in money for value in both]
    return (
        _scaled("Outcomes of the replayed challenges, and payouts", [*fates, *counts], number),
        _scaled(f"Money, {found.currency}", money, sums),
    )


def _scaled(title: str, rows: Sequence[tuple[str, int, int]], texts: Sequence[str]) -> Bars:
    values = [value for _, *both in rows for value in both]
    low, high = min(0, *values), max(0, *values)
    span = (high - low) or 1
    zero = -low * WIDTH // span

    def bar(value: int, text: str, tone: str) -> Bar:
        width = abs(value) * WIDTH // span
        return Bar(zero - width if value < 0 else zero, max(width, 1 if value else 0), text, tone)

    pairs = tuple(
        Pair(
            words(name).capitalize(),
            bar(before, texts[2 * index], "mute"),
            bar(after, texts[2 * index + 1], "info"),
        )
        for index, (name, before, after) in enumerate(rows)
    )
    return Bars(title, zero, pairs)
