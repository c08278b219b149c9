"""The answers of DXtrade as far as we read them. Unknown fields are ignored; an unknown word of a known field is not
readable. Numbers may come as JSON numbers or as texts."""

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from adapters.dxtrade.wire import Status
from domain.money import Currency


def account_name(value: Any) -> Any:
    """An account is "clearing:code", or an object of both."""
    if isinstance(value, dict) and {"clearing", "account"} <= value.keys():
        return f"{value['clearing']}:{value['account']}"
    return value


def _no_bool(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("a number is needed")
    return value


Name = Annotated[str, BeforeValidator(account_name)]
# At most 18 digits on either side of the point, so that all reckoning with it is exact.
Number = Annotated[Decimal, BeforeValidator(_no_bool), Field(allow_inf_nan=False, max_digits=36, decimal_places=18)]
Code = Annotated[str, Field(min_length=1, max_length=200)]
OrderSide = Literal["BUY", "SELL"]


class Shape(BaseModel):
    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)


class Token(Shape):
    session_token: Code


class Account(Shape):
    """Of the administrative interface."""

    clearing_code: str
    account_code: str
    status: Status
    currency: Currency
    metadata: dict[str, Any] | None = None

    @property
    def name(self) -> str:
        return f"{self.clearing_code}:{self.account_code}"

    def entry(self, name: str) -> str:
        """Returns an entry of the metadata, empty if there is none that is a text."""
        found = (self.metadata or {}).get(name)
        return found if isinstance(found, str) else ""


class Moved(Shape):
    """The answer to a deposit, a withdrawal or an adjustment."""

    currency: str
    amount: Number


class Instrument(Shape):
    symbol: Code
    currency: str
    lot_size: Number = Field(gt=0)
    multiplier: Number = Field(default=Decimal(1), gt=0)
    price_increment: Number = Field(gt=0)


class Instruments(Shape):
    instruments: list[Instrument]


class Tradable(Shape):
    """What an account may do in an instrument."""

    symbol: Code
    trading_status: Literal["FULL", "CLOSE_ONLY", "NO"]


class Position(Shape):
    account: Name
    position_code: Code
    symbol: Code
    quantity: Number
    side: OrderSide
    open_price: Number
    open_time: AwareDatetime
    last_update_time: AwareDatetime | None = None
    stop_loss_price: Number | None = None
    take_profit_price: Number | None = None


class Balance(Shape):
    value: Number
    currency: str


class Execution(Shape):
    execution_code: Code
    version: int = 0
    last_quantity: Number = Decimal(0)
    last_price: Number | None = None
    transaction_time: AwareDatetime


class CashTransaction(Shape):
    transaction_code: Code
    type: str
    value: Number
    currency: str
    version: int = 0
    order_code: str | None = None
    trade_code: str | None = None


class Leg(Shape):
    instrument: str | None = None
    position_effect: Literal["OPEN", "CLOSE"] | None = None
    position_code: str | None = None
    side: OrderSide | None = None
    price: Number | None = None
    quantity: Number = Decimal(0)


class Order(Shape):
    account: Name
    version: int = 0
    order_code: Code
    client_order_id: str | None = None
    type: Literal["MARKET", "LIMIT", "STOP"]
    instrument: Code
    status: Literal["ACCEPTED", "WORKING", "CANCELED", "COMPLETED", "EXPIRED", "REJECTED"]
    side: OrderSide
    legs: list[Leg] = Field(min_length=1)
    issue_time: AwareDatetime
    transaction_time: AwareDatetime
    executions: list[Execution] = []
    cash_transactions: list[CashTransaction] = []

    @property
    def position(self) -> str:
        """The position that the order opens or closes. That a new position has the code of its order where the leg
        names none is unverified."""
        return self.legs[0].position_code or self.order_code

    @property
    def opens(self) -> bool:
        return self.legs[0].position_effect != "CLOSE"


class Orders(Shape):
    orders: list[Order]


class CashTransfer(Shape):
    account: Name
    transfer_code: Code
    version: int = 0
    comment: str | None = None
    transaction_time: AwareDatetime
    cash_transactions: list[CashTransaction]


class CashTransfers(Shape):
    cash_transfers: list[CashTransfer]


class Portfolio(Shape):
    account: Name
    version: int
    balances: list[Balance]
    positions: list[Position]
    orders: list[Order] = []


class Portfolios(Shape):
    portfolios: list[Portfolio]


class Metrics(Shape):
    account: Name
    version: int
    equity: Number
    balance: Number


class MetricsList(Shape):
    metrics: list[Metrics]


class DayEnd(Shape):
    account: Name
    equity: Number
    balance: Number
    account_base_currency: str


class DayEnds(Shape):
    eod_metrics: list[DayEnd]
    not_found: list[Name] = []
