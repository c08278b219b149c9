"""The liability as bars: what is owed by stage, and what would be owed, one drawing for each currency."""

from dataclasses import dataclass
from typing import Final

from domain.money import Money
from firm.liability import LiabilityView

_WIDTH: Final = 420  # of the longest bar, in the units of the drawing


@dataclass(frozen=True)
class Bar:
    """`y` and `width` in the units of the drawing; `tone` is ok, warn or bad."""

    label: str
    amount: Money
    y: int
    width: int
    tone: str


@dataclass(frozen=True)
class Chart:
    currency: str
    bars: tuple[Bar, ...]

    @property
    def height(self) -> int:
        return 30 * len(self.bars)

    @property
    def words(self) -> str:
        """Returns what the drawing shows, for people who cannot see it."""
        return f"Liability in {self.currency}: " + "; ".join(f"{bar.label} {bar.amount}" for bar in self.bars)


def chart(found: LiabilityView) -> list[Chart]:
    """Returns a drawing for each currency in which something is, or would be, owed."""
    rows: dict[str, list[tuple[str, int, str]]] = {}
    for owed in found.owed:
        rows.setdefault(owed.currency, []).append((f"Owed now, {owed.stage}", owed.amount_minor, "bad"))
    for currency in sorted({each.currency for each in found.would_owe}):
        mine = [each for each in found.would_owe if each.currency == currency]
        expected, whole = sum(each.expected_minor for each in mine), sum(each.all_minor for each in mine)
        rows.setdefault(currency, []).append(("Expected", expected, "warn"))
        rows[currency].append(("If every eligible trader asked", whole, "ok"))
    return [Chart(currency, _bars(currency, lines)) for currency, lines in sorted(rows.items())]


def _bars(currency: str, lines: list[tuple[str, int, str]]) -> tuple[Bar, ...]:
    most = max(minor for _, minor, _ in lines) or 1
    return tuple(
        Bar(label, Money(minor=minor, currency=currency), 30 * place, _WIDTH * minor // most, tone)
        for place, (label, minor, tone) in enumerate(lines)
    )
