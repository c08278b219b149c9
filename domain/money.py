"""Money: integer minor units with a currency. Nothing here accepts a float."""

import re
from decimal import ROUND_HALF_UP, Decimal
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from domain.currencies import DIGITS
from domain.errors import BadInput, UnknownCurrency

# Decimal() accepts much more: exponents, underscores, spaces, digits of every script.
_WRITTEN: Final = re.compile(r"-?[0-9]{1,15}(\.[0-9]+)?")
_MOST_MINOR: Final = 10**15


def known_currency(currency: str) -> str:
    """Returns `currency`. Raises UnknownCurrency."""
    if currency not in DIGITS:
        raise UnknownCurrency(currency)
    return currency


def is_known(currency: str) -> bool:
    """Whether the digits of `currency` are known, so that an amount of it can be written down."""
    return currency in DIGITS


def _currency_field(currency: str) -> str:
    if currency not in DIGITS:
        unknown = UnknownCurrency(currency)
        raise ValueError(f"{unknown.message} {unknown.remedy}")
    return currency


# A field of a definition or a request: an unknown currency is an error of that field.
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3,4}$"), AfterValidator(_currency_field)]


def _no_float(value: Any) -> Any:
    if isinstance(value, float):
        # pydantic makes a field error of a ValueError, but not of a TypeError
        raise ValueError("write this number as a string or an integer; a float cannot hold money exactly")
    return value


ExactDecimal = Annotated[Decimal, BeforeValidator(_no_float), Field(allow_inf_nan=False)]


def exponent(currency: str) -> int:
    """Returns the number of decimal digits of `currency` (USD 2, JPY 0, KWD 3). Raises UnknownCurrency."""
    return DIGITS[known_currency(currency)]


def to_minor(amount: Decimal, currency: str) -> int:
    """Returns `amount` in whole minor units, rounded half up."""
    return int(amount.scaleb(exponent(currency)).quantize(Decimal(1), rounding=ROUND_HALF_UP))


def from_minor(minor: int, currency: str) -> Decimal:
    """Returns minor units as an exact Decimal in major units."""
    return Decimal(minor).scaleb(-exponent(currency))


def price_step(currency: str) -> int:
    """Returns the minor units that a price is a multiple of. Cards take currencies of three digits in steps of ten.
    Raises UnknownCurrency."""
    return 10 if exponent(currency) == 3 else 1


def to_price(minor: Decimal, currency: str) -> int:
    """Returns an amount in minor units as a price: rounded half up to the step of prices in `currency`."""
    step = price_step(currency)
    return half_up(minor / step) * step


def half_up(value: Decimal) -> int:
    """Returns the nearest whole number, ties away from zero, as the rule texts of firms round."""
    return int(value.quantize(Decimal(1), rounding=ROUND_HALF_UP))


def is_exact(amount: Decimal, currency: str) -> bool:
    """Whether `amount` is a whole number of minor units of `currency`, and below the largest allowed amount."""
    return amount.adjusted() < 15 and from_minor(to_minor(amount, currency), currency) == amount


class Money(BaseModel):
    """An immutable amount. Adding two currencies raises; multiplying is `share` and rounds half up. Raises
    UnknownCurrency."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    minor: int = Field(strict=True)
    currency: str

    _known = field_validator("currency")(known_currency)

    @classmethod
    def parse(cls, text: str, currency: str, *, field: str = "amount") -> "Money":
        """Reads "1240.50". Raises BadInput for too many digits, exponents, spaces and anything that is not a number."""
        if not _WRITTEN.fullmatch(text):
            remedy = "Write it like 1240.50, with at most 15 digits before the point."
            raise BadInput(f"{field} {text!r} is not a number.", field=field, remedy=remedy)
        digits = exponent(currency)
        whole, _, fraction = text.partition(".")
        fraction = fraction.rstrip("0")
        minor = int(whole + fraction.ljust(digits, "0"))
        if len(fraction) > digits or abs(minor) > _MOST_MINOR:
            most = f"{from_minor(_MOST_MINOR, currency):,.{digits}f}"
            raise BadInput(
                f"{field} {text!r} is not an amount in {currency}.",
                field=field,
                remedy=f"Use at most {digits} digits after the point, and no more than {most}.",
            )
        return cls(minor=minor, currency=currency)

    @property
    def amount(self) -> Decimal:
        return from_minor(self.minor, self.currency)

    def _same(self, other: "Money") -> None:
        if self.currency != other.currency:
            raise ValueError(f"cannot combine {self.currency} with {other.currency}")

    def __add__(self, other: "Money") -> "Money":
        self._same(other)
        return Money(minor=self.minor + other.minor, currency=self.currency)

    def __sub__(self, other: "Money") -> "Money":
        self._same(other)
        return Money(minor=self.minor - other.minor, currency=self.currency)

    def __neg__(self) -> "Money":
        return Money(minor=-self.minor, currency=self.currency)

    def __lt__(self, other: "Money") -> bool:
        self._same(other)
        return self.minor < other.minor

    def __le__(self, other: "Money") -> bool:
        self._same(other)
        return self.minor <= other.minor

    def share(self, percent: Decimal) -> "Money":
        """Returns `percent` of this amount, rounded half up to the minor unit."""
        return Money(minor=half_up(Decimal(self.minor) * percent / 100), currency=self.currency)

    def __str__(self) -> str:
        return f"{self.amount:,.{exponent(self.currency)}f} {self.currency}"
