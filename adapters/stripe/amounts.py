"""Amounts at Stripe. It counts in minor units of its own, which differ from ISO 4217 for some currencies.

Source: docs.stripe.com/currencies. All amounts of the API are integers.
"""

from typing import Final

from domain.errors import BadInput, Unavailable
from domain.money import exponent, is_known

# Stripe takes whole units of these. The ariary (MGA) has two digits in ISO 4217.
_WHOLE: Final = frozenset(
    ["BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF"]
)
# Not money at Stripe: units of account, and coins.
_REFUSED: Final = frozenset(["CHE", "CHW", "CLF", "USN", "UYI", "UYW", "USDC", "USDT"])
# Stripe takes hundredths of these for a charge, and only whole units for a payout.
_WHOLE_PAYOUTS: Final = frozenset(["HUF", "ISK", "TWD", "UGX"])


def _digits(currency: str) -> int:
    """Returns how many digits Stripe counts after the point. ISK and UGX have none in ISO 4217 and two at Stripe, for
    its older callers; the last two are always 0."""
    if exponent(currency) == 3:
        return 3
    return 0 if currency in _WHOLE else 2


def to_stripe(minor: int, currency: str) -> int:
    """Returns our minor units as Stripe's. Raises UnknownCurrency, and BadInput for a currency that Stripe does not
    take or an amount that it cannot express."""
    exponent(currency)
    if currency in _REFUSED:
        raise BadInput(
            f"Stripe does not take {currency}.", field="currency", remedy="Use another provider or currency."
        )
    shift = _digits(currency) - exponent(currency)
    amount, rest = _scaled(minor, shift)
    if rest or (_digits(currency) == 3 and amount % 10):
        remedy = "Round it so that its last digit is 0." if _digits(currency) == 3 else "Round it to whole units."
        raise BadInput(f"Stripe cannot express this amount of {currency}.", field="amount_minor", remedy=remedy)
    return amount


def to_stripe_payout(minor: int, currency: str) -> int:
    """Returns the amount of a payout; see `to_stripe`. Some currencies are paid out in whole units only."""
    amount = to_stripe(minor, currency)
    if currency in _WHOLE_PAYOUTS and amount % 100:
        raise BadInput(
            f"Stripe pays out whole {currency} only.", field="amount_minor", remedy="Round it to whole units."
        )
    return amount


def from_stripe(amount: int, currency: str) -> int:
    """Returns Stripe's minor units as ours. `currency`: in capitals. Raises Unavailable for an amount that our minor
    units cannot express and for an unknown currency: nobody may act on it."""
    if not is_known(currency):
        raise Unavailable("Stripe names a currency that is not in the table of currencies.")
    shift = _digits(currency) - exponent(currency)
    minor, rest = _scaled(amount, -shift)
    if rest:
        raise Unavailable(f"Stripe names an amount that is not whole in {currency}.")
    return minor


def _scaled(amount: int, digits: int) -> tuple[int, int]:
    """Returns the amount with `digits` more digits (fewer if negative), and what does not fit."""
    factor = int(10 ** abs(digits))
    return (amount * factor, 0) if digits >= 0 else divmod(amount, factor)
