"""Amounts are whole minor units of one currency, rounded half up, never a float."""

from collections.abc import Callable
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.errors import BadInput, UnknownCurrency
from domain.money import Money, exponent, from_minor, half_up, to_minor

CURRENCIES = st.sampled_from(["USD", "EUR", "JPY", "KWD"])
MINORS = st.integers(1 - 10**15, 10**15 - 1)


def usd(minor: int) -> Money:
    return Money(minor=minor, currency="USD")


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("1240.50", "USD", 124_050),
        ("-0.01", "USD", -1),
        ("5", "JPY", 5),
        ("1.250", "KWD", 1_250),
        ("1.0", "JPY", 1),
        ("-0", "USD", 0),
    ],
)
def test_an_amount_is_read_to_the_last_digit(text: str, currency: str, minor: int) -> None:
    assert Money.parse(text, currency) == Money(minor=minor, currency=currency)


@pytest.mark.parametrize(
    ("text", "currency", "says"),
    [
        ("", "USD", "is not a number"),
        ("ten", "USD", "is not a number"),
        ("1,000", "USD", "is not a number"),
        ("1.005", "USD", "is not an amount in USD"),
        ("0.5", "JPY", "is not an amount in JPY"),
        ("0.0005", "KWD", "is not an amount in KWD"),
        ("1.0000000000000000000000000000000001", "USD", "is not an amount in USD"),
        ("9" * 15, "USD", "is not an amount in USD"),
        ("9" * 16, "USD", "is not a number"),
        *((text, "USD", "is not a number") for text in ("NaN", "-Infinity", "1e3", "1E+999999", "1_000", "+1", "1.")),
        *((text, "USD", "is not a number") for text in (" 5 ", "5\n", "- 5", "--5", ".5", "١٠", "１０")),
    ],
)
def test_what_is_no_amount_is_refused_with_field_and_remedy(text: str, currency: str, says: str) -> None:
    with pytest.raises(BadInput, match=says) as refused:
        Money.parse(text, currency, field="fee")
    assert refused.value.field == "fee"
    assert refused.value.remedy


@settings(deadline=None)
@given(MINORS, CURRENCIES)
def test_an_amount_comes_back_from_its_decimal(minor: int, currency: str) -> None:
    assert to_minor(from_minor(minor, currency), currency) == minor
    assert Money.parse(str(from_minor(minor, currency)), currency).minor == minor


@pytest.mark.parametrize(
    ("currency", "digits"),
    [
        *((code, 0) for code in ("ISK", "UGX", "XAF", "XOF", "PYG", "RWF", "CLP", "KRW")),
        *((code, 2) for code in ("USD", "CHF", "HUF", "IDR", "TRY", "BGN", "USDT", "USDC")),
        *((code, 3) for code in ("BHD", "IQD", "LYD", "TND")),
        ("CLF", 4),
    ],
)
def test_every_currency_has_its_own_digits(currency: str, digits: int) -> None:
    assert exponent(currency) == digits
    assert Money.parse("7", currency).minor == 7 * 10**digits


@pytest.mark.parametrize("currency", ["ABC", "USC", "XAU", "XXX", "usd", "US", "DOLLAR", ""])
def test_an_unknown_currency_is_refused(currency: str) -> None:
    attempts: list[Callable[[], object]] = [
        lambda: exponent(currency),
        lambda: to_minor(Decimal(1), currency),
        lambda: from_minor(1, currency),
        lambda: Money(minor=1, currency=currency),
        lambda: Money.parse("1", currency),
    ]
    for attempt in attempts:
        with pytest.raises(UnknownCurrency, match="There is no currency") as refused:
            attempt()
        assert refused.value.field == "currency" and refused.value.remedy


def test_currencies_have_their_own_digits() -> None:
    assert [exponent(currency) for currency in ("USD", "JPY", "KWD")] == [2, 0, 3]
    assert [to_minor(Decimal("1.2345"), currency) for currency in ("USD", "JPY", "KWD")] == [123, 1, 1_235]
    texts = [str(Money(minor=1_234_567, currency=currency)) for currency in ("USD", "JPY", "KWD")]
    assert texts == ["12,345.67 USD", "1,234,567 JPY", "1,234.567 KWD"]


@pytest.mark.parametrize(
    ("value", "whole"), [("0.5", 1), ("1.5", 2), ("2.5", 3), ("-0.5", -1), ("-2.5", -3), ("2.4999", 2)]
)
def test_halves_go_away_from_zero(value: str, whole: int) -> None:
    assert half_up(Decimal(value)) == whole


def test_a_share_is_rounded_to_the_minor_unit() -> None:
    assert usd(1_005).share(Decimal(50)) == usd(503)
    assert usd(-1_005).share(Decimal(50)) == usd(-503)
    assert Money(minor=333, currency="JPY").share(Decimal("33.3")) == Money(minor=111, currency="JPY")


@settings(deadline=None)
@given(MINORS, MINORS, CURRENCIES)
def test_sums_are_exact(left: int, right: int, currency: str) -> None:
    a, b = Money(minor=left, currency=currency), Money(minor=right, currency=currency)
    assert (a + b - b, a - b) == (a, -(b - a))
    assert (a < b, a <= b) == (left < right, left <= right)


def test_two_currencies_do_not_mix() -> None:
    euro = Money(minor=1, currency="EUR")
    for combine in (lambda: usd(1) + euro, lambda: usd(1) - euro, lambda: usd(1) < euro, lambda: usd(1) <= euro):
        with pytest.raises(ValueError, match="cannot combine USD with EUR"):
            combine()
    assert usd(1) != euro


@pytest.mark.parametrize("minor", [1.0, "1", Decimal(1), True, None])
def test_only_whole_numbers_are_minor_units(minor: object) -> None:
    with pytest.raises(ValidationError):
        Money.model_validate({"minor": minor, "currency": "USD"})


def test_an_amount_does_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        usd(1).minor = 2  # type: ignore[misc]
