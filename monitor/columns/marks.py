"""The live value of a shard's positions: quotes, conversions, profits."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal

import numpy as np

from domain.errors import RateMissing
from domain.pnl import conversion_rate, position_profit_minor
from domain.rules.events import OpenResult
from domain.rules.marking import Instrument, Position, QuoteBoard, conversion_symbol, equity_minor, profit_minor
from monitor.columns import kernels
from monitor.columns.account_columns import AccountColumns, Floats, Ints
from monitor.columns.books import BITS, Arena, Book, Lots, digits_of, fits
from monitor.columns.roster import AccountRow

_PLACE = (1 << BITS) - 1


class Marks:
    """Keeps every book at the board's quotes, and the equity column exact. A position without a price or conversion
    counts as zero; column `unknown` counts those of a row, whose equity is then not judged."""

    def __init__(self, columns: AccountColumns, board: QuoteBoard, instruments: Mapping[str, Instrument]) -> None:
        self.columns, self.board, self.instruments = columns, board, instruments
        self.arena = Arena()
        self._books: dict[tuple[str, str, bool], Book] = {}
        self._numbered: list[Book] = []
        self._affected: dict[str, list[Book]] = {}
        self._fresh: Floats = np.zeros(0)
        self._found: Ints = np.zeros(0, np.int64)
        self._sums: Floats = np.zeros(0)

    def tick(self, symbol: str) -> Ints | None:
        """Marks every position that the board's new quote of `symbol` affects: those in the symbol, and those whose
        profit it converts. Returns the rows beyond an alarm (a row may occur twice), or None."""
        touched, most = [], 0
        for book in self._affected.get(symbol, ()):
            self._quote(book)
            size = book.size
            if size and book.known:
                touched.append(book)
                most += size
        if not touched:
            return None
        if most >= len(self._found) or most > len(self._fresh):
            self._fresh, self._found = np.zeros(most + most // 8), np.zeros(most + most // 8 + 1, np.int64)
        arena, hot = self.arena, self.columns.hot
        books = np.array([book.number for book in touched])
        columns = (arena.rows, arena.units, arena.opens, arena.profits)
        n = kernels.mark(books, arena.spans, arena.quotes, *columns, self._fresh, hot, self._found)
        if n < 0:
            place = 0
            for book in touched:
                for index, exact in self._doubtful(book):
                    self._fresh[place + index] = exact
                place += book.size
            n = kernels.carry(books, arena.spans, arena.rows, arena.profits, self._fresh, hot, self._found)
        return self._found[:n] if n else None

    def losing(self, alarms: Ints, symbol: str | None = None) -> Ints:
        """Returns the rows of the positions whose profit is below the alarm of their row (a row may occur twice). Only
        among the positions that the quote of `symbol` affects; None: among all."""
        books = self._numbered if symbol is None else self._affected.get(symbol, ())
        known = [book for book in books if book.known and book.size]
        numbers = np.array([book.number for book in known], np.int64)
        found, arena = np.zeros(sum(book.size for book in known) + 1, np.int64), self.arena
        n = kernels.losing(numbers, arena.spans, arena.rows, arena.profits, alarms, found)
        return found[:n]

    def results(self, account: AccountRow) -> tuple[OpenResult, ...]:
        """Returns what each open position makes, oldest first. Raises RateMissing while it is not known."""
        currency = account.terms.product.currency
        return tuple(
            OpenResult(
                position_id=position.position_id,
                symbol=position.symbol,
                pnl_minor=profit_minor(position, self.board, self.instruments, currency),
            )
            for position in account.positions()
        )

    def remark(self) -> Ints | None:
        """Marks every position of the shard. Returns the rows beyond an alarm, or None."""
        columns, arena = self.columns, self.arena
        if len(self._sums) != columns.size:
            self._sums = np.zeros(columns.size)
        if columns.size >= len(self._found):
            self._found = np.zeros(columns.size + 1, np.int64)
        known = [book for book in self._numbered if book.known]
        books = np.array([book.number for book in known], np.int64)
        positions = (arena.rows, arena.units, arena.opens, arena.profits)
        if kernels.remark(books, arena.spans, arena.quotes, *positions, self._sums):
            for book in known:
                profit, rows = book.profit, book.rows
                for index, exact in self._doubtful(book):
                    self._sums[rows[index]] += exact - profit[index]
                    profit[index] = exact
        n = kernels.settle(columns.hot, self._sums, self._found)
        return self._found[:n] if n else None

    def _doubtful(self, book: Book) -> Iterator[tuple[int, int]]:
        """Yields (place, exact profit) of the doubtful positions of a book with a known value. When the rate is such
        that many profits are ties there may be hundreds, so quote and rate are looked up once."""
        places = book.doubtful_places().tolist()
        if not places:
            return
        instrument, prices = book.instrument, self.board.prices
        bid, ask = prices[instrument.symbol]
        rate = conversion_rate(instrument.quote_currency, book.currency, prices)
        for index in places:
            side, lots, opened = book.terms(index)
            close = bid if side == "buy" else ask
            yield (
                index,
                position_profit_minor(side, lots, instrument.contract_size, opened, close, rate, book.currency),
            )

    def _profit(self, book: Book, index: int) -> int:
        """The exact profit of one position; 0 while it is not known."""
        if not book.known:
            return 0
        return profit_minor(book.position(index), self.board, self.instruments, book.currency)

    def book(self, symbol: str, currency: str, *, loose: bool = False) -> Book:
        """Returns the book of a symbol and account currency, opened if there is none."""
        book = self._books.get((symbol, currency, loose))
        if book is None:
            instrument = self.instruments[symbol]
            book = self._books[symbol, currency, loose] = Book(self.arena, instrument, currency, loose=loose)
            self._numbered.append(book)
            quoted = instrument.quote_currency
            pairs = {quoted + currency, currency + quoted} if quoted != currency else set()
            for source in pairs | {symbol}:
                self._affected.setdefault(source, []).append(book)
            self._quote(book)
        return book

    def _quote(self, book: Book) -> None:
        """Brings a book to the board's quotes. Without quote or conversion its positions have no known value."""
        prices, quoted = self.board.prices, book.instrument.quote_currency
        quote = prices.get(book.instrument.symbol)
        if quote is None:
            return
        converts = conversion_symbol(quoted, book.currency, prices)
        try:
            rate = conversion_rate(quoted, book.currency, prices)
        except RateMissing:
            return
        first = not book.known
        digits: int | None = 0
        if converts is not None:
            digits = digits_of(rate) if converts == quoted + book.currency else None
        book.quote(quote[0], quote[1], rate, digits)
        if first and book.size:
            np.add.at(self.columns.unknown, book.rows, -1)

    def put(self, account: AccountRow, position: Position) -> None:
        """Adds a position, or changes size or price of an open one."""
        reference = self._find(account, position.position_id)
        loose = not fits(position)
        if reference is not None and self._numbered[reference >> BITS].loose is not loose:
            self._remove(account.row, reference)
            reference = None
        if reference is None:
            book = self.home(account, position, loose=loose)
            index = book.add(account.row, position)
            self.columns.hold(account.row, book.reference(index))
            self.columns.unknown[account.row] += not book.known
        else:
            book, index = self._numbered[reference >> BITS], reference & _PLACE
            book.update(index, position)
        book.profit[index] = self._profit(book, index)
        self.resync(account)

    def load(self, account: AccountRow, positions: Iterable[Position]) -> None:
        """Adds the positions of an account that has none yet."""
        columns, row = self.columns, account.row
        for position in positions:
            book = self.home(account, position, loose=not fits(position))
            index = book.add(row, position)
            columns.hold(row, book.reference(index))
            columns.unknown[row] += not book.known
            if book.known:
                book.profit[index] = profit_minor(position, self.board, self.instruments, book.currency)
        self.resync(account)

    def home(self, account: AccountRow, position: Position, *, loose: bool) -> Book:
        """Returns the book for a position of this account."""
        return self.book(position.symbol, account.terms.product.currency, loose=loose)

    def drop(self, account: AccountRow, position_id: str) -> None:
        reference = self._find(account, position_id)
        if reference is None:
            raise KeyError(position_id)
        self._remove(account.row, reference)
        self.resync(account)

    def _remove(self, row: int, reference: int) -> None:
        columns, book, index = self.columns, self._numbered[reference >> BITS], reference & _PLACE
        columns.release(row, reference)
        columns.unknown[row] -= not book.known
        moved = book.remove(index)
        if moved is not None:
            columns.move(moved, book.reference(book.size), reference)

    def set_exits(self, account: AccountRow, position_id: str, stop: Decimal | None, target: Decimal | None) -> None:
        """Sets the stop loss and the take profit of an open position, as the venue tells them. They are no part of a
        verdict: a shock asks for them. Does nothing for a position that is not held."""
        reference = self._find(account, position_id)
        if reference is not None:
            self._numbered[reference >> BITS].set_exits(reference & _PLACE, float(stop or 0), float(target or 0))

    def exits(self, account: AccountRow) -> dict[str, tuple[float, float]]:
        """Stop loss and take profit of the positions that have one, by position; 0 for none."""
        found = {}
        for reference in self.columns.held(account.row):
            book, index = self._numbered[reference >> BITS], reference & _PLACE
            exits = book.exits(index)
            if any(exits):
                found[book.position_id(index)] = exits
        return found

    def _find(self, account: AccountRow, position_id: str) -> int | None:
        for reference in self.columns.held(account.row):
            if self._numbered[reference >> BITS].position_id(reference & _PLACE) == position_id:
                return reference
        return None

    def positions(self, row: int) -> list[Position]:
        """The exact positions of a row, oldest first: a rebuilt shard has the same order."""
        held = [self._numbered[ref >> BITS].position(ref & _PLACE) for ref in self.columns.held(row)]
        return sorted(held, key=_age)

    def resync(self, account: AccountRow) -> None:
        """Sets equity from balance and profits, after either changed."""
        row = account.row
        total = int(self.columns.balance[row])
        for reference in self.columns.held(row):
            total += int(self._numbered[reference >> BITS].profit[reference & _PLACE])
        self.columns.equity[row] = total

    def exact(self, account: AccountRow) -> int:
        """Returns the equity in minor units as the exact evaluator computes it. Raises RateMissing without a quote or
        conversion."""
        balance = int(self.columns.balance[account.row])
        if not self.columns.positions[account.row]:
            return balance
        return equity_minor(balance, account.positions(), self.board, self.instruments, account.terms.product.currency)

    def valued(self, account: AccountRow) -> Iterator[tuple[Position, Decimal | None, int | None]]:
        """Yields each position, oldest first, with its closing price and profit, both None while they are not known."""
        held = [(self._numbered[ref >> BITS], ref & _PLACE) for ref in self.columns.held(account.row)]
        positions = [(book.position(index), book, index) for book, index in held]
        for position, book, index in sorted(positions, key=lambda each: _age(each[0])):
            if book.known:
                yield position, self.board.closing_price(position.symbol, position.side), int(book.profit[index])
            else:
                yield position, None, None

    def held_symbols(self) -> list[str]:
        return sorted({symbol for (symbol, _, _), book in self._books.items() if book.size})

    def books(self) -> Iterator[Book]:
        yield from self._numbered

    def lots(self) -> Lots:
        """Returns a copy of all positions."""
        arena = self.arena
        columns = (arena.spans.copy(), arena.rows.copy(), arena.units.copy(), arena.profits.copy())
        return Lots(tuple(self._numbered), self.columns.size, *columns)

    def frozen(self, *, tickets: bool) -> tuple[Arena, tuple[Book, ...]]:
        """Returns a copy of all positions that nobody changes; with their names if `tickets`."""
        arena = self.arena.frozen(tickets=tickets)
        return arena, tuple(book.frozen(arena) for book in self._numbered)

    def nbytes(self) -> int:
        """Memory of all books and of the scratch columns in bytes."""
        scratch = self._fresh.nbytes + self._found.nbytes + self._sums.nbytes
        return scratch + self.arena.nbytes()


def _age(position: Position) -> tuple[datetime, str]:
    return position.opened_at, position.position_id
