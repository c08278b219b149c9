"""Trading of the last weeks in memory, as columns, from which books of some accounts or of the firm are made at once.

Deals come in the order of storing, a few twice. Corrected deals change, cancelled ones go. What is older than the
window is forgotten. A book for a stream, for a payout and for a window are made here by the same functions.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from surveillance.accounts import AccountFacts, accounts_of, clocks_of
from surveillance.book import UNKNOWN, Accounts, Book, Events, Identities, Indexes, Ints
from surveillance.deals import Deals, LeftOut, Names, OrderEvents, StopChanges, orders_of, trades_of
from surveillance.known_symbols import SymbolFacts
from surveillance.stream.growing import Growing
from surveillance.symbols import SymbolTable, symbol_table

Array = npt.NDArray[Any]
Told = Mapping[str, Array]
_WIDE: Final = ("id", "seq", "at", "position", "order", "total")
_NARROW: Final = ("side", "entry", "reason", "change", "type")
_NUMBERED: Final = ("account", "listed", "expert", "comment")
_OVERLAP: Final = 20_000  # newest deals among which one that is read twice is looked for
_MOST_NAMES: Final = 200_000  # of comments and of experts each; further ones count as not told


def _dtypes(kind: type[Any]) -> dict[str, Any]:
    return {
        each.name: np.int64
        if each.name in _WIDE
        else np.int8
        if each.name in _NARROW
        else np.int32
        if each.name in _NUMBERED
        else np.float64
        for each in fields(kind)
    }


@dataclass
class Counts:
    """What was left out or forgotten, since the start."""

    twice: int = 0  # rows that had been read before
    corrected: int = 0
    cancelled: int = 0
    unknown_corrections: int = 0  # of events that are no deal in memory, such as quotes
    forgotten: int = 0  # deals older than the window
    unnamed: int = 0  # comments and experts beyond what is kept
    without_opening: int = 0  # closing deals whose opening is older than the window, in the newest book of the firm
    before_opening: int = 0  # closing deals before their opening, likewise


class _Interned:
    """Texts numbered in the order in which they come. `codes`: of the record."""

    def __init__(self, most: int | None = None) -> None:
        self.texts: list[str] = []
        self.unnamed = 0
        self._codes: dict[int, int] = {0: UNKNOWN}
        self._most = most

    def learn(self, told: Mapping[int, str]) -> bool:
        """Returns whether there is a new text."""
        new = [(code, text) for code, text in told.items() if code not in self._codes]
        for code, text in new:
            full = self._most is not None and len(self.texts) >= self._most
            self._codes[code] = UNKNOWN if full else len(self.texts)
            if full:
                self.unnamed += 1
            else:
                self.texts.append(text)
        return bool(new)

    def rows(self, codes: Array) -> Array:
        found, which = np.unique(codes, return_inverse=True)
        rows = np.array([self._codes.get(int(code), UNKNOWN) for code in found], dtype=np.int32)
        return rows[which] if len(rows) else np.empty(0, dtype=np.int32)


@dataclass
class _Surroundings:
    """What a book has besides trading."""

    identities: Identities | None = None
    events: Events | None = None
    missing: dict[str, str] = field(default_factory=dict)


class Memory:
    """`window`: microseconds of market time that are kept."""

    def __init__(self, window: int) -> None:
        self._window = window
        self.deals: Growing[Deals] = Growing(Deals, _dtypes(Deals))
        self.stops: Growing[StopChanges] = Growing(StopChanges, _dtypes(StopChanges))
        self.orders: Growing[OrderEvents] = Growing(OrderEvents, _dtypes(OrderEvents))
        self.counts = Counts()
        self.around = _Surroundings()
        self.newest = 0  # market time of the newest deal
        self.facts: list[AccountFacts] = []
        self._row_of: dict[int, int] = {}  # by the account's number on the record
        self._rows: dict[int, list[int]] = {}  # numbers of the deals of each account
        self._stop_rows: dict[int, list[int]] = {}
        self._order_rows: dict[int, list[int]] = {}
        self._symbols, self._experts, self._comments = _Interned(), _Interned(_MOST_NAMES), _Interned(_MOST_NAMES)
        self._symbol_facts: tuple[SymbolFacts, ...] = ()
        self._mains: dict[str, int] = {}
        self._table: SymbolTable | None = None
        self._names: Names | None = None
        self._accounts: Accounts | None = None
        self._clocks: tuple[Ints, Indexes] | None = None
        self._firm: Book | None = None
        self._firm_end = 0

    # what is known beside trading

    def know_accounts(self, facts: Iterable[tuple[int, AccountFacts]]) -> None:
        """Adds accounts by their numbers on the record, or replaces what is known of them."""
        for number, each in facts:
            row = self._row_of.setdefault(number, len(self.facts))
            if row == len(self.facts):
                self.facts.append(each)
            else:
                self.facts[row] = each
        self._accounts = self._clocks = None

    def know_symbols(self, facts: Sequence[SymbolFacts]) -> None:
        if tuple(facts) != self._symbol_facts:
            self._symbol_facts, self._table, self._names = tuple(facts), None, None

    def unknown_accounts(self, numbers: Array) -> list[int]:
        """Returns the numbers of accounts that are not known yet."""
        return [number for number in np.unique(numbers).tolist() if number not in self._row_of]

    def numbers(self) -> list[int]:
        """Returns the number on the record of each account."""
        return list(self._row_of)

    def rows_of_owner(self, owner: str) -> list[int]:
        return [row for row, each in enumerate(self.facts) if each.owner == owner]

    # trading

    def add_deals(self, told: Told, names: Mapping[str, Mapping[int, str]], reasons: Sequence[int]) -> range:
        """Adds deals of the record (`store.read.trading.DEALS`) that are new, and returns their numbers. `names`: the
        texts that their codes mean. `reasons`: the code of this module for each code of the record."""
        told = self._new(told, self.deals)
        self._learn(names)
        start = self.deals.end
        account = self._account_rows(told["account"])
        self.deals.add(
            {
                **told,
                "account": account,
                "listed": self._symbols.rows(told["symbol"]),
                "expert": self._experts.rows(told["expert"]),
                "comment": self._comments.rows(told["comment"]),
                "reason": np.asarray(reasons, dtype=np.int8)[told["reason"]],
            }
        )
        _index(self._rows, account, start)
        if len(account):
            self.newest = max(self.newest, int(told["at"].max()))
        return range(start, self.deals.end)

    def add_stops(self, told: Told) -> None:
        told = self._new(told, self.stops)
        account, start = self._account_rows(told["account"]), self.stops.end
        self.stops.add({**told, "account": account})
        _index(self._stop_rows, account, start)

    def add_orders(self, told: Told, names: Mapping[str, Mapping[int, str]]) -> None:
        told = self._new(told, self.orders)
        self._learn(names)
        account, start = self._account_rows(told["account"]), self.orders.end
        self.orders.add({**told, "account": account, "listed": self._symbols.rows(told["symbol"])})
        _index(self._order_rows, account, start)

    def correct(self, platform: str, seq: int, total: int | None) -> int | None:
        """Changes what deal `seq` of a platform did to the balance; None: it never happened. Returns the row of its
        account, None when there is no such deal."""
        places = np.flatnonzero(self.deals.column("seq") == seq)
        accounts = self.deals.column("account")
        for place in places.tolist():
            account = int(accounts[place])
            if account == UNKNOWN or self.facts[account].platform != platform:
                continue
            if total is None:
                accounts[place] = UNKNOWN
                self._rows[account].remove(place + self.deals.first)
                self.counts.cancelled += 1
            else:
                self.deals.column("total")[place] = total
                self.counts.corrected += 1
            return account
        self.counts.unknown_corrections += 1
        return None

    def forget(self) -> None:
        """Removes what is older than the window, once it is a tenth of all."""
        since = self.newest - self._window
        for table, rows in (
            (self.deals, self._rows),
            (self.stops, self._stop_rows),
            (self.orders, self._order_rows),
        ):
            at = table.column("at")
            kept = np.flatnonzero(at >= since)
            gone = int(kept[0]) if len(kept) else len(at)
            if gone * 10 > len(at):
                table.forget(table.first + gone)
                _drop(rows, table.first)
                self.counts.forgotten += gone if rows is self._rows else 0
                self._firm = None if rows is self._rows else self._firm

    # books

    @property
    def names(self) -> Names:
        if self._table is None:
            self._table = symbol_table(self._symbols.texts, self._symbol_facts)
        if self._names is None:
            texts = (tuple(each.texts) for each in (self._symbols, self._experts, self._comments))
            self._names = Names(self._table, *texts)
        return self._names

    def main_symbols(self) -> npt.NDArray[np.int32]:
        """Returns the number of the main symbol of each listed one. Other than rows of a book, it never changes."""
        table = self.names.table
        mains = table.symbols.name[table.main[self.names.in_table]].tolist() if self.names.listed else []
        return np.array([self._mains.setdefault(str(name), len(self._mains)) for name in mains], dtype=np.int32)

    @property
    def accounts(self) -> Accounts:
        if self._accounts is None:
            self._accounts = accounts_of(self.facts)
        return self._accounts

    def making_firm(self) -> Callable[[], tuple[Book, LeftOut]]:
        """Returns what makes the book of the whole firm as it is now. It may run in another thread while rows are
        added; `take_firm` takes its result."""
        deals = self.deals.all()
        deals = deals.rows(deals.account != UNKNOWN)  # a copy: corrections change the table
        return partial(_book, self._scene(), deals, self.stops.all(), self.orders.all(), None)

    def take_firm(self, made: tuple[Book, LeftOut]) -> None:
        self._firm, left = made
        self._firm_end = self.deals.end
        self.counts.without_opening, self.counts.before_opening = left.without_opening, left.before_opening

    @property
    def deals_since_firm(self) -> int:
        """How many deals are newer than the book of the firm."""
        return self.deals.end - self._firm_end

    @property
    def accounts_in_firm(self) -> int:
        """How many accounts the book of the firm knows; those after them came later. 0: there is no book yet."""
        return 0 if self._firm is None else len(self._firm.accounts)

    def firm(self, *, anew: bool = False) -> Book:
        """Returns the book of the whole firm: the one that was made last, or one of what is known now."""
        if anew or self._firm is None or self._firm.symbols is not self.names.table.symbols:
            self.take_firm(self.making_firm()())
        assert self._firm is not None
        return self._firm

    def book_of(self, accounts: Iterable[int]) -> Book:
        """Returns the book of these accounts (rows) as they are now, a part of the book of the firm made last."""
        chosen = sorted({*accounts})
        deals = self.deals.rows(_numbers(self._rows, chosen))
        stops = self.stops.rows(_numbers(self._stop_rows, chosen))
        orders = self.orders.rows(_numbers(self._order_rows, chosen))
        return _book(self._scene(), deals, stops, orders, self.firm())[0]

    def _scene(self) -> "_Scene":
        self._clocks = self._clocks or clocks_of(self.facts)
        return _Scene(self.names, self.accounts, self.around, len(self.orders) > 0, *self._clocks)

    def _new(self, told: Told, table: "Growing[Any]") -> Told:
        """Returns the rows that are not in the table yet, in the order of storing."""
        new = ~np.isin(told["id"], table.column("id")[-_OVERLAP:])
        self.counts.twice += int(np.count_nonzero(~new))
        order = np.argsort(told["id"][new], kind="stable")
        return {name: values[new][order] for name, values in told.items()}

    def _learn(self, names: Mapping[str, Mapping[int, str]]) -> None:
        new = self._symbols.learn(names.get("symbol", {}))
        if new:
            self._table = None
        for texts, column in ((self._experts, "expert_id"), (self._comments, "comment")):
            new |= texts.learn(names.get(column, {}))
        self.counts.unnamed = self._experts.unnamed + self._comments.unnamed
        if new:
            self._names = None

    def _account_rows(self, numbers: Array) -> Array:
        found, which = np.unique(numbers, return_inverse=True)
        rows = np.array([self._row_of[int(number)] for number in found], dtype=np.int32)
        return rows[which] if len(rows) else np.empty(0, dtype=np.int32)


@dataclass(frozen=True)
class _Scene:
    """What is equal in all books made at one time. `tells_orders`: some platform tells orders."""

    names: Names
    accounts: Accounts
    around: _Surroundings
    tells_orders: bool
    clock_offset: Ints
    clock_group: Indexes


def _book(
    scene: _Scene, deals: Deals, stops: StopChanges, orders: OrderEvents, whole: Book | None
) -> tuple[Book, LeftOut]:
    trades, left = trades_of(deals, stops, scene.names)
    book = Book(
        trades=trades,
        accounts=scene.accounts,
        symbols=scene.names.table.symbols,
        orders=orders_of(orders, deals, trades, scene.names) if scene.tells_orders else None,
        identities=scene.around.identities,
        events=scene.around.events,
        clock_offset=scene.clock_offset,
        clock_group=scene.clock_group,
        missing=scene.around.missing,
        whole=whole,
    )
    return book, left


def _index(rows: dict[int, list[int]], accounts: Array, start: int) -> None:
    for number, account in enumerate(accounts.tolist(), start):
        rows.setdefault(account, []).append(number)


def _drop(rows: dict[int, list[int]], first: int) -> None:
    for account in list(rows):
        kept = [number for number in rows[account] if number >= first]
        if kept:
            rows[account] = kept
        else:
            del rows[account]


def _numbers(rows: dict[int, list[int]], accounts: Iterable[int]) -> npt.NDArray[np.int64]:
    return np.array([number for account in accounts for number in rows.get(account, ())], dtype=np.int64)
