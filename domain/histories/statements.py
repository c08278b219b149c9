"""A trading history as a broker's own report tells it: closed trades, open positions, deals, money in and out, and the
summary the report gives of itself.

Money is minor units of the account's currency; instants are aware UTC (the report's server time is translated when it
is read). `row` is where in the file something stands, counted from 1, so that a person can find it.
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
    """A trade. Open while `closed_at` is None: then `profit_minor` floats and `closing_price` is the market's.

    `lots` None: the report does not say. Commission, swap and taxes are negative when they cost.
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
    """A fill. `opens`: into a position, else out of one. `stated_balance_minor` is the report's own running balance."""

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

    @property
    def net_minor(self) -> int:
        return self.profit_minor + self.swap_minor + self.commission_minor + self.fee_minor


class BalanceRow(_Part):
    """Money in (positive) or out (negative) that is no trade. `credit` is lent: it is no part of the balance."""

    row: int
    reference: str
    at: datetime
    amount_minor: int
    credit: bool = False
    stated_balance_minor: int | None = None


class StatementSummary(_Part):
    """What the report says of itself; None where it does not. `floating_minor` is as the report counts it: open
    swaps are a part of it in MT4 and stand beside it in MT5."""

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
    """One account's history, read from `file` whose bytes have `sha256`. `closed` and `open_positions` in the report's order; `deals` empty where a report has
    trades only."""

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
    summary: StatementSummary

    @property
    def floating_has_costs(self) -> bool:
        """Whether the report's floating figure holds the open positions' swaps and commissions."""
        return self.source != "mt5"

    @property
    def deals_count(self) -> int:
        """Fills, as listed or one in and one out for each trade, and the rows of money in and out."""
        fills = len(self.deals) or 2 * len(self.closed) + len(self.open_positions)
        return fills + len(self.balance_rows)
