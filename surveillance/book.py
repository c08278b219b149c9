"""What surveillance reads, as columns: trades, accounts, orders, symbols, identity facts, prices, calendar.

A book comes from the record or from files; a pattern cannot tell which. All times are int64 microseconds since 1970 in
UTC. Prices and lots are float64, for analysis only. Amounts of money are int64 minor units of the account's currency.
Names are numbered: `account` is a row of `Accounts`, `symbol` a row of `Symbols`.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Final, Literal, Self, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

T = TypeVar("T")
Ints: TypeAlias = npt.NDArray[np.int64]
Indexes: TypeAlias = npt.NDArray[np.int32]
Codes: TypeAlias = npt.NDArray[np.int8]
Floats: TypeAlias = npt.NDArray[np.float64]
Flags: TypeAlias = npt.NDArray[np.bool_]

NEVER: Final = int(np.iinfo(np.int64).max)  # the time of what has not happened, such as the close of an open trade
UNKNOWN: Final = -1  # an index or an amount that nobody told
SECOND: Final = 1_000_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

# What brought a fill about; the code is the place in this tuple.
REASONS: Final = (
    "", "client", "mobile", "web", "expert", "signal", "dealer", "pending", "stop", "target", "stop_out",
)  # fmt: skip
ORDER_TYPES: Final = ("", "market", "limit", "stop", "stop_limit")
ORDER_STATES: Final = ("", "filled", "cancelled", "expired", "placed")
OUTCOMES: Final = ("", "open", "passed", "breached", "expired", "closed")
IDENTITY_KINDS: Final = ("ip", "device", "card", "beneficiary", "address", "document")


class Columns:
    """A table whose array fields all have one element per row; fields that are tuples are lists of names."""

    def __len__(self) -> int:
        return len(next(value for value in self._arrays().values()))

    def _arrays(self) -> dict[str, npt.NDArray[Any]]:
        found = {each.name: getattr(self, each.name) for each in fields(self)}  # type: ignore[arg-type]
        return {name: value for name, value in found.items() if isinstance(value, np.ndarray)}

    def rows(self, chosen: npt.NDArray[Any]) -> Self:
        """Returns the table of these rows only, in this order. `chosen`: flags of all rows, or numbers of rows."""
        taken = {name: value[chosen] for name, value in self._arrays().items()}
        kept = {each.name: getattr(self, each.name) for each in fields(self)}  # type: ignore[arg-type]
        return type(self)(**{**kept, **taken})


@dataclass(frozen=True)
class Trades(Columns):
    """One row per closing part of a position, and one per position that is still open; sorted by (opened, id).

    `side`: +1 bought, -1 sold to open. `lots`: in lots of the main symbol of its synonyms, so that a mini and a micro
    compare. `profit_minor`: net of costs. `reason`: of the close, for what is closed. `stop`, `target`: NaN when there
    is none or it is not told. `expert`, `comment`: rows of `experts`, `comments`; UNKNOWN when not told. `position`:
    rows of `positions`, ids that are unique over accounts ("account/position"). `bid`, `ask`: the venue's own quote at
    the opening, NaN when not told. `listed`: the row of `listed_symbols`, the symbol as the venue names it.
    """

    id: npt.NDArray[np.object_]
    position: Indexes
    account: Indexes
    symbol: Indexes
    listed: Indexes
    side: Codes
    lots: Floats
    opened: Ints
    open_price: Floats
    closed: Ints
    close_price: Floats
    profit_minor: Ints
    stop: Floats
    target: Floats
    reason: Codes
    expert: Indexes
    comment: Indexes
    bid: Floats
    ask: Floats
    positions: tuple[str, ...] = ()
    listed_symbols: tuple[str, ...] = ()
    experts: tuple[str, ...] = ()
    comments: tuple[str, ...] = ()


@dataclass(frozen=True)
class Accounts(Columns):
    """One account is one phase of a challenge. `owner`, `challenge`, `product`, `phase`, `zone`, `currency`: rows of
    the tuples of names. Amounts that the product does not have are UNKNOWN. `ended`: NEVER while it is open."""

    id: npt.NDArray[np.object_]
    owner: Indexes
    challenge: Indexes
    phase: Indexes
    product: Indexes
    currency: Indexes
    zone: Indexes
    size_minor: Ints
    daily_loss_minor: Ints
    max_loss_minor: Ints
    target_minor: Ints
    min_days: Ints
    opened: Ints
    ended: Ints
    outcome: Codes
    owners: tuple[str, ...] = ()
    challenges: tuple[str, ...] = ()
    phases: tuple[str, ...] = ()
    products: tuple[str, ...] = ()
    currencies: tuple[str, ...] = ()
    zones: tuple[str, ...] = ()


@dataclass(frozen=True)
class Orders(Columns):
    """Every order, filled or not; sorted by (placed, id). `position`: a row of `Trades.positions`, UNKNOWN if none."""

    id: npt.NDArray[np.object_]
    account: Indexes
    symbol: Indexes
    side: Codes
    type: Codes
    lots: Floats
    price: Floats
    placed: Ints
    done: Ints
    state: Codes
    position: Indexes


@dataclass(frozen=True)
class Symbols(Columns):
    """The main symbols. Their synonyms (suffixes, mini and micro) have been merged into them. `asset`: its class, such
    as forex, metal, index, crypto. `base`, `quote`: currencies or metals, "" when not told. `group`: symbols of one
    group move together (US30 and US500); UNKNOWN when none is told. `point`: the smallest step of the price.
    `contract_size`, `point`: NaN when not told."""

    name: npt.NDArray[np.object_]
    asset: npt.NDArray[np.object_]
    base: npt.NDArray[np.object_]
    quote: npt.NDArray[np.object_]
    contract_size: Floats
    point: Floats
    group: Indexes


@dataclass(frozen=True)
class Identities(Columns):
    """A fact about who trades an account. `kind`: a place in IDENTITY_KINDS. `value`: a row of `values`, which are
    keyed digests on the record, and the values themselves in files. `owner`: a row of `Accounts.owners`."""

    account: Indexes
    owner: Indexes
    kind: Codes
    value: Ints
    at: Ints
    values: tuple[str, ...] = ()


@dataclass(frozen=True)
class Events(Columns):
    """Economic releases. `impact`: 1 low, 2 medium, 3 high."""

    at: Ints
    currency: npt.NDArray[np.object_]
    impact: Codes
    title: npt.NDArray[np.object_]


Resolution = Literal["tick", "second", "minute"]


@dataclass(frozen=True)
class Quotes(Columns):
    """The quotes of one symbol from an independent source, by time. For ticks low, high and last are equal; for bars
    `at` is the start of the bar, and `bid`, `ask` are its last quotes. `coarser`: the bars of other days."""

    at: Ints
    bid: Floats
    ask: Floats
    bid_low: Floats
    bid_high: Floats
    ask_low: Floats
    ask_high: Floats
    resolution: Resolution = "minute"
    coarser: "Quotes | None" = None


@dataclass(frozen=True)
class Book:
    """Everything that patterns read. What is None was not told, and patterns that need it cannot judge.

    `clock_offset`: how far the clock of the venue of each account is ahead of ours, in microseconds; None: not
    estimated for anybody. `clock_group`: accounts of one group have clocks that can be compared; in group 0 the offset
    is known, in every other it is not; None: all are comparable. `whole`: the whole book that this one is a part of,
    for what is compared with the whole firm. `missing`: fact -> why it is missing, in words, such as "orders": "no file
    of orders was given".
    """

    trades: Trades
    accounts: Accounts
    symbols: Symbols
    orders: Orders | None = None
    identities: Identities | None = None
    events: Events | None = None
    quotes: Mapping[str, Quotes] = field(default_factory=dict)  # by the name of the main symbol
    clock_offset: Ints | None = None
    clock_group: Indexes | None = None
    missing: Mapping[str, str] = field(default_factory=dict)
    whole: "Book | None" = None
    _known: dict[Hashable, Any] = field(default_factory=dict, repr=False, compare=False)

    def listed(self, trade: int) -> str:
        """Returns the symbol of a trade as the venue names it; the main symbol's name where that is not told."""
        row = int(self.trades.listed[trade])
        return self.trades.listed_symbols[row] if row != UNKNOWN else str(self.symbols.name[self.trades.symbol[trade]])

    @property
    def firm(self) -> "Book":
        return self.whole or self

    @property
    def clock_known(self) -> Flags:
        """By account, whether its times can be compared with those of others than its own venue."""
        if self.clock_group is None:
            return np.ones(len(self.accounts), dtype=bool)
        return np.asarray(self.clock_group == 0)

    def once(self, what: Hashable, make: Callable[[], T]) -> T:
        """Returns what `make` returns for this book, made once: several patterns measure the same of the firm."""
        if what not in self._known:
            self._known[what] = make()
        found: T = self._known[what]
        return found

    def of_accounts(self, chosen: Sequence[int] | npt.NDArray[Any]) -> "Book":
        """Returns the book of these accounts (rows of `accounts`) only. Numbers of accounts stay as they are."""
        keep = np.zeros(len(self.accounts), dtype=bool)
        keep[np.asarray(chosen, dtype=np.int64)] = True
        return Book(
            trades=self.trades.rows(keep[self.trades.account]),
            accounts=self.accounts,
            symbols=self.symbols,
            orders=None if self.orders is None else self.orders.rows(keep[self.orders.account]),
            identities=self.identities,
            events=self.events,
            quotes=self.quotes,
            clock_offset=self.clock_offset,
            clock_group=self.clock_group,
            missing=self.missing,
            whole=self.firm,
        )
