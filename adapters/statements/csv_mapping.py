"""The mapping of a CSV file: its columns, its way to write numbers and times, and its words."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from adapters.statements.money_words import KNOWN as KNOWN_MONEY
from adapters.statements.money_words import MoneyWords
from adapters.statements.sides import KNOWN, Sides
from domain.histories.statements import Side
from domain.money import Currency, ExactDecimal

Column = str | Annotated[int, Field(ge=1)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SideWords(_Part):
    """The report's words or codes for each side, in any case.

    `money` marks deposits (positive) and withdrawals (negative), `result` costs and income of trading without a trade,
    such as interest. `skip` marks other rows, such as cancelled orders.
    """

    buy: tuple[str, ...] = ()
    sell: tuple[str, ...] = ()
    money: tuple[str, ...] = ()
    result: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()


class Columns(_Part):
    """Each column, by heading or by number from 1. Leave out columns that the file does not have.

    A row is a closed trade or a fill. A trade has `side`, `opened_at` and `closed_at`, or `bought_at` and `sold_at`:
    what came first opened it. A fill has `at`, `side`, `price` and `effect` (whether it opens or closes). `ticket` may
    be several columns. `balance` is the running balance.
    """

    ticket: Column | tuple[Column, ...] | None = None
    symbol: Column
    side: Column | None = None
    profit: Column | None = None
    opened_at: Column | None = None
    closed_at: Column | None = None
    bought_at: Column | None = None
    sold_at: Column | None = None
    at: Column | None = None
    effect: Column | None = None
    lots: Column | None = None
    price: Column | None = None
    opening_price: Column | None = None
    closing_price: Column | None = None
    bought_price: Column | None = None
    sold_price: Column | None = None
    commission: Column | None = None
    taxes: Column | None = None
    swap: Column | None = None
    balance: Column | None = None

    @model_validator(mode="after")
    def _are_enough(self) -> Self:
        if self.bought_at is not None or self.sold_at is not None:
            wanted: tuple[str, ...] = ("bought_at", "sold_at", "profit")
        elif self.effect is not None:
            wanted = ("at", "side", "price", "lots", "profit")
        else:
            wanted = ("side", "closed_at", "profit")
        missing = [name for name in wanted if getattr(self, name) is None]
        if missing:
            raise ValueError(f"{missing[0]}: the mapping must say which column it is")
        return self

    @property
    def given(self) -> dict[str, tuple[Column, ...]]:
        """Returns the columns of each field; only `ticket` may have several."""
        named = ((name, column) for name, column in self if column is not None)
        return {name: column if isinstance(column, tuple) else (column,) for name, column in named}


class Contract(_Part):
    """The contract of a symbol. `market` is its name in the folder of quotes, if that differs."""

    contract_size: Annotated[ExactDecimal, Field(gt=0)]
    quote_currency: Annotated[str, Field(pattern=r"^[A-Z]{3,5}$")]  # prices only, never an account's money
    market: str | None = None


class Mapping(_Part):
    """A CSV needs `columns`; without `currency` and `initial_balance` those of the product are assumed.
    `side_words` and `symbols` work for every report.

    `costs`: how commissions and swaps are written. signed: a cost is negative; positive: a cost is positive;
    unsigned: every figure is a cost. None: signed, and a column of mostly positive commissions is refused.
    `profit_is`: whether the profit of a row contains the costs. None: it does not, and where `asks_profit` is set, a
    file with costs is refused. `heading_row`: its number, where it is not the first with the named columns.
    `date_format`: one or several; of several, the one that reads every row. `zone`: of the times, if not --zone.
    """

    account: Annotated[str, Field(min_length=1)] = "unnamed"
    currency: Currency | None = None
    initial_balance: Annotated[ExactDecimal, Field(gt=0)] | None = None
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    decimal: Literal[".", ","] = "."
    heading: bool = True
    heading_row: Annotated[int, Field(ge=1)] | None = None
    date_format: str | tuple[str, ...] = "%Y.%m.%d %H:%M:%S"
    zone: str | None = None
    costs: Literal["signed", "positive", "unsigned"] | None = None
    profit_is: Literal["gross", "net"] | None = None
    asks_profit: bool = False
    columns: Columns | None = None
    only: dict[str | int, str] = {}
    side_words: SideWords = SideWords()
    symbols: dict[str, Contract] = {}

    @property
    def sides(self) -> Sides:
        words: dict[str, Side] = {word.lower(): "buy" for word in self.side_words.buy}
        words |= {word.lower(): "sell" for word in self.side_words.sell}
        return Sides(KNOWN.words | words)

    @property
    def money_words(self) -> MoneyWords:
        return KNOWN_MONEY.with_words(transfers=self.side_words.money, results=self.side_words.result)
