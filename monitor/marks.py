"""The live value of a shard's positions: quotes, books, conversions."""

from collections.abc import Iterator, Mapping
from decimal import Decimal

import numpy as np

from domain.pnl import RateMissing, conversion_rate
from domain.rules.marking import Instrument, Position, QuoteBoard, equity_minor, profit_minor
from monitor.accounts import Account
from monitor.books import Book, Holding
from monitor.columns import Columns, Ints


class Marks:
    def __init__(self, columns: Columns, board: QuoteBoard, instruments: Mapping[str, Instrument]) -> None:
        self.columns, self.board, self.instruments = columns, board, instruments
        self._books: dict[tuple[str, str], Book] = {}
        self._affected: dict[str, list[Book]] = {}
        self._converting: dict[str, list[Book]] = {}
        self._floats: dict[str, tuple[float, float]] = {}

    def tick(self, symbol: str, bid: float, ask: float) -> Ints | None:
        """Mark every position the quote touches: those in its symbol, and those it converts. The board has the quote
        already. Gives the rows (an account may occur twice); None when nobody is touched."""
        self._floats[symbol] = (bid, ask)
        for book in self._converting.get(symbol, ()):
            self._convert(book)
        touched = [book for book in self._affected.get(symbol, ()) if book.holdings]
        for book in touched:
            quote = self._floats.get(book.instrument.symbol)
            if quote is not None:
                book.mark(*quote, self.columns.equity)
        if len(touched) == 1:
            return touched[0].rows
        return np.concatenate([book.rows for book in touched]) if touched else None

    def restore(self) -> None:
        """Take the board's quotes as the live ones, after a rebuild."""
        for symbol, (bid, ask) in self.board.prices.items():
            self._floats[symbol] = (float(bid), float(ask))

    def _book(self, symbol: str, currency: str) -> Book:
        book = self._books.get((symbol, currency))
        if book is None:
            instrument = self.instruments[symbol]
            book = self._books[symbol, currency] = Book(instrument, currency)
            quoted = instrument.quote_currency
            pairs = {quoted + currency, currency + quoted} if quoted != currency else set()
            for pair in pairs:
                self._converting.setdefault(pair, []).append(book)
            for source in pairs | {symbol}:
                self._affected.setdefault(source, []).append(book)
            self._convert(book)
        return book

    def _convert(self, book: Book) -> None:
        try:
            rate = conversion_rate(book.instrument.quote_currency, book.currency, self.board.prices)
        except RateMissing:
            rate = Decimal(0)  # worth nothing yet in the columns; the exact evaluator refuses to judge it
        book.factor = float(rate) * book.scale

    def put(self, account: Account, position: Position) -> None:
        """Open a position, or give an open one another size or price."""
        holding = account.holdings.get(position.position_id)
        if holding is None:
            book = self._book(position.symbol, account.terms.product.currency)
            holding = account.holdings[position.position_id] = Holding(position, account.row, book)
            book.add(holding)
        else:
            holding.position = position
            holding.book.update(holding)
        self.resync(account)

    def drop(self, account: Account, position_id: str) -> None:
        holding = account.holdings.pop(position_id)
        holding.book.remove(holding)
        self.resync(account)

    def resync(self, account: Account) -> None:
        """Sum the float equity of an account afresh, so that no error of adding up builds up."""
        total = float(self.columns.balance[account.row])
        for holding in account.holdings.values():
            quote = self._floats.get(holding.position.symbol)
            if quote is not None:
                total += holding.book.revalue(holding, *quote)
        self.columns.equity[account.row] = total
        self.columns.positions[account.row] = len(account.holdings)

    def exact(self, account: Account) -> int:
        """Exact equity in minor units. Raises RateMissing while a quote or conversion is not there."""
        balance = int(self.columns.balance[account.row])
        if not account.holdings:
            return balance
        return equity_minor(balance, account.positions(), self.board, self.instruments, account.terms.product.currency)

    def valued(self, account: Account) -> Iterator[tuple[Position, Decimal | None, int | None]]:
        """Each position with its closing price and profit; None for both while they are not known."""
        for position in account.positions():
            try:
                profit = profit_minor(position, self.board, self.instruments, account.terms.product.currency)
            except RateMissing:
                yield position, None, None
            else:
                yield position, self.board.closing_price(position.symbol, position.side), profit

    def held_symbols(self) -> list[str]:
        return sorted({symbol for (symbol, _), book in self._books.items() if book.holdings})

    def books(self) -> Iterator[Book]:
        yield from self._books.values()
