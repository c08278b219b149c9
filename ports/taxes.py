"""Port of taxes: what is due on an order in a country, and who sells."""

from typing import Final, Protocol

from domain.money import Money
from domain.selling.price import TaxLine
from ports.money import Data


class Seller(Data):
    """The firm on its receipts."""

    name: str = "The firm"
    address: tuple[str, ...] = ()
    tax_id: str = ""


class Taxes(Protocol):
    @property
    def seller(self) -> Seller: ...

    async def quote(self, country: str, product: str, net: Money) -> tuple[TaxLine, ...]:
        """Returns the taxes on `net`, which come on top of it. `country`: two letters, of the buyer. Raises
        Unavailable."""
        ...


class _NoTaxes:
    """No tax is due anywhere."""

    seller = Seller()

    async def quote(self, country: str, product: str, net: Money) -> tuple[TaxLine, ...]:
        return ()


NONE: Final[Taxes] = _NoTaxes()
