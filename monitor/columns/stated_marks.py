"""Accounts whose worth the venue states itself: its figures, exactly as given, stand where others have marked positions.

Their positions are kept, unpriced, for what people see and for whether an account is flat. Once
its balance has changed, what an account with positions is worth is not known until the next state, and nobody judges
it; a flat one is worth its balance.
"""

from collections.abc import Mapping
from typing import Final

from domain.pnl import RateMissing
from domain.rules.marking import Instrument, Position, QuoteBoard
from domain.rules.sheets import QuotesSource, Source, StateSource
from monitor.columns.account_columns import Columns
from monitor.columns.books import Book
from monitor.columns.marks import Marks
from monitor.columns.roster import Account
from ports.platform import AccountState

_FLAT: Final = QuotesSource()


class StateMissing(RateMissing):
    """The venue has not yet said what the account is worth after its last change."""

    type = "state-missing"


class StatedMarks(Marks):
    """`Marks` for both kinds of accounts: those admitted with `expect` are valued by the venue's states."""

    def __init__(self, columns: Columns, board: QuoteBoard, instruments: Mapping[str, Instrument]) -> None:
        super().__init__(columns, board, instruments)
        self._states: dict[int, AccountState | None] = {}
        self._unpriced: dict[tuple[str, str, bool], Book] = {}

    def expect(self, row: int) -> None:
        """The venue states what this row is worth."""
        self._states[row] = None

    def stated(self, row: int) -> bool:
        return row in self._states

    def take(self, account: Account, state: AccountState) -> None:
        """What the venue says now."""
        self._states[account.row] = state
        self.resync(account)

    def last(self, account: Account) -> AccountState | None:
        return self._states.get(account.row)

    def source(self, account: Account) -> Source:
        state = self._states.get(account.row)
        if state is None or not self.columns.positions[account.row]:
            return _FLAT
        return StateSource(
            seq=state.seq, at=state.at, balance_minor=state.balance_minor, equity_minor=state.equity_minor
        )

    def exact(self, account: Account) -> int:
        row = account.row
        if row not in self._states or not self.columns.positions[row]:
            return super().exact(account)
        state = self._states[row]
        if state is None or self.columns.unknown[row]:
            raise StateMissing(f"The venue has not said yet what account {account.login} is worth.")
        return state.equity_minor

    def resync(self, account: Account) -> None:
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

    def restore(self) -> None:
        for book in self._numbered:
            if book not in self._unpriced.values():
                self._quote(book)

    def home(self, account: Account, position: Position, *, loose: bool) -> Book:
        if account.row not in self._states:
            return super().home(account, position, loose=loose)
        key = (position.symbol, account.terms.product.currency, loose)
        book = self._unpriced.get(key)
        if book is None:
            book = self._unpriced[key] = Book(self.arena, self.instruments[key[0]], key[1], loose=loose)
            self._numbered.append(book)
        return book
