"""The parts of MT5's objects that the adapter reads. Values are texts or numbers; other fields are ignored."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Annotated, Any, Final, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from adapters.mt5 import names
from domain.money import from_minor, is_known, to_minor


def _plain(value: Any) -> Any:
    if isinstance(value, bool | float) or (isinstance(value, str) and len(value) > 40):
        raise ValueError("not a number as MT5 writes one")
    return value


Whole = Annotated[int, BeforeValidator(_plain), Field(ge=0, lt=2**64)]
Number = Annotated[Decimal, BeforeValidator(_plain), Field(allow_inf_nan=False)]
Rate = Annotated[Number, Field(ge=0)]
Text = Annotated[str, StringConstraints(max_length=500)]
SymbolName = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,40}$")]
_MOST_DIGITS: Final = 15  # before the point
_LOTS: Final = Decimal(names.VOLUME)
_LOTS_EXACT: Final = Decimal(names.VOLUME_EXACT)


class Shape(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class User(Shape):
    Login: Whole
    Group: Text
    Rights: Whole
    Registration: Whole = 0
    Comment: Text = ""
    Balance: Number = Decimal(0)
    Credit: Number = Decimal(0)
    ApiData: tuple[Mapping[str, Any], ...] = ()


class Account(Shape):
    Login: Whole
    Balance: Number
    Equity: Number


class Group(Shape):
    Group: Text
    Currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3,4}$")]


class Position(Shape):
    Position: Whole
    Login: Whole
    Symbol: SymbolName
    Action: Whole
    Digits: Whole = 0
    TimeCreateMsc: Whole
    TimeUpdateMsc: Whole = 0
    PriceOpen: Rate
    PriceCurrent: Rate
    PriceSL: Rate = Decimal(0)
    PriceTP: Rate = Decimal(0)
    Volume: Whole
    VolumeExt: Whole = 0

    @property
    def lots(self) -> Decimal:
        return lots_of(self.Volume, self.VolumeExt)


class Order(Shape):
    Order: Whole
    Login: Whole
    Symbol: SymbolName
    State: Whole
    Type: Whole
    TimeSetupMsc: Whole
    TimeDoneMsc: Whole = 0
    PriceOrder: Rate
    VolumeInitial: Whole
    VolumeInitialExt: Whole = 0
    VolumeCurrent: Whole = 0
    VolumeCurrentExt: Whole = 0


class Deal(Shape):
    Deal: Whole
    Login: Whole
    Action: Whole
    Entry: Whole = 0
    Reason: Whole = 0
    Order: Whole = 0
    PositionID: Whole = 0
    TimeMsc: Whole
    Symbol: Annotated[str, StringConstraints(pattern=r"^[!-~]{0,40}$")] = ""
    Price: Rate = Decimal(0)
    Volume: Whole = 0
    VolumeExt: Whole = 0
    VolumeClosed: Whole = 0
    VolumeClosedExt: Whole = 0
    Profit: Number
    Storage: Number = Decimal(0)
    Commission: Number = Decimal(0)
    Fee: Number = Decimal(0)
    ExpertID: Whole = 0
    Comment: Text = ""
    MarketBid: Rate = Decimal(0)
    MarketAsk: Rate = Decimal(0)
    PriceSL: Rate = Decimal(0)
    PriceTP: Rate = Decimal(0)

    @property
    def effect(self) -> Decimal:
        """What the deal did to the balance."""
        return self.Profit + self.Storage + self.Commission + self.Fee


class Symbol(Shape):
    Symbol: SymbolName
    Digits: Annotated[Whole, Field(le=12)]
    CurrencyProfit: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3,4}$")]
    ContractSize: Annotated[Number, Field(gt=0)]


class Quote(Shape):
    Symbol: SymbolName
    Bid: Annotated[Rate, Field(gt=0)]
    Ask: Annotated[Rate, Field(gt=0)]
    DatetimeMsc: Whole


S = TypeVar("S", bound=Shape)


def one(shape: type[S], answer: Mapping[str, Any]) -> S:
    """Returns the object of an answer. Raises ValueError."""
    return shape.model_validate(answer.get("answer"))


def rows(answer: Mapping[str, Any]) -> Iterator[object]:
    """Yields the objects of a list, unread. An empty list may be left out. Raises ValueError."""
    found = answer.get("answer", [])
    if not isinstance(found, list):
        raise ValueError("not a list")
    yield from found


def many(shape: type[S], answer: Mapping[str, Any]) -> list[S]:
    """Returns the objects of a list. Raises ValueError if one of them cannot be read."""
    return [shape.model_validate(row) for row in rows(answer)]


def lots_of(volume: int, exact: int) -> Decimal:
    """Returns lots. `exact`: the same volume in smaller units, 0 where the server has none."""
    return Decimal(exact) / _LOTS_EXACT if exact else Decimal(volume) / _LOTS


def minor_of(amount: Decimal, currency: str) -> int:
    """Returns minor units. Raises ValueError for an amount that is not a whole number of them."""
    if is_known(currency) and amount.adjusted() < _MOST_DIGITS:
        minor = to_minor(amount, currency)
        if from_minor(minor, currency) == amount:
            return minor
    raise ValueError(f"not an amount in {currency}")
