"""Open positions grouped for marking: one book per symbol and account currency.

A tick touches the books of its symbol and no other row. Positions of one book lie side by side and share one price
and one conversion, so that marking is a handful of operations on contiguous arrays, however many positions an account
has.
"""

from decimal import Decimal
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from domain.money import exponent
from domain.rules.marking import Instrument, Position
from monitor.columns import Bools, Floats, Ints

_T = TypeVar("_T", bound=np.generic)


class Holding:
    """A position of the shard: the exact one, whose it is, and where it lies in its book."""

    __slots__ = ("book", "index", "position", "row")

    def __init__(self, position: Position, row: int, book: "Book") -> None:
        self.position, self.row, self.book = position, row, book
        self.index = -1


class Book:
    """Positions in one symbol whose accounts have one currency."""

    def __init__(self, instrument: Instrument, currency: str) -> None:
        self.instrument, self.currency = instrument, currency
        self.scale = float(10 ** exponent(currency))
        self.factor = self.scale  # conversion rate x minor units; set by the board of quotes
        self.holdings: list[Holding] = []
        self._rows: Ints = np.zeros(8, np.int64)
        self._units: Floats = np.zeros(8)
        self._cost: Floats = np.zeros(8)
        self._long: Bools = np.zeros(8, np.bool_)
        self._profit: Floats = np.zeros(8)
        self._view()

    def _view(self) -> None:
        n = len(self.holdings)
        self.rows, self.units, self.cost = self._rows[:n], self._units[:n], self._cost[:n]
        self.long, self.profit = self._long[:n], self._profit[:n]

    def add(self, holding: Holding) -> None:
        index = len(self.holdings)
        if index == len(self._rows):
            self._rows, self._units, self._cost = _doubled(self._rows), _doubled(self._units), _doubled(self._cost)
            self._long, self._profit = _doubled(self._long), _doubled(self._profit)
        holding.index = index
        self.holdings.append(holding)
        self._rows[index] = holding.row
        self._profit[index] = 0.0
        self.update(holding)
        self._view()

    def update(self, holding: Holding) -> None:
        """Its size or price changed."""
        position, index = holding.position, holding.index
        units = float(position.lots * self.instrument.contract_size) * (1 if position.side == "buy" else -1)
        self._units[index] = units
        self._cost[index] = units * float(position.open_price)
        self._long[index] = position.side == "buy"

    def remove(self, holding: Holding) -> None:
        last = self.holdings.pop()
        if last is not holding:
            index, end = holding.index, len(self.holdings)
            for column in (self._rows, self._units, self._cost, self._long, self._profit):
                column[index] = column[end]
            self.holdings[index] = last
            last.index = index
        holding.index = -1
        self._view()

    def mark(self, bid: float, ask: float, equity: Floats) -> None:
        """Revalue every position and carry the difference into `equity`."""
        profit = (self.units * np.where(self.long, bid, ask) - self.cost) * self.factor
        np.add.at(equity, self.rows, profit - self.profit)
        self.profit[:] = profit

    def revalue(self, holding: Holding, bid: float, ask: float) -> float:
        """The float profit of one position, stored; the caller sums it into the account's equity."""
        i = holding.index
        self._profit[i] = value = (self._units[i] * (bid if self._long[i] else ask) - self._cost[i]) * self.factor
        return float(value)

    def lots(self, side: str) -> Decimal:
        return sum((h.position.lots for h in self.holdings if h.position.side == side), Decimal(0))


def _doubled(column: npt.NDArray[_T]) -> npt.NDArray[_T]:
    return np.concatenate([column, np.zeros_like(column)])
