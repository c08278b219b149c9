"""The accounts of a shard, by row and by login: one interface to the columns, and what no column holds."""

from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime
from typing import Final

import numpy as np
import numpy.typing as npt

from domain.places import FIRST
from domain.products.phase_terms import PhaseTerms
from domain.proofs.departure import Place
from domain.proofs.money import Movement
from domain.proofs.sheets import ContinuesPart
from domain.rules import history
from domain.rules.floors import NO_COSTS, Costs
from domain.rules.marking import Position
from domain.rules.state import AccountRules
from monitor.columns import kernels
from monitor.columns.account_columns import AccountColumns, Ints, instant, microseconds
from monitor.columns.conduct_state import ConductState
from monitor.columns.rule_columns import RuleColumns

_ID: Final = "S30"  # domain.keys: a noun of three letters, an underscore, 26 characters


class AccountRow:
    """One account of a roster: a view of its `row`, made when it is asked for."""

    __slots__ = ("_roster", "row")

    def __init__(self, roster: "Roster", row: int) -> None:
        self._roster, self.row = roster, row

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AccountRow) and (self._roster, self.row) == (other._roster, other.row)

    def __hash__(self) -> int:
        return self.row

    # who it is, and its terms

    @property
    def account_id(self) -> str:
        return str(self._roster.account_ids[self.row].decode())

    @property
    def challenge_id(self) -> str:
        return str(self._roster.challenge_ids[self.row].decode())

    @property
    def trader_id(self) -> str:
        return self._roster.trader_ids[int(self._roster.traders[self.row])]

    @property
    def login(self) -> int:
        return int(self._roster.logins[self.row])

    @property
    def terms(self) -> PhaseTerms:
        return self._roster.terms[int(self._roster.columns.terms[self.row])]

    @terms.setter
    def terms(self, terms: PhaseTerms) -> None:
        self._roster.columns.terms[self.row] = self._roster.number_of(terms)
        self._roster.rules.warned[:, self.row] = False  # by the place of a level: another one may have it now

    @property
    def place(self) -> Place | None:
        """Where it came from; None for an account that never changed its platform."""
        return self._roster.places.get(self.row)

    @place.setter
    def place(self, place: Place) -> None:
        self._roster.places[self.row] = place

    @property
    def place_number(self) -> int:
        return FIRST if self.place is None else self.place.number

    def recorded_seq(self, seq: int) -> int:
        """The number under which the record keeps event `seq`: higher than those of all earlier places."""
        return seq if self.place is None else seq + self.place.base

    @property
    def continues(self) -> ContinuesPart | None:
        """What its proofs say of the departure from its last place."""
        return None if self.place is None else self.place.continues

    # money

    @property
    def balance_minor(self) -> int:
        return int(self._roster.columns.balance[self.row])

    @balance_minor.setter
    def balance_minor(self, minor: int) -> None:
        self._roster.columns.balance[self.row] = minor

    @property
    def equity_minor(self) -> int:
        """As marked last; see `value_known`."""
        return int(self._roster.columns.equity[self.row])

    @property
    def value_known(self) -> bool:
        """Returns whether every open position has a quote and a conversion, or the venue has stated the equity."""
        return not self._roster.columns.unknown[self.row]

    @property
    def beyond_alarm(self) -> bool:
        columns, row = self._roster.columns, self.row
        return not columns.low_alarm[row] < columns.equity[row] <= columns.high_alarm[row]

    @property
    def opening(self) -> tuple[int, datetime | None, int]:
        """(balance in minor units, time, sequence number) at the start of the trading day."""
        columns, row = self._roster.columns, self.row
        return int(columns.opening[row]), instant(int(columns.opening_at[row])), int(columns.opening_seq[row])

    @opening.setter
    def opening(self, opening: tuple[int, datetime | None, int]) -> None:
        columns, row = self._roster.columns, self.row
        columns.opening[row], columns.opening_seq[row] = opening[0], opening[2]
        columns.opening_at[row] = microseconds(opening[1])

    @property
    def movements(self) -> tuple[Movement, ...]:
        """What changed the balance since the trading day began."""
        return tuple(self._roster.movements.get(self.row, ()))

    def add_movement(self, movement: Movement) -> None:
        self._roster.movements.setdefault(self.row, []).append(movement)

    def clear_movements(self) -> None:
        self._roster.movements.pop(self.row, None)

    @property
    def costs(self) -> Costs:
        """What the account has paid since it was opened; followed only where a rule does not count costs."""
        return self._roster.costs.get(self.row, NO_COSTS)

    @costs.setter
    def costs(self, costs: Costs) -> None:
        if any(not spec.holds.everything for spec in self.terms.specs):
            self._roster.costs[self.row] = costs

    # rules

    @property
    def rules(self) -> AccountRules:
        """The state of its levels; setting it does not set the alarms."""
        return self._roster.rules.get(self.row)

    @rules.setter
    def rules(self, rules: AccountRules) -> None:
        self._roster.rules.put(self.row, rules)

    @property
    def conduct(self) -> ConductState | None:
        """None when nothing but levels that end the phase binds it."""
        return self._roster.conduct_states.get(self.row)

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

    def next_offence(self, rule_id: str) -> int:
        """The number of the next breach of this rule: 1, or more after a reinstatement."""
        return self.offences.get(rule_id, 0) + 1

    def warn_once(self, level: int) -> bool:
        """Returns whether no warning of this level was given since its last reset; from now on one was."""
        warned = self._roster.rules.warned
        first = not warned[level, self.row]
        warned[level, self.row] = True
        return first

    # positions

    @property
    def open_positions(self) -> int:
        return int(self._roster.columns.positions[self.row])

    def positions(self) -> list[Position]:
        return self._roster.positions(self.row)

    def positions_by_id(self) -> dict[str, Position]:
        return {position.position_id: position for position in self.positions()}

    # its life

    @property
    def judged(self) -> bool:
        return bool(self._roster.columns.judged[self.row])

    @judged.setter
    def judged(self, judged: bool) -> None:
        self._roster.columns.judged[self.row] = judged

    @property
    def ended(self) -> bool:
        """Returns whether a breach or pass was found in this life of the account."""
        return bool(self._roster.ended[self.row])

    @ended.setter
    def ended(self, ended: bool) -> None:
        self._roster.ended[self.row] = ended

    @property
    def synced(self) -> int:
        """Events up to this number are contained in what was loaded."""
        return int(self._roster.columns.synced[self.row])

    @synced.setter
    def synced(self, seq: int) -> None:
        self._roster.columns.synced[self.row] = seq

    def contains(self, seq: int) -> bool:
        """Returns whether event `seq` is contained in what was loaded: it must not be applied or judged again."""
        return seq <= self.synced

    def mark_changed(self) -> None:
        """The next checkpoint stores the account."""
        self._roster.columns.dirty[self.row] = True

    def take_out(self) -> None:
        """Another shard judges the account from here on: nothing of it is judged or stored here any more."""
        columns, row = self._roster.columns, self.row
        columns.judged[row] = columns.dirty[row] = False
        columns.hot[row, kernels.TOUCHED] = 0


class Roster:
    """Every account of a shard. `positions` returns the open positions of a row.

    Nothing here is a Python object per account, except what few accounts have: movements of the running day, offences,
    conduct states.
    """

    def __init__(self, columns: AccountColumns, rules: RuleColumns, positions: Callable[[int], list[Position]]) -> None:
        self.columns, self.rules, self.positions = columns, rules, positions
        self.account_ids: npt.NDArray[np.bytes_] = np.zeros(0, _ID)
        self.challenge_ids: npt.NDArray[np.bytes_] = np.zeros(0, _ID)
        self.logins: npt.NDArray[np.int64] = np.zeros(0, np.int64)
        self.ended: npt.NDArray[np.bool_] = np.zeros(0, np.bool_)
        self.traders: npt.NDArray[np.int32] = np.zeros(0, np.int32)  # a number in `trader_ids`
        self.trader_ids: list[str] = []
        self._trader_numbers: dict[str, int] = {}
        self.terms: list[PhaseTerms] = []
        self.days: list[tuple[date, ...]] = []
        self.movements: dict[int, list[Movement]] = {}
        self.offences: dict[int, dict[str, int]] = {}
        self.conduct_states: dict[int, ConductState] = {}
        self.places: dict[int, Place] = {}
        self.costs: dict[int, Costs] = {}
        self._shared: dict[tuple[date, ...], tuple[date, ...]] = {}
        self._numbers: dict[int, int] = {}
        self._order: npt.NDArray[np.int32] = np.zeros(0, np.int32)  # rows by login, of all but the newest
        self._sorted: npt.NDArray[np.int64] = np.zeros(0, np.int64)  # their logins
        self._newest: dict[int, int] = {}
        self._gone: set[int] = set()

    def __len__(self) -> int:
        return self.columns.size

    def __getitem__(self, row: int) -> AccountRow:
        if not 0 <= row < self.columns.size:
            raise IndexError(row)
        return AccountRow(self, row)

    def __iter__(self) -> Iterator[AccountRow]:
        for row in range(self.columns.size):
            yield AccountRow(self, row)

    def reserve(self, capacity: int) -> None:
        """Makes room for `capacity` accounts in all."""
        self.columns.reserve(capacity)
        fresh = self.columns.capacity - len(self.logins)
        for name in ("account_ids", "challenge_ids", "logins", "ended", "traders"):
            column = getattr(self, name)
            setattr(self, name, np.concatenate([column, np.zeros(fresh, column.dtype)]))

    def admit(
        self, account_id: str, challenge_id: str, login: int, terms: PhaseTerms, trader_id: str = ""
    ) -> AccountRow:
        """Adds a row for the account."""
        row = self.columns.add()
        if row == len(self.logins):
            self.reserve(self.columns.capacity)
        ids = (account_id.encode(), challenge_id.encode())
        if max(map(len, ids)) > self.account_ids.itemsize:
            raise ValueError(f"{account_id} or {challenge_id} is longer than an id may be")
        self.account_ids[row], self.challenge_ids[row] = ids
        self.logins[row] = login
        number = self._trader_numbers.setdefault(trader_id, len(self.trader_ids))
        if number == len(self.trader_ids):
            self.trader_ids.append(trader_id)
        self.traders[row] = number
        self.days.append(())
        self.columns.terms[row] = self.number_of(terms)
        self._newest[login] = row
        if len(self._newest) > max(256, row // 8):
            self._sort()
        return AccountRow(self, row)

    def number_of(self, terms: PhaseTerms) -> int:
        """The place of `terms` in the table of terms."""
        number = self._numbers.get(id(terms))
        if number is None:
            number = self._numbers[id(terms)] = len(self.terms)  # the table keeps the object, and so its id
            self.terms.append(terms)
            self.rules.bind(number, terms.specs, exact=history.follows_equity(terms.history_rules))
        return number

    def _sort(self) -> None:
        rows = np.setdiff1d(np.arange(self.columns.size), list(self._gone))
        self._order = rows[np.argsort(self.logins[rows])].astype(np.int32)
        self._sorted = self.logins[self._order]
        self._newest.clear()

    def find(self, login: int) -> AccountRow | None:
        """The account of a login; None when this shard has none."""
        row = self._newest.get(login)
        if row is None:
            place = int(np.searchsorted(self._sorted, login))
            if place == len(self._sorted) or self._sorted[place] != login:
                return None
            row = int(self._order[place])
        return None if row in self._gone else AccountRow(self, row)

    def by_login(self, login: int) -> AccountRow:
        """The account of a login. Raises KeyError when this shard has none."""
        account = self.find(login)
        if account is None:
            raise KeyError(login)
        return account

    def remove(self, account: AccountRow) -> None:
        """Another shard has the account from here on. Its row stays, and is not found any more."""
        account.take_out()
        self._gone.add(account.row)
        self._newest.pop(account.login, None)
        self.conduct_states.pop(account.row, None)
        self.places.pop(account.row, None)

    def counting(self) -> npt.NDArray[np.bool_]:
        """Which rows are accounts of this shard that have not ended."""
        here: npt.NDArray[np.bool_] = ~self.ended[: self.columns.size]
        if self._gone:
            here[list(self._gone)] = False
        return here

    def present(self) -> Iterator[AccountRow]:
        """Every account that was not removed."""
        return (account for account in self if account.row not in self._gone)

    def in_order_of_login(self, rows: Iterable[int]) -> list[AccountRow]:
        """The accounts of `rows` in an order that does not depend on which was loaded first."""
        return sorted((self[row] for row in rows), key=lambda account: account.login)

    def with_conduct(self, rows: Ints) -> list[AccountRow]:
        """Those of `rows` that have a conduct state, by row."""
        if not self.conduct_states:
            return []
        return [self[row] for row in sorted(self.conduct_states.keys() & set(rows.tolist()))]

    def shared(self, days: tuple[date, ...]) -> tuple[date, ...]:
        """One tuple for all accounts that traded on the same days."""
        return self._shared.setdefault(days, days)

    def nbytes(self) -> int:
        """Memory of the columns of this roster in bytes."""
        own = (self.account_ids, self.challenge_ids, self.logins, self.ended, self.traders, self._order, self._sorted)
        return sum(column.nbytes for column in own)
