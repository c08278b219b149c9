"""Port of a trading platform, which holds the accounts, fills orders and carries out locks.

Prices and lots are Decimal. Money is in minor units of the account's currency. Times are UTC market time. Every call
that changes state has a `key`; repeating it with the same key has no further effect. A call with an unknown outcome
raises `OutcomeUnknown`; repeat it with the same key.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from domain.errors import NotConfigured

Side = Literal["buy", "sell"]
# quotes: the venue streams prices and we mark the positions. states: the venue streams the equity of its accounts.
Marks = Literal["quotes", "states"]
FIRST_READER = "shard/0"


def reader_name(place: int) -> str:
    """Returns the name of a shard as a reader of its platform's stream. `place`: number of the shard among the shards
    of that platform, from 0."""
    return f"shard/{place}"


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SymbolSpec(_Data):
    """P&L of a position = lots x contract_size x price difference, in `quote_currency`."""

    symbol: str
    contract_size: Decimal
    quote_currency: str
    digits: int
    commission_minor_per_lot: int = 0


class PositionState(_Data):
    position_id: str
    symbol: str
    side: Side
    lots: Decimal
    open_price: Decimal
    opened_at: datetime


class AccountSnapshot(_Data):
    """One account as the venue reports it, as of stream sequence `seq`."""

    login: int
    currency: str
    balance_minor: int
    equity_minor: int
    trading_enabled: bool
    positions: tuple[PositionState, ...]
    seq: int


class Tick(_Data):
    kind: Literal["tick"] = "tick"
    seq: int
    at: datetime
    symbol: str
    bid: Decimal
    ask: Decimal


class Deal(_Data):
    """A fill. `entry`: `in` opens or adds to a position, `out` closes it. `reason`: what brought it about; the fill of
    a pending order is `pending_fill`. `profit_minor`: realised P&L before commission. The balance changes by profit +
    commission + swap + fee; costs are negative."""

    kind: Literal["deal"] = "deal"
    seq: int
    at: datetime
    deal_id: str
    login: int
    position_id: str
    symbol: str
    side: Side
    lots: Decimal
    price: Decimal
    entry: Literal["in", "out"]
    profit_minor: int
    commission_minor: int
    swap_minor: int
    balance_minor: int
    reason: Literal["client", "pending_fill", "stop_loss", "take_profit", "dealer"]
    stop_loss: Decimal | None = None  # of the position after the fill
    take_profit: Decimal | None = None  # likewise
    fee_minor: int = 0  # exchange fees, not part of the commission


class StopsChanged(_Data):
    """The stop loss or the take profit of an open position was set, moved or removed without a fill. Both are given as
    they are now; None: there is none."""

    kind: Literal["stops"] = "stops"
    seq: int
    at: datetime
    login: int
    position_id: str
    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None


BalanceKind = Literal["deposit", "payout_hold", "payout_release", "payout_settled", "adjustment"]


class BalanceOperation(_Data):
    """Money in or out of an account without a trade. `payout_settled` has amount 0 and the payout's key."""

    kind: Literal["balance"] = "balance"
    seq: int
    at: datetime
    login: int
    operation: BalanceKind
    key: str
    amount_minor: int
    balance_minor: int


class PendingOrder(_Data):
    """A pending order was placed, or is gone: filled, cancelled or expired. A venue without pending orders sends
    none."""

    kind: Literal["order"] = "order"
    seq: int
    at: datetime
    login: int
    order_id: str
    symbol: str
    side: Side
    lots: Decimal
    change: Literal["placed", "gone"]


class AccountChanged(_Data):
    """An account was opened, or its trading permission changed."""

    kind: Literal["account"] = "account"
    seq: int
    at: datetime
    login: int
    change: Literal["opened", "enabled", "disabled"]


class AccountState(_Data):
    """The venue's own balance and equity of an account. Accounts with marks `states` are judged by it; for accounts
    with marks `quotes` it is compared with our own figures. `estimated`: the venue marks the figures as uncertain."""

    kind: Literal["state"] = "state"
    seq: int
    at: datetime
    login: int
    balance_minor: int
    equity_minor: int
    estimated: bool = False


class Correction(_Data):
    """The venue corrects event `corrects_seq`, a tick or a deal.

    `bid` and `ask`: the correct quote. `change_minor`: the correct total effect of the deal on the balance. When all
    are None, the event is cancelled.
    """

    kind: Literal["correction"] = "correction"
    seq: int
    at: datetime
    corrects_seq: int
    bid: Decimal | None = None
    ask: Decimal | None = None
    change_minor: int | None = None
    reason: str = ""


class ClockMark(_Data):
    """Market time has reached `at`: no earlier event will follow. `flush` asks the reader to store everything before it
    acknowledges."""

    kind: Literal["clock"] = "clock"
    seq: int
    at: datetime
    flush: bool = False


Event = Annotated[
    Tick
    | Deal
    | PendingOrder
    | StopsChanged
    | BalanceOperation
    | AccountChanged
    | AccountState
    | Correction
    | ClockMark,
    Field(discriminator="kind"),
]


class Batch(_Data):
    """Events in sequence order; the last is always a ClockMark. `number` increases by one per batch."""

    number: int
    events: tuple[Event, ...]


class GapInStream(Exception):
    """The venue has deleted the batches asked for. `first`: the oldest batch that it can send."""

    def __init__(self, asked: int, first: int) -> None:
        super().__init__(f"the venue has deleted batches {asked} to {first - 1}")
        self.asked, self.first = asked, first


class PlatformStream(Protocol):
    """The synchronous live feed for one reader, read by one shard's thread. Every reader gets all events."""

    def batches(self, after: int) -> Iterator[Batch | None]:
        """Yields the batches with number > `after`, then live batches; None when idle for about a second. Raises
        GapInStream."""
        ...

    def acknowledge(self, number: int, keep_after: int) -> None:
        """Tells the venue that this reader has judged everything up to batch `number` and placed its locks, and will
        not ask again for batches up to `keep_after`. The venue deletes a batch that no reader may ask for."""
        ...

    def lock(self, login: int, key: str) -> None:
        """Disables trading, closes every position at market and cancels pending orders, in one call. Idempotent."""
        ...

    def lock_many(self, locks: list[tuple[int, str]]) -> None:
        """`lock` for many (login, key) pairs."""
        ...

    def snapshot(self, login: int) -> AccountSnapshot: ...

    def symbols(self) -> list[SymbolSpec]: ...

    def close(self) -> None: ...


class TradingPlatform(Protocol):
    """The asynchronous administration of accounts, used by activities. `name`: the name in the firm's settings."""

    name: str

    async def create_account(self, *, key: str, group: str, currency: str, leverage: int) -> int:
        """Opens a disabled account with balance zero and returns its login. The same key returns the same login."""
        ...

    async def balance_operation(self, login: int, *, key: str, operation: BalanceKind, amount_minor: int) -> None:
        """Pays in or takes out once per (operation, key). Raises Conflict when the account has too little money."""
        ...

    async def find_balance_operation(self, login: int, *, key: str, operation: BalanceKind) -> int | None:
        """Returns the amount moved under this operation and key, in minor units; None if nothing was moved."""
        ...

    async def set_trading(self, login: int, *, key: str, enabled: bool) -> None: ...

    async def lock(self, login: int, *, key: str) -> None:
        """Disables trading and closes every position."""
        ...

    async def close_positions(self, login: int, *, key: str, position_ids: Sequence[str]) -> None:
        """Closes these positions at market and leaves trading enabled. Skips positions that are already closed."""
        ...

    async def snapshot(self, login: int) -> AccountSnapshot: ...

    async def symbols(self) -> list[SymbolSpec]: ...

    async def deals(self, login: int) -> list[Deal]:
        """Returns the account's whole deal history, oldest first."""
        ...

    def open_stream(self, reader: str = FIRST_READER) -> PlatformStream:
        """Returns the feed for `reader`, a stable name. Each reader has its own acknowledgements."""
        ...

    def marks(self, group: str) -> Marks:
        """Returns how the venue reports the worth of accounts in `group`."""
        ...

    async def healthy(self) -> str:
        """Returns a short text on the venue's health. Raises Unavailable when the venue cannot be reached."""
        ...

    async def aclose(self) -> None: ...


class PlatformCapabilities(_Data):
    """The features of a platform. `finds_balance_operations`: it can look up a balance operation by its key. A platform
    without it is refused, because the hold of a payout could not be repaired."""

    finds_balance_operations: bool


@dataclass(frozen=True)
class Platforms:
    """The configured platforms by name. `default`: the platform of a challenge's first account."""

    by_name: Mapping[str, TradingPlatform]
    default: str

    def of(self, name: str) -> TradingPlatform:
        """Returns the platform for an account's column `platform`. Raises NotConfigured."""
        if name not in self.by_name:
            raise NotConfigured("trading platform", name, "PROPOS_PLATFORMS")
        return self.by_name[name]

    async def aclose(self) -> None:
        for platform in self.by_name.values():
            await platform.aclose()
