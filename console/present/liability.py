"""The liability: bars of what is owed and would be owed, and why traders cannot ask, in words."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from console.formats import words
from console.present.reports import list_of
from domain.money import Money
from firm.liability import LiabilityView, WouldOwe

_WIDTH: Final = 420  # of the longest bar, in the units of the drawing
ACCOUNTS: Final = "/reports/liability/accounts"  # the list of what the numbers count
REASONS: Final[Mapping[str, str]] = {
    "too_early": "waiting time not over",
    "no_trade_yet": "no trade yet",
    "nothing_available": "nothing to pay out",
    "profit_too_low": "profit too low",
    "balance_too_low": "balance too low",
    "positions_open": "positions open",
    "orders_pending": "orders pending",
    "gate_unmet": "condition not met",
    "payout_open": "payout open",
    "locked": "withdrawals locked",
    "payouts_used_up": "all payouts used",
    "closing_payout_paid": "closed with its last payout",
}


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


def accounts_href(row: WouldOwe, reason: str = "") -> str:
    """The list of the accounts that a number of a row counts."""
    return list_of(ACCOUNTS, {"product": row.product, "version": str(row.version), "reason": reason})


def blocked(row: WouldOwe) -> list[tuple[str, int, str]]:
    """Why accounts of a row are not eligible, the most frequent first: words, how many, and their list."""
    most_first = sorted(row.blocked.items(), key=lambda each: (-each[1], each[0]))
    return [(reason_words(code), count, accounts_href(row, code)) for code, count in most_first]


def reason_words(code: str) -> str:
    return REASONS.get(code, words(code))


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
