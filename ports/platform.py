"""Port of a trading platform, which holds the accounts, fills orders and carries out locks.

Prices and lots are Decimal. Money is in minor units of the account's currency. Times are UTC market time.

Every call that changes something has a `key` and ends in one of the five ways of ports/money.py; the same key has its
effect once. A new account and a balance operation are found again by their key. `set_trading`, `lock` and
`close_positions` set a state, which `snapshot` shows. A call that changes nothing raises Unavailable when it cannot be
answered. An answer that cannot be read is no answer.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict, Field

from domain.errors import NotConfigured

Side = Literal["buy", "sell"]
# Who or what brought a fill about. dealer: the venue or the firm. stop_out: the venue, for lack of margin.
FillReason = Literal[
    "client", "mobile", "web", "expert", "pending_fill", "stop_loss", "take_profit", "stop_out", "dealer"
]
OrderType = Literal["market", "limit", "stop", "stop_limit"]
# gone: the venue does not say whether it was filled, cancelled or expired.
OrderChange = Literal["placed", "changed", "filled", "cancelled", "expired", "gone"]
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
    """P&L of a position = lots x contract_size x price difference, in `quote_currency`.

    The others are empty when nobody says them. `asset`: its class, such as forex, metal, index, crypto.
    `base_currency`: the currency or metal that is bought. `synonym_of`: the main symbol of which this is a mini, a
    micro or another listing. `together`: the name of a group of symbols that move together.
    """

    symbol: str
    contract_size: Decimal
    quote_currency: str
    digits: int
    commission_minor_per_lot: int = 0
    asset: str = ""
    base_currency: str = ""
    synonym_of: str = ""
    together: str = ""


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
    reason: FillReason
    stop_loss: Decimal | None = None  # of the position after the fill
    take_profit: Decimal | None = None  # likewise
    fee_minor: int = 0  # exchange fees, not part of the commission
    expert_id: str = ""  # of the program that placed the order; empty if unknown or a person
    comment: str = ""
    bid: Decimal | None = None  # the venue's own quote at the fill
    ask: Decimal | None = None  # likewise
    late: bool = False  # the venue told it after market time had passed its own time; `at` is when it was told


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
    """A pending order was placed or changed, or is no longer there. A venue without pending orders sends none."""

    kind: Literal["order"] = "order"
    seq: int
    at: datetime
    login: int
    order_id: str
    symbol: str
    side: Side
    lots: Decimal
    change: OrderChange
    type: OrderType | None = None  # None: the venue does not say
    price: Decimal | None = None


class AccountChanged(_Data):
    """An account was opened, or its trading permission changed. `by_limit`: the venue disabled it by a loss limit that
    it holds itself."""

    kind: Literal["account"] = "account"
    seq: int
    at: datetime
    login: int
    change: Literal["opened", "enabled", "disabled"]
    by_limit: bool = False


class SymbolHalt(_Data):
    """Trading of a symbol stopped, or goes on. While it is halted, its silence is no sign of a broken feed."""

    kind: Literal["halt"] = "halt"
    seq: int
    at: datetime
    symbol: str
    halted: bool


class AccountState(_Data):
    """The venue's own balance and equity of an account. Accounts with marks `states` are judged by it; for accounts
    with marks `quotes` it is compared with our own figures. `estimated`: they are uncertain, because the venue
    says so or because no deal and no operation explains the balance."""

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
    | SymbolHalt
    | Correction
    | ClockMark,
    Field(discriminator="kind"),
]


class Batch(_Data):
    """Events in sequence order; the last is always a ClockMark. `number` increases by one per batch. A sequence number
    that is missing is a lost event."""

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


class ClockReading(_Data):
    """How far a venue's clock is ahead of ours, in microseconds; None: not estimated yet. The time that its messages
    take is not known, so it may be further ahead by the quickest of them. `simulated`: the venue has a market time of
    its own, which is the firm's, so that nothing is ahead. `samples`: messages that told it."""

    ahead_us: int | None = None
    simulated: bool = False
    samples: int = 0


@runtime_checkable
class TellsClock(Protocol):
    """A stream that also knows the venue's clock. May be called in any thread."""

    def clock(self) -> ClockReading: ...


class TradingPlatform(Protocol):
    """The asynchronous administration of accounts, used by activities. `name`: the name in the firm's settings."""

    name: str

    async def create_account(self, *, key: str, group: str, currency: str, leverage: int) -> int:
        """Opens a disabled account with balance zero and returns its login. The same key returns the same login."""
        ...

    async def find_account(self, key: str) -> int | None:
        """Returns the login of the account that was opened under this key; None if there is none yet."""
        ...

    async def balance_operation(self, login: int, *, key: str, operation: BalanceKind, amount_minor: int) -> None:
        """Pays in or takes out once per (operation, key). Raises Conflict when the account has too little money."""
        ...

    async def find_balance_operation(self, login: int, *, key: str, operation: BalanceKind) -> int | None:
        """Returns the amount moved under this operation and key, in minor units; None if nothing was moved."""
        ...

    async def set_trading(self, login: int, *, key: str, enabled: bool) -> None: ...

    async def lock(self, login: int, *, key: str) -> None:
        """Disables trading and closes every position. A venue that cannot disable trading closes the positions and
        raises RefusedForGood while trading is enabled: a person disables it there."""
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


@dataclass(frozen=True)
class Platforms:
    """The configured platforms by name. The platform of a challenge's first account is that of `by_product`, or
    `default`. `symbols`: for each platform whose symbols have other names than the firm's, what gives the firm's
    name."""

    by_name: Mapping[str, TradingPlatform]
    default: str
    by_product: Mapping[str, str] = field(default_factory=dict)
    symbols: Mapping[str, Callable[[str], str]] = field(default_factory=dict)

    def for_new_account(self, product: str) -> TradingPlatform:
        """Returns the platform on which the first account of a product is opened. Raises NotConfigured."""
        return self.of(self.by_product.get(product, self.default))

    def of(self, name: str) -> TradingPlatform:
        """Returns the platform for an account's column `platform`. Raises NotConfigured."""
        if name not in self.by_name:
            raise NotConfigured("trading platform", name, "PROPOS_PLATFORMS")
        return self.by_name[name]

    def symbol(self, name: str, symbol: str) -> str:
        """Returns the firm's name of a symbol of the platform `name`."""
        named = self.symbols.get(name)
        return symbol if named is None else named(symbol)

    async def aclose(self) -> None:
        for platform in self.by_name.values():
            await platform.aclose()
