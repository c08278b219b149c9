"""A trading platform: where the accounts live, fills happen and locks take effect.

Prices and lots are Decimal; money is minor units of the account's currency; times are UTC market
time. Every state-changing call carries a `key`: repeating it has no further effect. A call whose
outcome is unknown raises `OutcomeUnknown`; repeat it with the same key.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from domain.errors import NotConfigured

Side = Literal["buy", "sell"]
# quotes: the venue streams prices, and we mark positions ourselves. states: it streams what its accounts are worth.
Marks = Literal["quotes", "states"]
FIRST_READER = "shard/0"


def reader_name(place: int) -> str:
    """Returns the name under which a platform knows a reader of its stream. `place`: of the shard among the shards of
    that platform, from 0. It does not depend on other platforms."""
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
    """What the venue itself says of one account, as of stream sequence `seq`."""

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
    """A fill. `entry` in opens (or adds) a position, out closes it; `profit_minor` is realised P&L before
    commission; the balance changes by profit + commission + swap (both <= 0 when they cost)."""

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
    reason: Literal["client", "stop_loss", "take_profit", "dealer"]
    stop_loss: Decimal | None = None  # of the position after the fill
    fee_minor: int = 0  # exchange fees, apart from commission; the balance changes by them as well


BalanceKind = Literal["deposit", "payout_hold", "payout_release", "payout_settled", "adjustment"]


class BalanceOperation(_Data):
    """Money in or out of an account that is no trade. `payout_settled` carries amount 0 and the payout's key."""

    kind: Literal["balance"] = "balance"
    seq: int
    at: datetime
    login: int
    operation: BalanceKind
    key: str
    amount_minor: int
    balance_minor: int


class AccountChanged(_Data):
    """An account appeared, or its trading permission changed."""

    kind: Literal["account"] = "account"
    seq: int
    at: datetime
    login: int
    change: Literal["opened", "enabled", "disabled"]


class AccountState(_Data):
    """The venue's own view of an account's money: what an account of marks `states` is judged by, and what ours is
    compared with on one of marks `quotes`. `estimated`: the venue itself is not sure of it."""

    kind: Literal["state"] = "state"
    seq: int
    at: datetime
    login: int
    balance_minor: int
    equity_minor: int
    estimated: bool = False


class Correction(_Data):
    """The venue takes back what it said in event `corrects_seq`, a tick or a deal.

    `bid` and `ask` are what a tick should have been, `change_minor` the whole effect that a deal should have had on the
    balance; all None: the event is cancelled, as if it had never been.
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
    """Market time has reached `at`: nothing earlier will follow. `flush` asks the reader to store all it holds
    before it acknowledges."""

    kind: Literal["clock"] = "clock"
    seq: int
    at: datetime
    flush: bool = False


Event = Annotated[
    Tick | Deal | BalanceOperation | AccountChanged | AccountState | Correction | ClockMark,
    Field(discriminator="kind"),
]


class Batch(_Data):
    """Events in sequence order; the last is always a ClockMark. `number` grows by one per batch."""

    number: int
    events: tuple[Event, ...]


class GapInStream(Exception):
    """The venue no longer holds the batches asked for; `first` is the oldest it can send."""

    def __init__(self, asked: int, first: int) -> None:
        super().__init__(f"batches {asked}..{first - 1} are gone at the venue")
        self.asked, self.first = asked, first


class PlatformStream(Protocol):
    """The synchronous live feed as one reader sees it, read by one shard's thread. Every reader gets all events."""

    def batches(self, after: int) -> Iterator[Batch | None]:
        """Batches with number > `after`, then live ones; None when idle for about a second. Raises GapInStream."""
        ...

    def acknowledge(self, number: int, keep_after: int) -> None:
        """This reader has judged everything up to `number`, its locks are placed; it never asks again for batches up to
        `keep_after`. The venue forgets a batch when no reader may ask for it."""
        ...

    def lock(self, login: int, key: str) -> None:
        """Disable trading, close every position at market and cancel pending orders, in one call. Idempotent."""
        ...

    def lock_many(self, locks: list[tuple[int, str]]) -> None:
        """`lock` for many (login, key) pairs."""
        ...

    def snapshot(self, login: int) -> AccountSnapshot: ...

    def symbols(self) -> list[SymbolSpec]: ...

    def close(self) -> None: ...


class TradingPlatform(Protocol):
    """The asynchronous administration of accounts, used by activities. `name` is the firm's own for this platform."""

    name: str

    async def create_account(self, *, key: str, group: str, currency: str, leverage: int) -> int:
        """Open a disabled account without money and give its login. The same key gives the same login."""
        ...

    async def balance_operation(self, login: int, *, key: str, operation: BalanceKind, amount_minor: int) -> None:
        """Pay in or take out once per (operation, key). Raises Conflict when the account holds too little."""
        ...

    async def find_balance_operation(self, login: int, *, key: str, operation: BalanceKind) -> int | None:
        """The amount that was moved under this operation and key, in minor units; None while nothing was."""
        ...

    async def set_trading(self, login: int, *, key: str, enabled: bool) -> None: ...

    async def lock(self, login: int, *, key: str) -> None:
        """Disable trading and flatten."""
        ...

    async def close_positions(self, login: int, *, key: str, position_ids: Sequence[str]) -> None:
        """Close these positions at market and leave the account trading; those that are closed already are left out."""
        ...

    async def snapshot(self, login: int) -> AccountSnapshot: ...

    async def symbols(self) -> list[SymbolSpec]: ...

    async def deals(self, login: int) -> list[Deal]:
        """The account's whole deal history, oldest first."""
        ...

    def open_stream(self, reader: str = FIRST_READER) -> PlatformStream:
        """The feed for `reader`, a stable name: what it acknowledges is its own."""
        ...

    def marks(self, group: str) -> Marks:
        """How the venue tells what accounts of `group` are worth."""
        ...

    async def healthy(self) -> str:
        """A short word on the venue's health; raises Unavailable when it cannot be reached."""
        ...

    async def aclose(self) -> None: ...


class PlatformCapabilities(_Data):
    """What a platform can do. `finds_balance_operations`: it finds a balance operation by its key; without that a
    payout's hold cannot be repaired, and the platform is refused."""

    finds_balance_operations: bool


@dataclass(frozen=True)
class Platforms:
    """The configured platforms by name. `default`: where a challenge gets its first account."""

    by_name: Mapping[str, TradingPlatform]
    default: str

    def of(self, name: str) -> TradingPlatform:
        """The platform of an account's column `platform`; raises NotConfigured."""
        if name not in self.by_name:
            raise NotConfigured("trading platform", name, "PROPOS_PLATFORMS")
        return self.by_name[name]

    async def aclose(self) -> None:
        for platform in self.by_name.values():
            await platform.aclose()
