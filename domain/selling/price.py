"""The price of an order as lines: fee + add-ons - discounts + taxes = total.

Every amount is in minor units of one currency. A percentage is rounded half up, once for each line.
"""

import hashlib
import json
from collections.abc import Iterable
from decimal import Decimal
from typing import Final, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from domain.money import Currency, half_up

LineKind = Literal["fee", "add_on", "discount", "tax"]
NO_PRICE: Final = "cards take {currency} in steps of ten minor units, so that its third digit is 0"
_ORDER: tuple[LineKind, ...] = ("fee", "add_on", "discount", "tax")


class PriceLine(BaseModel):
    """One line of a price. `code`: what was ordered, the id of an add-on, the code of a coupon, or the name of a tax.
    The amount of a discount is negative."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: LineKind
    code: str
    label: str
    amount_minor: int = Field(strict=True)


class TaxLine(BaseModel):
    """A tax on an order. `pct`: its rate, for people."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    pct: Decimal | None
    amount_minor: int = Field(strict=True, gt=0)


class Quote(BaseModel):
    """The price of an order. `net`: fee and add-ons after discounts, before taxes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    currency: Currency
    lines: tuple[PriceLine, ...]

    @model_validator(mode="after")
    def _is_sound(self) -> Self:
        places = [_ORDER.index(line.kind) for line in self.lines]
        if places != sorted(places) or places.count(0) != 1:
            raise ValueError("a price has one fee, then add-ons, discounts and taxes")
        if any((line.amount_minor < 0) != (line.kind == "discount") and line.amount_minor for line in self.lines):
            raise ValueError("only a discount is negative")
        if self.net_minor <= 0:
            raise ValueError("a price is more than nothing")
        return self

    def sum_of(self, *kinds: LineKind) -> int:
        return sum(line.amount_minor for line in self.lines if line.kind in kinds)

    @property
    def gross_minor(self) -> int:
        """The price before discounts and taxes."""
        return self.sum_of("fee", "add_on")

    @property
    def discount_minor(self) -> int:
        """All discounts, as a positive amount."""
        return -self.sum_of("discount")

    @property
    def net_minor(self) -> int:
        return self.sum_of("fee", "add_on", "discount")

    @property
    def tax_minor(self) -> int:
        return self.sum_of("tax")

    @property
    def total_minor(self) -> int:
        """The amount that the buyer pays."""
        return self.net_minor + self.tax_minor

    @property
    def digest(self) -> str:
        """Returns a hash of every line: an order names the price that the buyer saw."""
        body = json.dumps({"v": 1, **self.model_dump(mode="json")}, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(body.encode()).hexdigest()

    def with_taxes(self, taxes: Iterable[TaxLine]) -> "Quote":
        """Returns the price with these taxes in place of its own."""
        own = tuple(line for line in self.lines if line.kind != "tax")
        return Quote(currency=self.currency, lines=(*own, *(_tax_line(tax) for tax in taxes)))

    @property
    def parts(self) -> "Parts":
        return Parts(self.gross_minor, self.discount_minor, self.tax_minor)


def _tax_line(tax: TaxLine) -> PriceLine:
    label = tax.name if tax.pct is None else f"{tax.name} {tax.pct.normalize():f}%"
    return PriceLine(kind="tax", code=tax.name, label=label, amount_minor=tax.amount_minor)


def plain(code: str, label: str, amount_minor: int, currency: str) -> Quote:
    """Returns the price of something without add-ons, discounts and taxes."""
    return Quote(currency=currency, lines=(PriceLine(kind="fee", code=code, label=label, amount_minor=amount_minor),))


class Parts(NamedTuple):
    """The parts of an amount: the price before discounts, the discounts, the taxes. All positive."""

    gross_minor: int
    discount_minor: int
    tax_minor: int

    @property
    def net_minor(self) -> int:
        return self.gross_minor - self.discount_minor

    @property
    def total_minor(self) -> int:
        return self.net_minor + self.tax_minor

    def first(self, minor: int) -> "Parts":
        """Returns the parts of the first `minor` units of the total: discounts and taxes in proportion, rounded half
        up; the rest is price. All of the total has exactly these parts."""
        discount, tax = (
            half_up(Decimal(part) * minor / self.total_minor) for part in (self.discount_minor, self.tax_minor)
        )
        return Parts(minor - tax + discount, discount, tax)

    def between(self, since: int, until: int) -> "Parts":
        """Returns the parts of the amount from `since` to `until`, so that amounts one after another add up exactly.
        `until` may be smaller: then all parts are negative."""
        before, after = self.first(since), self.first(until)
        return Parts(*(b - a for a, b in zip(before, after, strict=True)))
