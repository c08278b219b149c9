"""Events about accounts, and the books as they are after them."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel

from gateway.books import Book
from gateway.facts import Counts
from gateway.told import Stream
from ports import platform as port


class Telling:
    """`touched`: accounts whose books have changed since they were stored."""

    def __init__(self, stream: Stream, counts: Counts) -> None:
        self._stream, self._counts = stream, counts
        self.touched: set[int] = set()

    def emit(self, event: type[BaseModel], at: datetime, **values: Any) -> int:
        """Returns the sequence number of the event. Raises Unreadable; nothing has changed then."""
        seq = self._stream.emit(event, at, **values)
        self._counts.events += 1
        return seq

    def money(self, book: Book, operation: port.BalanceKind, key: str, amount: int, at: datetime) -> None:
        values = {"login": book.login, "operation": operation, "key": key, "amount_minor": amount}
        self.emit(port.BalanceOperation, at, **values, balance_minor=book.balance_minor + amount)
        book.balance_minor += amount
        self.touched.add(book.login)

    def access(self, book: Book, at: datetime, *, enabled: bool, by_limit: bool = False) -> None:
        book.enabled = enabled
        self.touched.add(book.login)
        values = {"change": "enabled" if enabled else "disabled", "by_limit": by_limit}
        self.emit(port.AccountChanged, at, login=book.login, **values)

    def state(self, book: Book, balance: int, equity: int, at: datetime, *, estimated: bool = False) -> None:
        """The venue's own figures."""
        book.stated = book.told = (balance, equity)
        book.estimated = estimated
        self.touched.add(book.login)
        values = {"balance_minor": balance, "equity_minor": equity, "estimated": estimated}
        self.emit(port.AccountState, at, login=book.login, **values)
