"""The live value of a shard's positions: quotes, books, conversions."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal

import numpy as np

from domain.pnl import RateMissing, conversion_rate
from domain.rules.marking import Instrument, Position, QuoteBoard, conversion_symbol, equity_minor, profit_minor
from monitor.columns import kernels
from monitor.columns.account_columns import Columns, Floats, Ints
from monitor.columns.books import BITS, Arena, Book, Lots, digits_of, fits
from monitor.columns.roster import Account

_PLACE = (1 << BITS) - 1


class Marks:
    """Keeps every book at the board's quotes, and the equity column exact; a position whose price or conversion is not
    known yet counts as nothing, and its row says in `unknown` that the equity is not to be trusted."""

    def __init__(self, columns: Columns, board: QuoteBoard, instruments: Mapping[str, Instrument]) -> None:
        self.columns, self.board, self.instruments = columns, board, instruments
        self.arena = Arena()
        self._books: dict[tuple[str, str, bool], Book] = {}
        self._numbered: list[Book] = []
        self._affected: dict[str, list[Book]] = {}
        self._fresh: Floats = np.zeros(0)
        self._found: Ints = np.zeros(0, np.int64)
        self._sums: Floats = np.zeros(0)

    def tick(self, symbol: str) -> Ints | None:
        """Mark every position that the board's new quote of `symbol` touches: those in the symbol, and those that it
        converts. Gives the rows that stand beyond an alarm (an account may occur twice); None when there are none."""
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
                for index in book.doubts().tolist():
                    self._fresh[place + index] = self._profit(book, index)
                place += book.size
            n = kernels.carry(books, arena.spans, arena.rows, arena.profits, self._fresh, hot, self._found)
        return self._found[:n] if n else None

    def remark(self) -> Ints | None:
        """Mark every position afresh; gives the rows that stand beyond an alarm."""
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
                for index in book.doubts().tolist():
                    exact = self._profit(book, index)
                    self._sums[rows[index]] += exact - profit[index]
                    profit[index] = exact
        n = kernels.settle(columns.hot, self._sums, self._found)
        return self._found[:n] if n else None

    def _profit(self, book: Book, index: int) -> int:
        """The exact profit of one position; nothing while it is not known."""
        if not book.known:
            return 0
        return profit_minor(book.position(index), self.board, self.instruments, book.currency)

    def restore(self) -> None:
        """Take the board's quotes as the live ones, after a rebuild."""
        for book in self._numbered:
            self._quote(book)

    def book(self, symbol: str, currency: str, *, loose: bool = False) -> Book:
        """The book of a symbol and account currency; a new one when there was none."""
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
        """Bring a book to the board's quotes. Until both are there its positions have no known value."""
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

    def put(self, account: Account, position: Position) -> None:
        """Open a position, or give an open one another size or price."""
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

    def load(self, account: Account, positions: Iterable[Position]) -> None:
        """Take over the positions of an account that holds none yet."""
        columns, row = self.columns, account.row
        for position in positions:
            book = self.home(account, position, loose=not fits(position))
            index = book.add(row, position)
            columns.hold(row, book.reference(index))
            columns.unknown[row] += not book.known
            if book.known:
                book.profit[index] = profit_minor(position, self.board, self.instruments, book.currency)
        self.resync(account)

    def home(self, account: Account, position: Position, *, loose: bool) -> Book:
        """The book that a position of this account belongs in."""
        return self.book(position.symbol, account.terms.product.currency, loose=loose)

    def drop(self, account: Account, position_id: str) -> None:
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

    def _find(self, account: Account, position_id: str) -> int | None:
        for reference in self.columns.held(account.row):
            if self._numbered[reference >> BITS].position_id(reference & _PLACE) == position_id:
                return reference
        return None

    def positions(self, row: int) -> list[Position]:
        """The exact positions of a row, oldest first: an order that a rebuilt shard gives as well."""
        held = [self._numbered[ref >> BITS].position(ref & _PLACE) for ref in self.columns.held(row)]
        return sorted(held, key=_age)

    def resync(self, account: Account) -> None:
        """Equity from balance and profits, after either changed."""
        row = account.row
        total = int(self.columns.balance[row])
        for reference in self.columns.held(row):
            total += int(self._numbered[reference >> BITS].profit[reference & _PLACE])
        self.columns.equity[row] = total

    def exact(self, account: Account) -> int:
        """Equity in minor units as the exact evaluator has it. Raises RateMissing while a quote or conversion is not
        there."""
        balance = int(self.columns.balance[account.row])
        if not self.columns.positions[account.row]:
            return balance
        return equity_minor(balance, account.positions(), self.board, self.instruments, account.terms.product.currency)

    def valued(self, account: Account) -> Iterator[tuple[Position, Decimal | None, int | None]]:
        """Each position, oldest first, with its closing price and profit; None for both while they are not known."""
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
        """Who holds what, as it stands."""
        arena = self.arena
        columns = (arena.spans.copy(), arena.rows.copy(), arena.units.copy(), arena.profits.copy())
        return Lots(tuple(self._numbered), self.columns.size, *columns)

    def nbytes(self) -> int:
        """Memory of all books and of the scratch columns."""
        scratch = self._fresh.nbytes + self._found.nbytes + self._sums.nbytes
        return scratch + self.arena.nbytes()


def _age(position: Position) -> tuple[datetime, str]:
    return position.opened_at, position.position_id
