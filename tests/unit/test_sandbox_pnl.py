"""Profit and conversion in exact arithmetic."""

from decimal import Decimal

import pytest

from domain.errors import RateMissing
from domain.pnl import conversion_rate, position_profit_minor, reported_minor

QUOTES = {
    "GBPUSD": (Decimal("1.25"), Decimal("1.26")),
    "USDJPY": (Decimal("159.99"), Decimal(160)),
}
ONE = Decimal(1)


def test_a_direct_symbol_converts_at_its_bid_and_an_inverse_one_through_its_ask() -> None:
    assert conversion_rate("USD", "USD", {}) == 1
    assert conversion_rate("GBP", "USD", QUOTES) == Decimal("1.25")
    assert conversion_rate("JPY", "USD", QUOTES) == Decimal(1) / 160
    assert conversion_rate("USD", "GBP", QUOTES) == Decimal(1) / Decimal("1.26")
    with pytest.raises(RateMissing, match="JPY into GBP") as missing:
        conversion_rate("JPY", "GBP", QUOTES)
    assert missing.value.remedy == "Feed JPYGBP or GBPJPY."


@pytest.mark.parametrize(
    ("side", "opened", "closed", "minor"),
    [("buy", "1284.44", "1290.94", 65_000), ("sell", "1284.44", "1290.94", -65_000), ("buy", "2", "2", 0)],
)
def test_profit_follows_the_side(side: str, opened: str, closed: str, minor: int) -> None:
    profit = position_profit_minor(
        side,  # type: ignore[arg-type]
        ONE,
        Decimal(100),
        Decimal(opened),
        Decimal(closed),
        ONE,
        "USD",
    )
    assert profit == minor


@pytest.mark.parametrize(
    ("move", "currency", "minor"),
    [
        ("0.005", "USD", 1),
        ("-0.005", "USD", -1),
        ("0.00499", "USD", 0),
        ("0.5", "JPY", 1),
        ("0.4", "JPY", 0),
        ("0.0005", "KWD", 1),
    ],
)
def test_each_position_is_rounded_half_up_in_its_currency(move: str, currency: str, minor: int) -> None:
    assert position_profit_minor("buy", ONE, ONE, Decimal(10), Decimal(10) + Decimal(move), ONE, currency) == minor
    assert position_profit_minor("sell", ONE, ONE, Decimal(10), Decimal(10) - Decimal(move), ONE, currency) == minor


@pytest.mark.parametrize(
    ("minor", "currency", "reported"),
    [(-10_001, "USD", -10_001), (10_000, "GBP", 12_500), (16_000, "JPY", 10_000), (-1, "JPY", -1)],
)
def test_a_sum_over_currencies_is_in_one_of_them(minor: int, currency: str, reported: int) -> None:
    """16,000 yen (which have no decimals) are 100.00 dollars; 1 yen is 0.00625 of them."""
    assert reported_minor(minor, currency, QUOTES) == reported
