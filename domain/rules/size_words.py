"""Sizes as people read them: "5,000.00 USD", "5 % of the initial balance (5,000.00 USD)"."""

from decimal import Decimal
from typing import Final

from domain.money import half_up, to_minor
from domain.rules.terms import Size, SizeType
from domain.wording import listing, money, percent

_FIGURES: Final[dict[SizeType, str]] = {
    "pct_of_initial": "the initial balance",
    "pct_of_anchor": "{anchor}",
    "pct_of_peak": "{peak}",
    "pct_of_trade_value": "the trade value",
    "pct_of_balance": "the balance of the moment",
    "pct_of_payout_balance": "the balance that the last payout left (before any, the initial balance)",
    "pct_of_anchor_profit": "the profit in {anchor}",
    "pct_of_peak_profit": "the profit in {peak}",
}
ANCHOR: Final = "the balance at the last daily reset"
PEAK: Final = "the highest balance at a daily reset"


def size_words(size: Size, initial_minor: int, currency: str, *, anchor: str = ANCHOR, peak: str = PEAK) -> str:
    """Returns a size for people, with its least amount and its steps. `anchor`, `peak`: the rule's own, in words."""

    def value_words(value: Decimal) -> str:
        return _value_words(size.type, value, initial_minor, currency, anchor, peak)

    words = value_words(size.value)
    parts = []
    for step in size.steps:
        value = "no limit" if step.value is None else value_words(step.value)
        profit = money(to_minor(step.from_profit, currency), currency)
        parts.append(f"from a profit of {profit} on, {value}")
    if size.at_least is not None:
        parts.append(f"never less than {money(to_minor(size.at_least, currency), currency)}")
    return f"{words} ({listing(parts)})" if parts else words


def _value_words(kind: SizeType, value: Decimal, initial_minor: int, currency: str, anchor: str, peak: str) -> str:
    if kind == "amount":
        return money(to_minor(value, currency), currency)
    words = f"{percent(value)} of {_FIGURES[kind].format(anchor=anchor, peak=peak)}"
    if kind == "pct_of_initial":
        part = half_up(Decimal(initial_minor) * value / 100)
        words += f" ({money(part, currency)})"
    return words
