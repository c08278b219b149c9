"""Open positions grouped for marking: one book per symbol and account currency.

A tick touches the books of its symbol and no other row. Positions of one book lie side by side and share one price and
one conversion, so that marking is a handful of operations on contiguous arrays, however many positions an account has.
Beside what marking needs, a book keeps what the exact `Position` is made of again when it is asked for.
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt

from domain.money import exponent
from domain.rules.marking import Instrument, Position
from monitor import kernels
from monitor.columns import Floats, Ints, Narrow, grown

_T = TypeVar("_T", bound=np.generic)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_COLUMNS: Final = ("_rows", "_units", "_opens", "_profits", "_tickets", "_opened", "_lot_digits", "_price_digits")
_TICKET: Final = 16
_APART: Final = -1  # in _price_digits: the position is kept as it is, beside the columns
_GRID_DIGITS: Final = 5  # a grid of 10 ** -5 minor units is coarser than twice the kernels' LIFT
BITS: Final = 32


def digits_of(value: Decimal) -> int:
    """Digits after the point."""
    power = value.as_tuple().exponent
    assert isinstance(power, int)
    return -power


class Book:
    """Positions in one symbol whose accounts have one currency.

    `loose`: their sizes and open prices are written with more digits than those of orders are, an average price for
    example, so that exact values do not lie on the grid of prices. `known`: there is a quote, and a conversion.
    """

    def __init__(self, instrument: Instrument, currency: str, number: int, *, loose: bool) -> None:
        self.instrument, self.currency, self.number, self.loose = instrument, currency, number, loose
        self.scale = Decimal(10 ** exponent(currency))
        self.known = False
        self.bid = self.ask = self.factor = 0.0
        self.guard = kernels.LIFT
        self._grid = exponent(currency) + _trailing_zeros(instrument.contract_size)
        self._lots_at_most = self._price_at_most = 0
        self.size = 0
        self._rows: Narrow = np.zeros(0, np.int32)
        self._units: Floats = np.zeros(0)
        self._opens: Floats = np.zeros(0)
        self._profits: Floats = np.zeros(0)
        self._tickets: npt.NDArray[np.bytes_] = np.zeros(0, f"S{_TICKET}")
        self._opened: Ints = np.zeros(0, np.int64)
        self._lot_digits: npt.NDArray[np.int8] = np.zeros(0, np.int8)
        self._price_digits: npt.NDArray[np.int8] = np.zeros(0, np.int8)
        self._apart: dict[int, Position] = {}
        self._tokens = 0
        self.reserve(8)

    def reserve(self, capacity: int) -> None:
        """Make room for `capacity` positions in all."""
        have = len(self._rows)
        if capacity > have:
            for name in _COLUMNS:
                column = getattr(self, name)
                setattr(self, name, np.concatenate([column, np.zeros(capacity - have, column.dtype)]))
        self._view()

    def _view(self) -> None:
        n = self.size
        self.rows: Narrow = self._rows[:n]
        self.units, self.opens, self.profit = self._units[:n], self._opens[:n], self._profits[:n]

    def reference(self, index: int) -> int:
        """What an account's row keeps of a position: the book's number and the place in it."""
        return self.number << BITS | index

    def add(self, row: int, position: Position) -> int:
        """Take a position in; gives its place. Its profit is 0 until it is marked."""
        index = self.size
        if index == len(self._rows):
            self.reserve(max(8, grown(index) if index >= 64 else index * 2))
        self.size += 1
        self._rows[index], self._profits[index] = row, 0.0
        self._price_digits[index] = 0
        self.update(index, position)
        self._view()
        return index

    def update(self, index: int, position: Position) -> None:
        """Its size or price changed."""
        sign = 1 if position.side == "buy" else -1
        self._forget(index)
        self._units[index] = float(position.lots * self.instrument.contract_size) * sign
        self._opens[index] = float(position.open_price)
        lots, price = digits_of(position.lots), digits_of(position.open_price)
        self._tickets[index] = position.position_id.encode()[:_TICKET]
        self._opened[index] = (position.opened_at - _EPOCH) // _MICROSECOND
        if 0 <= lots < 100 and 0 <= price < 100:
            self._lot_digits[index], self._price_digits[index] = lots, price
            if not self.loose:
                self._lots_at_most = max(self._lots_at_most, lots)
                self._price_at_most = max(self._price_at_most, price)
        if not (0 <= lots < 100 and 0 <= price < 100) or self.position(index) != position:
            self._tokens += 1
            self._price_digits[index], self._opened[index] = _APART, self._tokens
            self._apart[self._tokens] = position

    def _forget(self, index: int) -> None:
        if self._price_digits[index] == _APART:
            del self._apart[int(self._opened[index])]
            self._price_digits[index] = 0

    def position(self, index: int) -> Position:
        """The exact position at a place."""
        price_digits = int(self._price_digits[index])
        if price_digits == _APART:
            return self._apart[int(self._opened[index])]
        units = float(self._units[index])
        lots = abs(units) / float(self.instrument.contract_size)
        return Position(
            self.position_id(index),
            self.instrument.symbol,
            "buy" if units > 0 else "sell",
            Decimal(f"{lots:.{self._lot_digits[index]}f}"),
            Decimal(f"{self._opens[index]:.{price_digits}f}"),
            _EPOCH + int(self._opened[index]) * _MICROSECOND,
        )

    def position_id(self, index: int) -> str:
        if self._price_digits[index] == _APART:
            return self._apart[int(self._opened[index])].position_id
        return str(self._tickets[index].decode("utf-8", "replace"))

    def remove(self, index: int) -> int | None:
        """Drop the position at a place. Gives the row of the one that takes the place, from the end; None for none."""
        self._forget(index)
        self.size -= 1
        last = self.size
        if index != last:
            for name in _COLUMNS:
                column = getattr(self, name)
                column[index] = column[last]
        self._view()
        return int(self._rows[index]) if index != last else None

    def quote(self, bid: Decimal, ask: Decimal, rate: Decimal, rate_digits: int | None) -> None:
        """Prices from now on. rate_digits: digits after the point of the rate; None when it came from a division."""
        self.bid, self.ask, self.factor = float(bid), float(ask), float(rate * self.scale)
        self.known = True
        digits = kernels.HIGHEST
        if not self.loose and rate_digits is not None:
            price = max(digits_of(bid), digits_of(ask), self._price_at_most)
            digits = price + self._lots_at_most + rate_digits - self._grid
        self.guard = 0.0 if digits <= _GRID_DIGITS else kernels.LIFT

    def values(self, out: Floats) -> int:
        """The profit of every position at the quote, written to `out`; how many of them are doubtful."""
        return int(kernels.value(self.units, self.opens, self.bid, self.ask, self.factor, self.guard, out))

    def doubts(self) -> Ints:
        """The places whose profit the exact evaluator must say."""
        found: Ints = np.zeros(self.size, np.int64)
        n = kernels.doubts(self.units, self.opens, self.bid, self.ask, self.factor, self.guard, found)
        return found[:n]

    def lots(self, side: str) -> Decimal:
        """Lots held on one side, to the eighth digit."""
        mine = self.units > 0 if side == "buy" else self.units < 0
        lots = abs(float(self.units[mine].sum())) / float(self.instrument.contract_size)
        return Decimal(f"{lots:.8f}").normalize() + 0

    def nbytes(self) -> int:
        """Memory of the columns."""
        return sum(getattr(self, name).nbytes for name in _COLUMNS)

    def apart(self) -> int:
        """How many positions are kept beside the columns."""
        return len(self._apart)


def fits(position: Position) -> bool:
    """Whether a position is written with no more digits than orders are."""
    return 0 <= digits_of(position.lots) <= 2 and 0 <= digits_of(position.open_price) <= 6


def _trailing_zeros(size: Decimal) -> int:
    power: Any = size.normalize().as_tuple().exponent
    return int(power)
