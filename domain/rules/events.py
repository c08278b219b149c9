"""The events of one account. Every source (live stream, replay, statement, worked example) is converted into these
events, and one engine judges them all.

Instants are aware UTC; money is minor units of the account's currency. `seq` is the sequence number of the source.
`balance_minor` and `equity_minor` are the figures after the event; equity None: unknown because prices are missing.
`positions`: the floating result of every open position; None where the source does not know them one by one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Final, Literal

Side = Literal["buy", "sell"]
Action = Literal["open", "close", "pending_fill", "stop_loss", "take_profit"]
CloseAction = (
    Action | Literal["dealer"]
)  # closed by the venue, for example when an account is paused: not an action of the trader
# the reason that a venue states for an opening, and for a close
OPENED_BY: Final[Mapping[str, Action]] = {"pending_fill": "pending_fill"}
CLOSED_BY: Final[Mapping[str, CloseAction]] = {
    "stop_loss": "stop_loss",
    "take_profit": "take_profit",
    "stop_out": "dealer",
    "dealer": "dealer",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenResult:
    """The floating result of one open position, in minor units."""

    position_id: str
    symbol: str
    pnl_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    seq: int
    at: datetime
    balance_minor: int
    equity_minor: int | None = None
    positions: tuple[OpenResult, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked(Moment):
    """Prices moved, or the money of the account was read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clocked(Moment):
    """Only time has passed. `open_positions`: how many are open, where the source states it."""

    open_positions: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rolled(Moment):
    """The daily reset of the clock for `purpose`. `day` is the day that has ended."""

    day: date | None
    purpose: Literal["trading_day", "loss_snapshot", "both"] = "both"


@dataclass(frozen=True, slots=True, kw_only=True)
class DayEnded(Moment):
    """The result of a whole trading day, right after its `Rolled` (or from a source that knows only whole days).

    `closed_minor`: net result of closed positions. `floating_minor`: result of the positions open at its end; None:
    unknown. `traded`: a position was opened, enlarged or closed.
    """

    day: date | None
    closed_minor: int
    floating_minor: int | None = None
    opening_balance_minor: int | None = None
    opening_equity_minor: int | None = None
    positions_opened: int = 0
    traded: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened(Moment):
    """A position was opened, or added to (`adds`). `value_minor`: its value, if the source knows it. `action`: how
    it was opened. `risk_minor`: the loss if its stop is hit; None without a stop, or if the source does not know
    it."""

    position_id: str
    symbol: str
    side: Side
    lots: Decimal
    price: Decimal | None = None
    stop_price: Decimal | None = None
    take_profit: Decimal | None = None
    risk_minor: int | None = None
    value_minor: int | None = None
    commission_minor: int = 0
    fee_minor: int = 0
    adds: bool = False
    action: Action = "open"


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed(Moment):
    """A position was closed, fully or in part. `pnl_minor` is net of commission and swap; `lots_left` are still open.
    `opened_at` None: unknown."""

    position_id: str
    symbol: str
    side: Side
    lots: Decimal
    lots_left: Decimal = Decimal(0)
    opened_at: datetime | None = None
    pnl_minor: int = 0
    gross_minor: int | None = None
    commission_minor: int = 0
    swap_minor: int = 0
    fee_minor: int = 0
    value_minor: int | None = None
    action: CloseAction = "close"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderPlaced(Moment):
    """A pending order was placed. It does not open a position by itself."""

    order_id: str
    symbol: str
    side: Side | None = None
    lots: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderGone(Moment):
    """A pending order was filled, cancelled or expired."""

    order_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StopChanged(Moment):
    """The stop loss of an open position was set, moved or removed (None)."""

    position_id: str
    stop_price: Decimal | None
    risk_minor: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeProfitChanged(Moment):
    """The take profit of an open position was set, moved or removed (None)."""

    position_id: str
    take_profit: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PaidOut(Moment):
    """Money of a payout: `held` left the account, `released` came back, `settled` was paid (no money moves). A
    source that knows only one moment states `settled` with `leaves` set."""

    gross_minor: int
    stage: Literal["held", "released", "settled"]
    leaves: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutRequested(Moment):
    """The trader asked for a payout. No money moves yet; on a live account the hold is the request."""

    amount_minor: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutApproved(Moment):
    """A payout was approved. No money moves by this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class News(Moment):
    """A scheduled release, announced in advance for `released_at`. `ends_at`: the end of a speech; None: it takes a
    moment. `symbols`: what it affects, as the source names it (currencies or instruments); empty: everything."""

    news_id: str
    released_at: datetime
    ends_at: datetime | None = None
    symbols: tuple[str, ...] = ()
    impact: str = "high"


Event = (
    Marked
    | Clocked
    | Rolled
    | DayEnded
    | Opened
    | Closed
    | OrderPlaced
    | OrderGone
    | StopChanged
    | TakeProfitChanged
    | PaidOut
    | PayoutRequested
    | PayoutApproved
    | News
)
