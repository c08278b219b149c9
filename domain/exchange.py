"""Amounts in another currency, at a rate that is kept as evidence. Rounding is half up and is kept too."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Context, Decimal
from typing import Annotated, Final, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from domain.money import Currency, ExactDecimal, Money, from_minor, to_minor

_COMPUTED: Final = Context(prec=12)  # significant digits of a price that is computed from quoted ones
_LONGEST_SOURCE: Final = 80


class Rate(BaseModel):
    """`price`: units of `bought` for one unit of `sold`. `source`: who quoted it. `at`: when it was quoted."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sold: Currency
    bought: Currency
    price: Annotated[ExactDecimal, Field(gt=0)]
    source: Annotated[str, Field(min_length=1, max_length=_LONGEST_SOURCE)]
    at: AwareDatetime

    @model_validator(mode="after")
    def _two_currencies(self) -> Self:
        if self.sold == self.bought:
            raise ValueError("a rate needs two currencies")
        return self


class Conversion(BaseModel):
    """An amount sold and the amount bought for it. Raises ValueError unless `bought` is `sold` at the rate, rounded
    half up to its minor unit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sold: Money
    bought: Money
    rate: Rate

    @model_validator(mode="after")
    def _at_the_rate(self) -> Self:
        if (self.sold.currency, self.bought.currency) != (self.rate.sold, self.rate.bought):
            raise ValueError("the rate is for other currencies")
        if self.bought.minor != to_minor(self.exact, self.bought.currency):
            raise ValueError(f"{self.sold} at {self.rate.price} is not {self.bought}")
        return self

    @property
    def exact(self) -> Decimal:
        """Returns the amount bought before rounding, in major units."""
        return self.sold.amount * self.rate.price

    @property
    def rounding(self) -> Decimal:
        """Returns what rounding added, in major units of the currency bought. It is at most half a minor unit."""
        return from_minor(self.bought.minor, self.bought.currency) - self.exact

    def evidence(self) -> dict[str, str]:
        """Returns the rate and the rounding as the books keep them."""
        return {
            "sold": self.rate.sold,
            "bought": self.rate.bought,
            "rate": format(self.rate.price, "f"),
            "source": self.rate.source,
            "at": _written(self.rate.at),
            "exact": format(self.exact, "f"),
            "rounding": format(self.rounding, "f"),
        }


def convert(amount: Money, rate: Rate) -> Conversion:
    """Sells `amount` at `rate`. Raises ValueError when the rate is for another currency."""
    bought = Money(minor=to_minor(amount.amount * rate.price, rate.bought), currency=rate.bought)
    return Conversion(sold=amount, bought=bought, rate=rate)


def rate_between(quoted: Iterable[Rate], sold: str, bought: str) -> Rate | None:
    """Returns the rate from `sold` to `bought`: the newest one that is quoted for the pair in either direction, else
    the newest of those through one other currency, which is as old as the older of its two. None: there is none.

    A price that is computed has 12 significant digits, and its source says how it came about.
    """
    known: dict[tuple[str, str], Rate] = {}
    for rate in quoted:
        for each in (rate, _inverted(rate)):
            before = known.get((each.sold, each.bought))
            if before is None or before.at < each.at:
                known[each.sold, each.bought] = each
    direct = known.get((sold, bought))
    if direct is not None:
        return direct
    through = [
        _through(first, known[middle, bought])
        for (start, middle), first in known.items()
        if start == sold and (middle, bought) in known
    ]
    return max(through, key=lambda rate: rate.at, default=None)


def _inverted(rate: Rate) -> Rate:
    return Rate(
        sold=rate.bought,
        bought=rate.sold,
        price=_COMPUTED.divide(Decimal(1), rate.price),
        source=_shortened(rate.source, f", 1/{rate.price:f}"),
        at=rate.at,
    )


def _through(first: Rate, second: Rate) -> Rate:
    return Rate(
        sold=first.sold,
        bought=second.bought,
        price=_COMPUTED.multiply(first.price, second.price),
        source=_shortened(first.source, f", through {first.bought}"),
        at=min(first.at, second.at),
    )


def _shortened(source: str, how: str) -> str:
    return source[: _LONGEST_SOURCE - len(how)] + how if len(how) < _LONGEST_SOURCE else source


def _written(at: datetime) -> str:
    return at.isoformat()
