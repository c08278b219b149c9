"""Numbers as terminals write them."""

from decimal import Decimal

import pytest

from adapters.statements.numbers import Mark, NotANumber, decimal_mark, number


@pytest.mark.parametrize(
    ("text", "mark", "value"),
    [
        ("1 234.56", ".", "1234.56"),
        ("1\u00a0234.56", ".", "1234.56"),
        ("1\u202f234,56", ",", "1234.56"),
        ("1.234,56", ",", "1234.56"),
        ("1.234.567,8", ",", "1234567.8"),
        ("1'234.56", ".", "1234.56"),
        ("1\u2019234.56", ".", "1234.56"),
        ("1,234.56", ".", "1234.56"),
        ("\u22127.10", ".", "-7.10"),
        ("- 2 265.77", ".", "-2265.77"),
        ("1.27043", ".", "1.27043"),
        ("1,27043", ",", "1.27043"),
        ("\u0661\u0662\u066b\u0665", ".", "12.5"),
        ("1.234", ",", "1234"),
    ],
)
def test_every_style_is_read(text: str, mark: Mark, value: str) -> None:
    assert number(text, mark) == Decimal(value)


@pytest.mark.parametrize("text", ["", "12,34.5", "1,2345", "1e5", "NaN", "1_000", "0x1", "1.2.3", "12a", "--1", "1-"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(NotANumber, match="is not a number"):
        number(text)


@pytest.mark.parametrize(
    ("texts", "mark"),
    [
        (["10 000.00", "1.27043", "-0.39"], "."),
        (["10\u00a0000,00", "1,27043", "\u22120,39"], ","),
        (["1.234,56", "9,10"], ","),
        (["1.234", "2.345", "buy"], "."),
    ],
)
def test_the_decimal_mark_is_found_from_amounts(texts: list[str], mark: Mark) -> None:
    assert decimal_mark(texts) == mark
