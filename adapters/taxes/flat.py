"""Taxes at flat rates by country, from a YAML file of the firm:

seller: {name: Example Trading GmbH, address: [Hauptstrasse 1, 10115 Berlin], tax_id: DE123456789}
countries:
  DE: [{name: VAT, pct: "19"}]
  CA: [{name: GST, pct: "5"}, {name: PST, pct: "7", products: [two-step]}]
elsewhere: []

`products`: the products that a tax is due on; without it, on all. `elsewhere`: the taxes of all other countries.
"""

from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from domain.errors import BadInput
from domain.money import ExactDecimal, Money, to_price
from domain.selling.price import TaxLine
from ports.taxes import Seller


class _Rate(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=40)]
    pct: Annotated[ExactDecimal, Field(gt=0, le=100)]
    products: tuple[str, ...] = ()


class TaxTable(BaseModel):
    """The file. It is read once, when the process starts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seller: Seller
    countries: dict[Annotated[str, Field(pattern=r"^[A-Z]{2}$")], tuple[_Rate, ...]]
    elsewhere: tuple[_Rate, ...] = ()


class FlatTaxes:
    def __init__(self, table: TaxTable) -> None:
        self._table = table
        self.seller = table.seller

    async def quote(self, country: str, product: str, net: Money) -> tuple[TaxLine, ...]:
        rates = self._table.countries.get(country, self._table.elsewhere)
        due = [
            (rate, to_price(net.minor * rate.pct / 100, net.currency))
            for rate in rates
            if not rate.products or product in rate.products
        ]
        return tuple(TaxLine(name=rate.name, pct=rate.pct, amount_minor=amount) for rate, amount in due if amount)


def read_table(path: Path) -> FlatTaxes:
    """Raises BadInput that names the field."""
    try:
        data: Any = yaml.safe_load(path.read_text())
        return FlatTaxes(TaxTable.model_validate(data))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise BadInput(f"{path.name} cannot be read: {str(error)[:200]}", field="PROPOS_TAX_TABLE") from error
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        field = ".".join(str(step) for step in first["loc"])
        raise BadInput(
            f"{path.name}: {field or 'the file'}: {first['msg']}.",
            field="PROPOS_TAX_TABLE",
            remedy="docs/selling.md shows a table.",
        ) from error
