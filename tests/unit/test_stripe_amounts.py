"""Stripe's minor units against those of ISO 4217."""

import pytest

from adapters.stripe.amounts import from_stripe, to_stripe, to_stripe_payout
from domain.currencies import DIGITS
from domain.errors import BadInput, Unavailable, UnknownCurrency


@pytest.mark.parametrize(
    ("minor", "currency", "amount"),
    [
        (9900, "USD", 9900),
        (500, "JPY", 500),
        (500, "ISK", 50000),  # none in ISO, hundredths at Stripe
        (700, "UGX", 70000),
        (12300, "MGA", 123),  # hundredths in ISO, whole at Stripe
        (1230, "KWD", 1230),
        (-4000, "EUR", -4000),
        (0, "ISK", 0),
    ],
)
def test_an_amount_goes_to_stripe_and_comes_back(minor: int, currency: str, amount: int) -> None:
    assert to_stripe(minor, currency) == amount
    assert from_stripe(amount, currency) == minor


@pytest.mark.parametrize(("minor", "currency"), [(1234, "KWD"), (12345, "MGA"), (100, "CLF"), (100, "USDT")])
def test_an_amount_that_stripe_cannot_express_is_refused(minor: int, currency: str) -> None:
    with pytest.raises(BadInput):
        to_stripe(minor, currency)


def test_an_unknown_currency_is_refused() -> None:
    with pytest.raises(UnknownCurrency):
        to_stripe(100, "XXX")
    with pytest.raises(Unavailable):
        from_stripe(100, "XXX")


@pytest.mark.parametrize("amount", [50050, -1, 99])
def test_a_part_of_a_krona_is_nobodys_to_act_on(amount: int) -> None:
    with pytest.raises(Unavailable):
        from_stripe(amount, "ISK")


def test_a_payout_is_whole_where_stripe_pays_whole_units() -> None:
    assert to_stripe_payout(12300, "HUF") == 12300
    assert to_stripe_payout(5, "ISK") == 500
    assert to_stripe_payout(101, "USD") == 101
    with pytest.raises(BadInput):
        to_stripe_payout(12345, "HUF")


def test_every_currency_is_exact_both_ways_or_refused() -> None:
    for currency in DIGITS:
        try:
            amount = to_stripe(123_000, currency)
        except BadInput:
            continue
        assert from_stripe(amount, currency) == 123_000
