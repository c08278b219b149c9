"""Accounts whose equity the venue states itself: its figures are used exactly as given, in place of marked positions.

Their positions are kept without prices, for display and to know whether an account is flat. After a change of balance
the equity of an account with positions is not known until the next state, and the account is not judged. The equity of
a flat account is its balance.
"""

from collections.abc import Mapping
from typing import Final

from domain.errors import StateMissing
from domain.proofs.sources import QuotesSource, Source, StateSource
from domain.rules.marking import Instrument, Position, QuoteBoard
from monitor.columns.account_columns import AccountColumns
from monitor.columns.books import Book
from monitor.columns.marks import Marks
from monitor.columns.roster import AccountRow
from ports.platform import AccountState

_FLAT: Final = QuotesSource()


class StatedMarks(Marks):
    """`Marks` for both kinds of accounts: those admitted with `expect` are valued by the venue's states."""

    def __init__(self, columns: AccountColumns, board: QuoteBoard, instruments: Mapping[str, Instrument]) -> None:
        super().__init__(columns, board, instruments)
        self._states: dict[int, AccountState | None] = {}
        self._unpriced: dict[tuple[str, str, bool], Book] = {}

    def expect(self, row: int) -> None:
        """From now on the venue states the equity of this row."""
        self._states[row] = None

    def stated(self, row: int) -> bool:
        return row in self._states

    def stated_rows(self) -> list[int]:
        return list(self._states)

    def take(self, account: AccountRow, state: AccountState) -> None:
        """Takes the venue's latest state."""
        self._states[account.row] = state
        self.resync(account)

    def last(self, account: AccountRow) -> AccountState | None:
        return self._states.get(account.row)

    def source(self, account: AccountRow) -> Source:
        state = self._states.get(account.row)
        if state is None or not self.columns.positions[account.row]:
            return _FLAT
        return StateSource(
            seq=state.seq, at=state.at, balance_minor=state.balance_minor, equity_minor=state.equity_minor
        )

    def exact(self, account: AccountRow) -> int:
        row = account.row
        if row not in self._states or not self.columns.positions[row]:
            return super().exact(account)
        state = self._states[row]
        if state is None or self.columns.unknown[row]:
            raise StateMissing(f"The venue has not stated the equity of account {account.login} yet.")
        return state.equity_minor

    def resync(self, account: AccountRow) -> None:
        row = account.row
        if row not in self._states:
            super().resync(account)
            return
        state, balance = self._states[row], int(self.columns.balance[row])
        flat = not self.columns.positions[row]
        current = flat or (state is not None and state.balance_minor == balance)
        self.columns.unknown[row] = not current
        if flat:
            self.columns.equity[row] = balance
        elif state is not None and current:
            self.columns.equity[row] = state.equity_minor

    def home(self, account: AccountRow, position: Position, *, loose: bool) -> Book:
        if account.row not in self._states:
            return super().home(account, position, loose=loose)
        key = (position.symbol, account.terms.product.currency, loose)
        book = self._unpriced.get(key)
        if book is None:
            book = self._unpriced[key] = Book(self.arena, self.instruments[key[0]], key[1], loose=loose)
            self._numbered.append(book)
        return book
