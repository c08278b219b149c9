"""What the adapter of a real venue gives to the gateway: the venue's messages as they arrive, and what they say.

The gateway records each message, asks the adapter what it says, drops what it already has, puts the rest into one
order, numbers and journals it, and serves it to the shards as the stream of ports/platform.py. An adapter numbers,
journals and serves nothing.

Prices and lots are Decimal, money is in minor units of the account's currency, times are aware and UTC. A time is the
venue's own; None where the venue gives none: the gateway then takes the time of receipt.
"""

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final, Literal, NamedTuple, Protocol

from ports.platform import AccountSnapshot, BalanceKind, FillReason, OrderChange, OrderType, Side, SymbolSpec

# Channels of the gateway's own messages: a connection begins; the venue's symbols, as JSON.
CONNECTED: Final = "connected"
SYMBOLS: Final = "symbols"


class Message(NamedTuple):
    """One message as it came. `channel`: how it came, in the adapter's words (a socket, the poll of one list)."""

    channel: str
    body: bytes
    received_at: datetime


class Unreadable(Exception):
    """A message, or a part of it, that says nothing the adapter understands. The gateway counts it, keeps it and goes
    on. The text names the field and never repeats a password or a token."""


@dataclass(frozen=True, slots=True)
class Quote:
    symbol: str
    bid: Decimal
    ask: Decimal
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Fill:
    """A deal. `fill_id`: the venue's own id, unique at the venue for ever. `entry`: "in" opens or adds, "out" closes.

    `profit_minor` None: the gateway computes it from the position, which must be quoted in the account's currency.
    `balance_minor` None: the gateway adds up. Costs are negative."""

    fill_id: str
    login: int
    position_id: str
    symbol: str
    side: Side
    lots: Decimal
    price: Decimal
    entry: Literal["in", "out"]
    at: datetime
    profit_minor: int | None
    commission_minor: int = 0
    swap_minor: int = 0
    fee_minor: int = 0
    balance_minor: int | None = None
    reason: FillReason = "client"
    order_id: str = ""
    expert_id: str = ""
    comment: str = ""
    bid: Decimal | None = None
    ask: Decimal | None = None
    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None


@dataclass(frozen=True, slots=True)
class FillCorrected:
    """The venue changed a fill after the fact. `change_minor`: its right total effect on the balance; None: the venue
    deleted it."""

    fill_id: str
    login: int
    change_minor: int | None
    at: datetime
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Order:
    """A pending order was placed or changed, or is no longer there. `version` tells two changes of one order apart: the
    venue's own number or time of the change."""

    order_id: str
    version: str
    login: int
    symbol: str
    side: Side
    lots: Decimal
    change: OrderChange
    at: datetime
    type: OrderType | None = None
    price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Stops:
    """Stop loss and take profit of an open position as they are now; None: there is none."""

    login: int
    position_id: str
    stop_loss: Decimal | None
    take_profit: Decimal | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Money:
    """A balance operation. `operation_id`: the venue's own id. `key`: the key of ours that it carries, else the
    venue's id."""

    operation_id: str
    login: int
    operation: BalanceKind
    key: str
    amount_minor: int
    at: datetime
    balance_minor: int | None = None


@dataclass(frozen=True, slots=True)
class Access:
    """An account was opened, or what it may do changed. `by_limit`: the venue disabled it by a loss limit that it holds
    itself."""

    login: int
    change: Literal["opened", "enabled", "disabled"]
    at: datetime | None
    by_limit: bool = False


@dataclass(frozen=True, slots=True)
class State:
    """Balance and equity as the venue states them. `estimated`: the venue itself calls them uncertain."""

    login: int
    balance_minor: int
    equity_minor: int
    at: datetime | None
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An account whole, as the venue has it now: what the gateway compares its own book with. `account.seq` is 0.
    `cursor`: the last fill that it contains, in the words of `VenueFeed.fills`; empty if the venue does not say."""

    account: AccountSnapshot
    at: datetime | None
    cursor: str = ""


@dataclass(frozen=True, slots=True)
class Halt:
    """Trading of a symbol stopped or goes on."""

    symbol: str
    halted: bool
    at: datetime | None


@dataclass(frozen=True, slots=True)
class VenueTime:
    """The venue is alive, and this is its clock. `stands`: the clock of a simulated venue stands there until the venue
    says more; readers then store what they have judged."""

    at: datetime
    stands: bool = False


@dataclass(frozen=True, slots=True)
class Numbered:
    """The venue numbers its messages, and this one had `number` in `series`. A missing number is a gap."""

    series: str
    number: int


@dataclass(frozen=True, slots=True)
class Cursor:
    """Everything up to `value` of list `name` has been told. The gateway stores it with the facts before it and gives
    it back to `VenueFeed.messages` after a restart."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """Everything that happened before this connection has been told. Until then market time stands still."""


Fact = (
    Quote
    | Fill
    | FillCorrected
    | Order
    | Stops
    | Money
    | Access
    | State
    | Snapshot
    | Halt
    | VenueTime
    | Numbered
    | Cursor
    | CaughtUp
)


class Decoder(Protocol):
    """Says what the messages of one connection say. It has no clock, no network and no randomness: the same messages
    give the same facts, so that a recorded day can be run again."""

    def facts(self, message: Message) -> Iterable[Fact]:
        """Raises Unreadable; facts already yielded count. An unknown field is ignored; an unknown kind of message is
        Unreadable."""
        ...


class VenueFeed(Protocol):
    """The adapter's connection to the venue, for reading. `name`: the name in the firm's settings."""

    name: str

    def messages(self, cursors: Mapping[str, str]) -> AsyncIterator[Message]:
        """Connects and yields messages until the connection breaks.

        First what happened since `cursors` (all there is, without them), then a snapshot of every account, then a
        message that the decoder answers with CaughtUp, then what happens. At least one message every five seconds
        shows that the venue is alive. Raises Unavailable when the connection breaks or the venue is silent; the
        gateway connects again, with a growing pause.
        """
        ...

    def fills(self, login: int, cursor: str) -> AsyncIterator[Message]:
        """Yields messages with the fills and balance operations of one account after `cursor` (all that the venue
        keeps, if empty): asked when the gateway's book and a snapshot differ. Raises Unavailable."""
        ...

    def snapshots(self, logins: Iterable[int]) -> AsyncIterator[Message]:
        """Yields messages with a snapshot of each of these accounts. Raises Unavailable."""
        ...

    def decoder(self) -> Decoder: ...

    async def symbols(self) -> list[SymbolSpec]:
        """Returns what can be traded, under the venue's names. Where the venue does not say the contract size it is 0,
        and where it does not say the currency that is empty: the firm's symbol map says it then."""
        ...

    async def aclose(self) -> None: ...
