"""The prices of a challenge beside the fee of its purchase: of a reset, a buyback, an extension and so on."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Annotated, Final, Literal

from pydantic import Field

from domain.money import ExactDecimal, to_minor, to_price
from domain.rules.terms import Terms, Where

OrderKind = Literal["reset", "buyback", "activation"]
ORDERS: Final[tuple[OrderKind, ...]] = ("reset", "buyback", "activation")
ACTIVATION_DAYS: Final = 30  # so long, from the pass on, the funded account can be ordered
FEE_NAMES: Final = ("reset", "buyback", "extension", "activation", "monthly")


class ShareOfPurchase(Terms):
    """A percentage of the price of the purchase, without its add-ons."""

    type: Literal["pct_of_purchase"]
    value: Annotated[ExactDecimal, Field(ge=0)]


Price = Annotated[ExactDecimal, Field(ge=0)] | ShareOfPurchase


class FeeTerms(Terms):
    """The later prices of one product, in major units or as a percentage of the purchase. None: it is not sold, or
    costs nothing.

    `reset`: an evaluation phase begins again. `buyback`: the phase of a broken account begins again. `activation` is
    due when the account is funded. `monthly` is due with the purchase, and on its date in later months until the
    account is funded or cancelled; in a shorter month on its last day.
    """

    reset: Price | None = None
    buyback: Price | None = None
    extension: Price | None = None
    activation: Price | None = None
    monthly: Price | None = None
    add_ons: Mapping[str, Price] = Field(default={}, max_length=50)

    def amounts(self) -> Iterator[tuple[Where, Decimal]]:
        named: list[tuple[Where, Price | None]] = [((name,), getattr(self, name)) for name in FEE_NAMES]
        named += [(("add_ons", name), price) for name, price in self.add_ons.items()]
        for where, price in named:
            if isinstance(price, Decimal):
                yield where, price

    def order_minor(self, kind: OrderKind, purchase_minor: int, currency: str) -> int | None:
        """Returns the price of an order in minor units; None: it is not sold. `purchase_minor`: the price of the
        purchase."""
        price = {"reset": self.reset, "buyback": self.buyback, "activation": self.activation}[kind]
        return None if price is None else price_minor(price, purchase_minor, currency)

    def problems(self, purchase_minor: int, currency: str) -> Iterator[tuple[Where, str]]:
        """Yields what no product may promise, with its remedy."""
        for kind in ORDERS:
            if self.order_minor(kind, purchase_minor, currency) == 0:
                yield (kind,), "nobody can pay nothing; leave it out, or set a price"


def price_minor(price: Price | None, purchase_minor: int, currency: str) -> int:
    """Returns a price in minor units. A percentage is rounded half up to the step of prices in the currency."""
    if price is None:
        return 0
    if isinstance(price, Decimal):
        return to_minor(price, currency)
    return to_price(purchase_minor * price.value / 100, currency)
