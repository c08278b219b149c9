"""The accounts of a shard: what no column holds, by row and by login."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
from typing import Final

import numpy as np
import numpy.typing as npt

from domain.rules.floors import NO_COSTS, Costs, FloorSpec
from domain.rules.marking import Position
from domain.rules.proof import Movement
from domain.rules.state import PhaseTerms
from monitor.columns.account_columns import Columns
from monitor.columns.conduct_state import Standing

_ID: Final = "S30"  # domain.ids: a noun of three letters, an underscore, 26 characters


class Account:
    """One account of a roster: a view, made when it is asked for. `row` is its place in the columns."""

    __slots__ = ("_roster", "row")

    def __init__(self, roster: "Roster", row: int) -> None:
        self._roster, self.row = roster, row

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Account) and (self._roster, self.row) == (other._roster, other.row)

    def __hash__(self) -> int:
        return self.row

    @property
    def account_id(self) -> str:
        return str(self._roster.account_ids[self.row].decode())

    @property
    def challenge_id(self) -> str:
        return str(self._roster.challenge_ids[self.row].decode())

    @property
    def login(self) -> int:
        return int(self._roster.logins[self.row])

    @property
    def terms(self) -> PhaseTerms:
        return self._roster.terms[int(self._roster.columns.terms[self.row])]

    @terms.setter
    def terms(self, terms: PhaseTerms) -> None:
        self._roster.columns.terms[self.row] = self._roster.number_of(terms)

    @property
    def movements(self) -> tuple[Movement, ...]:
        """What moved the balance since the trading day began."""
        return tuple(self._roster.movements.get(self.row, ()))

    def moved(self, movement: Movement) -> None:
        self._roster.movements.setdefault(self.row, []).append(movement)

    def forget_movements(self) -> None:
        """A new trading day begins."""
        self._roster.movements.pop(self.row, None)

    @property
    def trading_days(self) -> tuple[date, ...]:
        return self._roster.days[self.row]

    @trading_days.setter
    def trading_days(self, days: Iterable[date]) -> None:
        self._roster.days[self.row] = self._roster.shared(tuple(days))

    @property
    def offences(self) -> dict[str, int]:
        """How often each rule was broken before, by rule id."""
        return dict(self._roster.offences.get(self.row, ()))

    @offences.setter
    def offences(self, offences: dict[str, int]) -> None:
        if offences:
            self._roster.offences[self.row] = dict(offences)
        else:
            self._roster.offences.pop(self.row, None)

    @property
    def costs(self) -> Costs:
        """What the account has paid since it was opened; followed only where a rule leaves costs out."""
        return self._roster.costs.get(self.row, NO_COSTS)

    @costs.setter
    def costs(self, costs: Costs) -> None:
        if any(not spec.holds.everything for spec in self.terms.specs):
            self._roster.costs[self.row] = costs

    @property
    def standing(self) -> Standing | None:
        """What binds it beside floors that end the phase; None when nothing does."""
        return self._roster.standings.get(self.row)

    @property
    def ended(self) -> bool:
        """Whether a breach or pass was found in this life of the account."""
        return bool(self._roster.ended[self.row])

    @ended.setter
    def ended(self, ended: bool) -> None:
        self._roster.ended[self.row] = ended

    @property
    def holdings(self) -> dict[str, Position]:
        """The open positions by id."""
        return {position.position_id: position for position in self.positions()}

    def positions(self) -> list[Position]:
        return self._roster.positions(self.row)

    def offence(self, rule_id: str) -> int:
        """The number the next breach of this rule gets: 1, or more after a reinstatement."""
        return self.offences.get(rule_id, 0) + 1


class Roster:
    """Every account of a shard, by row and by login; what an account has beside its columns.

    Nothing here is a Python object per account, except what few accounts have: movements of the running day, offences.
    `positions` gives the open positions of a row; `bind` is told of every new number in the table of terms.
    """

    def __init__(
        self,
        columns: Columns,
        positions: Callable[[int], list[Position]],
        bind: Callable[[int, Sequence[FloorSpec]], None],
    ) -> None:
        self.columns, self.positions, self._bind = columns, positions, bind
        self.account_ids: npt.NDArray[np.bytes_] = np.zeros(0, _ID)
        self.challenge_ids: npt.NDArray[np.bytes_] = np.zeros(0, _ID)
        self.logins: npt.NDArray[np.int64] = np.zeros(0, np.int64)
        self.ended: npt.NDArray[np.bool_] = np.zeros(0, np.bool_)
        self.terms: list[PhaseTerms] = []
        self.days: list[tuple[date, ...]] = []
        self.movements: dict[int, list[Movement]] = {}
        self.offences: dict[int, dict[str, int]] = {}
        self.standings: dict[int, Standing] = {}
        self.costs: dict[int, Costs] = {}
        self._shared: dict[tuple[date, ...], tuple[date, ...]] = {}
        self._numbers: dict[int, int] = {}
        self._order: npt.NDArray[np.int32] = np.zeros(0, np.int32)  # rows by login, of all but the newest
        self._sorted: npt.NDArray[np.int64] = np.zeros(0, np.int64)  # their logins
        self._newest: dict[int, int] = {}
        self._gone: set[int] = set()

    def __len__(self) -> int:
        return self.columns.size

    def __getitem__(self, row: int) -> Account:
        if not 0 <= row < self.columns.size:
            raise IndexError(row)
        return Account(self, row)

    def __iter__(self) -> Iterator[Account]:
        for row in range(self.columns.size):
            yield Account(self, row)

    def reserve(self, capacity: int) -> None:
        """Make room for `capacity` accounts in all."""
        self.columns.reserve(capacity)
        fresh = self.columns.capacity - len(self.logins)
        for name in ("account_ids", "challenge_ids", "logins", "ended"):
            column = getattr(self, name)
            setattr(self, name, np.concatenate([column, np.zeros(fresh, column.dtype)]))

    def admit(self, account_id: str, challenge_id: str, login: int, terms: PhaseTerms) -> Account:
        """A new row."""
        row = self.columns.add()
        if row == len(self.logins):
            self.reserve(self.columns.capacity)
        ids = (account_id.encode(), challenge_id.encode())
        if max(map(len, ids)) > self.account_ids.itemsize:
            raise ValueError(f"{account_id} or {challenge_id} is longer than an id may be")
        self.account_ids[row], self.challenge_ids[row] = ids
        self.logins[row] = login
        self.days.append(())
        self.columns.terms[row] = self.number_of(terms)
        self._newest[login] = row
        if len(self._newest) > max(256, row // 8):
            self._sort()
        return Account(self, row)

    def number_of(self, terms: PhaseTerms) -> int:
        """The place of `terms` in the table of terms."""
        number = self._numbers.get(id(terms))
        if number is None:
            number = self._numbers[id(terms)] = len(self.terms)  # the table keeps the object, and so its id
            self.terms.append(terms)
            self._bind(number, terms.specs)
        return number

    def _sort(self) -> None:
        rows = np.setdiff1d(np.arange(self.columns.size), list(self._gone))
        self._order = rows[np.argsort(self.logins[rows])].astype(np.int32)
        self._sorted = self.logins[self._order]
        self._newest.clear()

    def get(self, login: int) -> Account | None:
        """The account of a login; None: not one of this roster's."""
        row = self._newest.get(login)
        if row is None:
            place = int(np.searchsorted(self._sorted, login))
            if place == len(self._sorted) or self._sorted[place] != login:
                return None
            row = int(self._order[place])
        return None if row in self._gone else Account(self, row)

    def forget(self, login: int) -> None:
        """The account of a login is not one of this roster's any more; its row stays, and goes quiet."""
        account = self.get(login)
        if account is None:
            raise KeyError(login)
        self._gone.add(account.row)
        self._newest.pop(login, None)
        self.standings.pop(account.row, None)

    def present(self) -> Iterator[Account]:
        """Every account that was not forgotten."""
        return (account for account in self if account.row not in self._gone)

    def shared(self, days: tuple[date, ...]) -> tuple[date, ...]:
        """One tuple for all accounts that traded on the same days."""
        return self._shared.setdefault(days, days)

    def nbytes(self) -> int:
        """Memory of the columns of this roster."""
        own = (self.account_ids, self.challenge_ids, self.logins, self.ended, self._order, self._sorted)
        return sum(column.nbytes for column in own)


class Logins:
    """A roster by login."""

    def __init__(self, roster: Roster) -> None:
        self._roster = roster

    def get(self, login: int) -> Account | None:
        return self._roster.get(login)

    def __getitem__(self, login: int) -> Account:
        account = self._roster.get(login)
        if account is None:
            raise KeyError(login)
        return account

    def __delitem__(self, login: int) -> None:
        self._roster.forget(login)

    def __contains__(self, login: int) -> bool:
        return self._roster.get(login) is not None

    def values(self) -> Iterator[Account]:
        return self._roster.present()
