"""What the prices of a challenge charge as it goes on, event by event."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from typing import Annotated, Final, Literal

from pydantic import Field

from domain.clocks import month_later
from domain.errors import BadInput
from domain.fees import FeeTerms, Price, price_minor
from domain.money import ExactDecimal, to_minor

FeeEvent = Literal["purchase", "reset", "buyback", "extension", "funded", "cancelled", "time"]
_CHARGES: Final[Mapping[FeeEvent, str]] = {
    "purchase": "purchase",
    "reset": "reset",
    "buyback": "buyback",
    "extension": "extension",
    "funded": "activation",
}


class Prices(FeeTerms):
    """All prices of one product. None: it costs nothing."""

    purchase: Annotated[ExactDecimal, Field(ge=0)] | None = None

    def minor(self, price: Price | None, currency: str) -> int:
        """Returns a price in minor units, rounded half up."""
        return price_minor(price, to_minor(self.purchase or Decimal(0), currency), currency)


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
