"""Rates between currencies, and amounts in currencies with 0, 2, 3 and 4 decimals."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.exchange import Rate, convert, rate_between
from domain.money import Money, exponent

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def rate(sold: str, bought: str, price: str, *, minutes: int = 0, source: str = "ECB") -> Rate:
    return Rate(sold=sold, bought=bought, price=Decimal(price), source=source, at=NOON + timedelta(minutes=minutes))


@pytest.mark.parametrize(
    ("currency", "price", "bought"),
    [
        ("JPY", "149.335", "14,934 JPY"),
        ("ISK", "137.055", "13,706 ISK"),
        ("UGX", "3666.5", "366,650 UGX"),
        ("EUR", "0.91375", "91.38 EUR"),
        ("KWD", "0.3081255", "30.813 KWD"),
        ("CLF", "0.02512345", "2.5123 CLF"),
    ],
)
def test_an_amount_is_rounded_half_up_to_the_digits_of_its_currency(currency: str, price: str, bought: str) -> None:
    assert str(convert(Money(minor=100_00, currency="USD"), rate("USD", currency, price)).bought) == bought


@given(
    st.integers(1, 10**9),
    st.sampled_from(["USD", "JPY", "UGX", "KWD"]),
    st.sampled_from(["EUR", "ISK", "BHD", "CLF"]),
    st.decimals("0.0001", "5000", places=6),
)
def test_rounding_is_at_most_half_a_minor_unit(minor: int, sold: str, bought: str, price: Decimal) -> None:
    made = convert(Money(minor=minor, currency=sold), rate(sold, bought, str(price)))
    assert abs(made.rounding) <= Decimal("0.5").scaleb(-exponent(bought))
    assert made.bought.amount - made.rounding == Money(minor=minor, currency=sold).amount * price


def test_the_newest_rate_of_the_pair_counts_in_either_direction() -> None:
    old, new = rate("USD", "EUR", "0.9"), rate("EUR", "USD", "1.25", minutes=5)
    assert rate_between([old], "USD", "EUR") == old
    found = rate_between([new, old], "USD", "EUR")
    assert found is not None
    assert (found.price, found.source, found.at) == (Decimal("0.8"), "ECB, 1/1.25", new.at)
    third = rate_between([rate("EUR", "USD", "3")], "USD", "EUR")
    assert third is not None and third.price == Decimal("0.333333333333")


def test_a_pair_without_a_rate_goes_through_one_other_currency() -> None:
    quoted = [rate("EUR", "USD", "1.25"), rate("EUR", "JPY", "160", minutes=-9), rate("GBP", "CHF", "1.1")]
    found = rate_between(quoted, "USD", "JPY")
    assert found is not None
    assert (found.price, found.at) == (Decimal(128), NOON - timedelta(minutes=9)), "as old as the older of the two"
    assert found.source == "ECB, 1/1.25, through EUR"
    assert rate_between(quoted, "USD", "CHF") is None
    assert rate_between([], "USD", "EUR") is None


def test_a_quoted_pair_comes_before_a_newer_way_through_another_currency() -> None:
    quoted = [rate("USD", "JPY", "150"), rate("EUR", "USD", "1.25", minutes=1), rate("EUR", "JPY", "160", minutes=1)]
    found = rate_between(quoted, "USD", "JPY")
    assert found is not None and found.price == 150


def test_a_long_source_keeps_how_the_price_came_about() -> None:
    found = rate_between([rate("EUR", "USD", "1.25", source="s" * 80)], "USD", "EUR")
    assert found is not None and len(found.source) == 80 and found.source.endswith("s, 1/1.25")
