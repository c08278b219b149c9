"""A broker's report of a trading history: closed trades, open positions, deals, money in and out, and its summary.

Money is minor units of the account's currency; instants are aware UTC (server times are converted when the report is
read). `row` is the row in the file, counted from 1, so that a person can find it.
"""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from domain.money import Currency

Side = Literal["buy", "sell"]
Ending = Literal["close", "stop_loss", "take_profit"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class StatementPosition(_Part):
    """A trade. It is open while `closed_at` is None: then `profit_minor` is floating and `closing_price` is the market
    price.

    `lots` None: not in the report. Commission, swap and taxes are negative when they are costs.
    """

    row: int
    position_id: Annotated[str, Field(min_length=1)]
    symbol: Annotated[str, Field(min_length=1)]
    side: Side
    lots: Decimal | None
    opened_at: datetime
    opening_price: Decimal | None = None
    closed_at: datetime | None = None
    closing_price: Decimal | None = None
    stop_price: Decimal | None = None
    take_price: Decimal | None = None
    commission_minor: int = 0
    taxes_minor: int = 0
    swap_minor: int = 0
    profit_minor: int = 0
    ending: Ending = "close"

    @property
    def net_minor(self) -> int:
        return self.profit_minor + self.swap_minor + self.commission_minor + self.taxes_minor


class StatementDeal(_Part):
    """A fill. `opens`: it opens a position, else it closes one. `reverses`: it closes the position of its symbol and
    opens one of the other side with the rest (`opens` is False). `stated_balance_minor`: the running balance of the
    report."""

    row: int
    deal_id: str
    order_id: str
    at: datetime
    symbol: str
    side: Side
    opens: bool
    lots: Decimal
    price: Decimal
    commission_minor: int
    fee_minor: int
    swap_minor: int
    profit_minor: int
    stated_balance_minor: int | None = None
    ending: Ending = "close"
    reverses: bool = False

    @property
    def net_minor(self) -> int:
        return self.profit_minor + self.swap_minor + self.commission_minor + self.fee_minor


class BalanceRow(_Part):
    """Money in (positive) or out (negative) without a trade. `credit`: lent money, which is not part of the balance.
    `result`: a cost or an income of trading, such as a commission of the day, a charge or interest: it is no deposit
    and no withdrawal."""

    row: int
    reference: str
    at: datetime
    amount_minor: int
    credit: bool = False
    result: bool = False
    stated_balance_minor: int | None = None


class StatementSummary(_Part):
    """The summary of the report; None: not in the report. `floating_minor` is counted as in the report: MT4 includes
    open swaps, MT5 does not."""

    balance_minor: int | None = None
    equity_minor: int | None = None
    floating_minor: int | None = None
    credit_minor: int | None = None
    closed_profit_minor: int | None = None
    gross_profit_minor: int | None = None
    gross_loss_minor: int | None = None
    deposits_net_minor: int | None = None
    trades: int | None = None


class Statement(_Part):
    """The history of one account, read from `file` with the hash `sha256`. `closed` and `open_positions` are in the
    order of the report; `deals` is empty where a report has only trades. `netting`: the account has one position for
    each symbol; None: the report does not say."""

    source: Literal["mt5", "mt4", "csv"]
    file: str
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    account: Annotated[str, Field(min_length=1)]
    currency: Currency
    zone: str
    printed_at: datetime | None
    closed: tuple[StatementPosition, ...]
    open_positions: tuple[StatementPosition, ...]
    deals: tuple[StatementDeal, ...]
    balance_rows: tuple[BalanceRow, ...]
    cancelled_orders: int = 0
    pending_orders: int = 0
    netting: bool | None = None
    summary: StatementSummary

    @property
    def floating_has_costs(self) -> bool:
        """Whether the floating figure of the report includes swaps and commissions of open positions."""
        return self.source != "mt5"

    @property
    def deals_count(self) -> int:
        """The number of fills (listed, or two for each trade) and of rows of money in and out."""
        fills = len(self.deals) or 2 * len(self.closed) + len(self.open_positions)
        return fills + len(self.balance_rows)
