"""The prices of a challenge, and what they charge as it goes on.

A challenge may cost money when it is bought, reset, bought back, extended or funded, and every month until it is funded
or cancelled.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from typing import Annotated, Final, Literal

from pydantic import Field

from domain.clocks import month_later
from domain.errors import BadInput
from domain.money import ExactDecimal, half_up, to_minor
from domain.rules.terms import Terms

FeeEvent = Literal["purchase", "reset", "buyback", "extension", "funded", "cancelled", "time"]
_CHARGES: Final[Mapping[FeeEvent, str]] = {
    "purchase": "purchase",
    "reset": "reset",
    "buyback": "buyback",
    "extension": "extension",
    "funded": "activation",
}


class ShareOfPurchase(Terms):
    """A percentage of the price of the purchase, without its add-ons."""

    type: Literal["pct_of_purchase"]
    value: Annotated[ExactDecimal, Field(ge=0)]


Price = Annotated[ExactDecimal, Field(ge=0)] | ShareOfPurchase


class Prices(Terms):
    """The prices of one product, in major units or as a percentage of the purchase. None: it costs nothing.

    `activation` is due when the account is funded. `monthly` is due with the purchase, and on its date in later months
    until the account is funded or cancelled; in a shorter month on its last day.
    """

    purchase: Annotated[ExactDecimal, Field(ge=0)] | None = None
    reset: Price | None = None
    buyback: Price | None = None
    extension: Price | None = None
    activation: Price | None = None
    monthly: Price | None = None
    add_ons: Mapping[str, Price] = Field(default_factory=dict)

    def minor(self, price: Price | None, currency: str) -> int:
        """Returns a price in minor units, rounded half up."""
        if price is None:
            return 0
        if isinstance(price, Decimal):
            return to_minor(price, currency)
        whole = to_minor(self.purchase or Decimal(0), currency)
        return half_up(whole * price.value / 100)


@dataclass(frozen=True, slots=True)
class Charge:
    """`of`: the field of `Prices`, or the name of the add-on."""

    of: str
    minor: int


@dataclass(frozen=True, slots=True)
class Fees:
    """What was charged so far, in order. `bought_on` and `months`: the date of the running subscription, and how many
    months of it are charged; None when it does not run."""

    charges: tuple[Charge, ...] = ()
    bought_on: date | None = None
    months: int = field(default=0)

    @property
    def total_minor(self) -> int:
        return sum(charge.minor for charge in self.charges)


def step(
    fees: Fees, event: FeeEvent, on: date | None, prices: Prices, currency: str, add_ons: tuple[str, ...] = ()
) -> Fees:
    """Returns the fees after `event` on the date `on` (None: the date is unknown). The months that end before it are
    charged first. Raises BadInput for an add-on without a price."""
    fees = _with_months(fees, event, on, prices, currency)
    made = tuple(charge for charge in _charges(event, prices, currency, add_ons) if charge.minor)
    fees = replace(fees, charges=(*fees.charges, *made))
    if event == "purchase":
        return replace(fees, bought_on=on, months=1)
    return replace(fees, bought_on=None) if event in ("funded", "cancelled") else fees


def _with_months(fees: Fees, event: FeeEvent, on: date | None, prices: Prices, currency: str) -> Fees:
    """Charges the months that are due. The day on which the account is funded or cancelled begins no other month."""
    price = prices.minor(prices.monthly, currency)
    while fees.bought_on is not None and on is not None and price:
        due = month_later(fees.bought_on, fees.months)
        if due > on or (due == on and event in ("funded", "cancelled")):
            break
        fees = replace(fees, charges=(*fees.charges, Charge("monthly", price)), months=fees.months + 1)
    return fees


def _charges(event: FeeEvent, prices: Prices, currency: str, add_ons: tuple[str, ...]) -> Iterator[Charge]:
    name = _CHARGES.get(event)
    if name is not None:
        yield Charge(name, prices.minor(getattr(prices, name), currency))
    if event != "purchase":
        return
    yield Charge("monthly", prices.minor(prices.monthly, currency))
    for add_on in add_ons:
        if add_on not in prices.add_ons:
            known = ", ".join(sorted(prices.add_ons)) or "none"
            raise BadInput(f"There is no add-on {add_on!r}.", field="add_ons", remedy=f"Known add-ons: {known}.")
        yield Charge(add_on, prices.minor(prices.add_ons[add_on], currency))
