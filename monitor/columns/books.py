"""Open positions grouped for marking: one book per symbol and account currency.

A tick marks the books of its symbol, and those whose conversion it moves. Positions of one book are contiguous and
share one price and one conversion, so that marking is a few operations on contiguous arrays, however many positions an
account has. A book also keeps what is needed to build the exact `Position` again.
"""

from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from domain.money import exponent
from domain.rules.marking import Instrument, Position, Side
from monitor.columns import kernels
from monitor.columns.account_columns import Floats, Ints, Narrow, grown

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_COLUMNS: Final = (
    *("rows", "units", "opens", "profits", "tickets", "opened", "lot_digits", "price_digits"),
    *("stops", "targets"),
)
_MOST_DIGITS: Final = 100
_TICKET: Final = 16
_BESIDE: Final = -1  # in price_digits: the position is kept as an object, beside the columns
_GRID_DIGITS: Final = 5  # a grid of 10 ** -5 minor units is coarser than twice the kernels' LIFT
BITS: Final = 32


def digits_of(value: Decimal) -> int:
    """Returns the number of digits after the decimal point."""
    power = value.as_tuple().exponent
    assert isinstance(power, int)
    return -power


class Arena:
    """The positions of all books in shared columns, one span a book, so that one compiled loop can walk them."""

    def __init__(self) -> None:
        self.rows: Narrow = np.zeros(0, np.int32)
        self.units: Floats = np.zeros(0)
        self.opens: Floats = np.zeros(0)
        self.profits: Floats = np.zeros(0)
        self.tickets: npt.NDArray[np.bytes_] = np.zeros(0, f"S{_TICKET}")
        self.opened: Ints = np.zeros(0, np.int64)
        self.lot_digits: npt.NDArray[np.int8] = np.zeros(0, np.int8)
        self.price_digits: npt.NDArray[np.int8] = np.zeros(0, np.int8)
        self.stops: Floats = np.zeros(0)  # the stop loss and the take profit, as far as the venue tells; 0: none
        self.targets: Floats = np.zeros(0)
        self.spans: Ints = np.zeros((0, 2), np.int64)  # start and size, by book
        self.quotes: Floats = np.zeros((0, 4))  # bid, ask, factor, margin
        self._rooms: list[int] = []
        self._end = 0

    def open(self) -> int:
        """Opens a book and returns its number."""
        self.spans = np.concatenate([self.spans, np.zeros((1, 2), np.int64)])
        self.quotes = np.concatenate([self.quotes, np.array([[0.0, 0.0, 0.0, kernels.LIFT]])])
        self._rooms.append(0)
        return len(self._rooms) - 1

    def extend(self, number: int) -> int:
        """Makes room for one more position of a book, counts it, and returns its place."""
        start, size = self.spans[number].tolist()
        if size == self._rooms[number]:
            start = self._moved(number, start, size)
        self.spans[number] = start, size + 1
        return int(start + size)

    def claim(self, number: int, count: int) -> slice:
        """Adds `count` positions to an empty book at once and returns their places, for the caller to fill."""
        if self._end + count > len(self.rows):
            self._resize(self._end + count)
        span = slice(self._end, self._end + count)
        self.spans[number], self._rooms[number], self._end = (self._end, count), count, span.stop
        return span

    def _moved(self, number: int, start: int, size: int) -> int:
        room = max(8, size + size // 2)
        if self._end + room > len(self.rows):
            self.pack(sum(self._rooms) + room)
            start = int(self.spans[number, 0])
            if self._end + room > len(self.rows):
                self._resize(grown(self._end + room))
        for name in _COLUMNS:
            column = getattr(self, name)
            column[self._end : self._end + size] = column[start : start + size]
        start, self._end, self._rooms[number] = self._end, self._end + room, room
        return start

    def _resize(self, length: int) -> None:
        for name in _COLUMNS:
            column = getattr(self, name)
            kept = column[:length]
            setattr(self, name, np.concatenate([kept, np.zeros(length - len(kept), column.dtype)]))

    def pack(self, room: int = 0) -> None:
        """Closes the gaps that grown books left. `room`: for how many positions to make room."""
        rooms = [size + size // 16 for size in self.spans[:, 1].tolist()]
        length = max(sum(rooms), room)
        for name in _COLUMNS:
            old = getattr(self, name)
            fresh, at = np.zeros(length, old.dtype), 0
            for (start, size), each in zip(self.spans.tolist(), rooms, strict=True):
                fresh[at : at + size] = old[start : start + size]
                at += each
            setattr(self, name, fresh)
        starts = np.cumsum([0, *rooms])
        self.spans[:, 0] = starts[:-1]
        self._rooms, self._end = rooms, int(starts[-1])

    def frozen(self, *, tickets: bool) -> "Arena":
        """Returns a copy that nobody changes. Without `tickets`, the names of positions say nothing there."""
        other, end = copy(self), self._end
        for name in _COLUMNS:
            column = getattr(self, name)[:end]
            setattr(other, name, column.copy() if tickets or name != "tickets" else column)
        other.spans, other.quotes = self.spans.copy(), self.quotes.copy()
        return other

    def nbytes(self) -> int:
        """Memory of the columns in bytes."""
        own = (self.spans, self.quotes, *(getattr(self, name) for name in _COLUMNS))
        return int(sum(column.nbytes for column in own))


class Book:
    """Positions in one symbol, of accounts in one currency.

    `loose`: their sizes or open prices have more digits than orders have, an average price for example, so that exact
    values are not on the grid of prices. `known`: the symbol has a quote and a conversion.
    """

    def __init__(self, arena: Arena, instrument: Instrument, currency: str, *, loose: bool) -> None:
        self._arena, self.number = arena, arena.open()
        self.instrument, self.currency, self.loose = instrument, currency, loose
        self.scale = Decimal(10 ** exponent(currency))
        self.known = False
        self._grid = exponent(currency) + _trailing_zeros(instrument.contract_size)
        self._lots_at_most = self._price_at_most = 0
        self._quoted: tuple[int, int] | None = None  # digits of the quote and of the rate, where the rate has an end
        self._beside: dict[int, Position] = {}
        self._tokens = 0

    @property
    def size(self) -> int:
        return int(self._arena.spans[self.number, 1])

    def _span(self) -> slice:
        start, size = self._arena.spans[self.number].tolist()
        return slice(start, start + size)

    @property
    def rows(self) -> Narrow:
        return self._arena.rows[self._span()]

    @property
    def units(self) -> Floats:
        return self._arena.units[self._span()]

    @property
    def profit(self) -> Floats:
        return self._arena.profits[self._span()]

    def _at(self, index: int) -> int:
        return int(self._arena.spans[self.number, 0]) + index

    def reference(self, index: int) -> int:
        """Returns what an account's row keeps of a position: the book's number and the place in it."""
        return self.number << BITS | index

    def add(self, row: int, position: Position) -> int:
        """Adds a position and returns its place. Its profit is 0 until it is marked."""
        arena = self._arena
        place = arena.extend(self.number)
        arena.rows[place], arena.profits[place], arena.price_digits[place] = row, 0.0, 0
        arena.stops[place] = arena.targets[place] = 0.0
        index = self.size - 1
        self.update(index, position)
        return index

    def update(self, index: int, position: Position) -> None:
        """Writes a position anew after its size or price changed."""
        arena, place = self._arena, self._at(index)
        self._forget(place)
        sign = 1 if position.side == "buy" else -1
        arena.units[place] = float(position.lots * self.instrument.contract_size) * sign
        arena.opens[place] = float(position.open_price)
        arena.tickets[place] = position.position_id.encode()[:_TICKET]
        arena.opened[place] = (position.opened_at - _EPOCH) // _MICROSECOND
        lots, price = digits_of(position.lots), digits_of(position.open_price)
        written = 0 <= lots < _MOST_DIGITS and 0 <= price < _MOST_DIGITS
        if written:
            arena.lot_digits[place], arena.price_digits[place] = lots, price
            if not self.loose and (lots > self._lots_at_most or price > self._price_at_most):
                self._lots_at_most = max(self._lots_at_most, lots)
                self._price_at_most = max(self._price_at_most, price)
                arena.quotes[self.number, kernels.TIE_MARGIN] = self._tie_margin(self._quoted)
        if not written or self.position(index) != position:
            self._tokens += 1
            arena.price_digits[place], arena.opened[place] = _BESIDE, self._tokens
            self._beside[self._tokens] = position

    def set_exits(self, index: int, stop: float, target: float) -> None:
        """Sets the stop loss and the take profit of the position at a place; 0 for none."""
        place = self._at(index)
        self._arena.stops[place], self._arena.targets[place] = stop, target

    def exits(self, index: int) -> tuple[float, float]:
        """The stop loss and the take profit of the position at a place; 0 for none."""
        place = self._at(index)
        return float(self._arena.stops[place]), float(self._arena.targets[place])

    def frozen(self, arena: Arena) -> "Book":
        """Returns this book as it is now, on a frozen arena."""
        other = copy(self)
        vars(other).update(_arena=arena, _beside=dict(self._beside))
        return other

    def _forget(self, place: int) -> None:
        if self._arena.price_digits[place] == _BESIDE:
            del self._beside[int(self._arena.opened[place])]
            self._arena.price_digits[place] = 0

    def position(self, index: int) -> Position:
        """The exact position at a place."""
        arena, place = self._arena, self._at(index)
        if arena.price_digits[place] == _BESIDE:
            return self._beside[int(arena.opened[place])]
        opened = _EPOCH + int(arena.opened[place]) * _MICROSECOND
        return Position(self.position_id(index), self.instrument.symbol, *self.terms(index), opened)

    def terms(self, index: int) -> tuple[Side, Decimal, Decimal]:
        """Side, lots and price at the opening of the position at a place, exactly."""
        arena, place = self._arena, self._at(index)
        price_digits = int(arena.price_digits[place])
        if price_digits == _BESIDE:
            beside = self._beside[int(arena.opened[place])]
            return beside.side, beside.lots, beside.open_price
        units = float(arena.units[place])
        lots = abs(units) / float(self.instrument.contract_size)
        return (
            "buy" if units > 0 else "sell",
            Decimal(f"{lots:.{arena.lot_digits[place]}f}"),
            Decimal(f"{arena.opens[place]:.{price_digits}f}"),
        )

    def position_id(self, index: int) -> str:
        place = self._at(index)
        if self._arena.price_digits[place] == _BESIDE:
            return self._beside[int(self._arena.opened[place])].position_id
        return str(self._arena.tickets[place].decode("utf-8", "replace"))

    def remove(self, index: int) -> int | None:
        """Removes the position at a place; the last one takes the place. Returns the row of that one, None for none."""
        arena, place, last = self._arena, self._at(index), self.size - 1
        self._forget(place)
        arena.spans[self.number, 1] = last
        if index == last:
            return None
        for name in _COLUMNS:
            column = getattr(arena, name)
            column[place] = column[self._at(last)]
        return int(arena.rows[place])

    def quote(self, bid: Decimal, ask: Decimal, rate: Decimal, rate_digits: int | None) -> None:
        """Sets the prices. rate_digits: digits of the rate after the point; None when it came from a division."""
        self.known = True
        self._quoted = self._digits(bid, ask, rate_digits)
        self._arena.quotes[self.number] = self.line(bid, ask, rate, rate_digits)

    def line(self, bid: Decimal, ask: Decimal, rate: Decimal, rate_digits: int | None) -> tuple[float, ...]:
        """Returns what the kernels need of these prices. Changes nothing."""
        margin = self._tie_margin(self._digits(bid, ask, rate_digits))
        return float(bid), float(ask), float(rate * self.scale), margin

    def _digits(self, bid: Decimal, ask: Decimal, rate_digits: int | None) -> tuple[int, int] | None:
        return None if self.loose or rate_digits is None else (max(digits_of(bid), digits_of(ask)), rate_digits)

    def _tie_margin(self, quoted: tuple[int, int] | None) -> float:
        """Returns 0 when all exact values are on a coarse grid, given the digits of prices, lots and rate, less those
        that contract size and minor units remove; else LIFT."""
        if quoted is None:
            return kernels.LIFT
        price, rate = quoted
        digits = max(price, self._price_at_most) + self._lots_at_most + rate - self._grid
        return 0.0 if digits <= _GRID_DIGITS else kernels.LIFT

    def doubtful_places(self) -> Ints:
        """The places whose profit the exact evaluator must compute."""
        span, arena = self._span(), self._arena
        found: Ints = np.zeros(self.size, np.int64)
        n = kernels.doubtful_positions(arena.units[span], arena.opens[span], arena.quotes[self.number], found)
        return found[:n]

    def lots_of(self, units: Floats) -> Decimal:
        """Returns `units` of one side in lots, rounded to eight digits."""
        lots = abs(float(units.sum())) / float(self.instrument.contract_size)
        return Decimal(f"{lots:.8f}").normalize() + 0


@dataclass(frozen=True, slots=True)
class Lots:
    """The positions of all books at one moment: copies that judging does not change."""

    numbered: tuple[Book, ...]
    accounts: int
    spans: Ints
    rows: Narrow
    units: Floats
    profits: Floats

    def books(self) -> Iterator[tuple[Book, Narrow, Floats, Floats]]:
        """Yields every book with the rows, units and profits of its positions."""
        for book in self.numbered:
            start, size = self.spans[book.number].tolist()
            span = slice(start, start + size)
            yield book, self.rows[span], self.units[span], self.profits[span]


def fits(position: Position) -> bool:
    """Returns whether size and open price have no more digits than orders have."""
    return 0 <= digits_of(position.lots) <= 2 and 0 <= digits_of(position.open_price) <= 6


def _trailing_zeros(size: Decimal) -> int:
    power: Any = size.normalize().as_tuple().exponent
    return int(power)
