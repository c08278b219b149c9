"""Open positions, as the rules that need them store them."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from types import GenericAlias
from typing import Annotated, Any, Final, Generic, Protocol, TypeVar, get_args

from pydantic import GetCoreSchemaHandler, PlainSerializer, PlainValidator, TypeAdapter

from domain.errors import BadInput
from domain.money import half_up
from domain.rules.base import Context, State, VenueCalendar
from domain.rules.events import Closed, Event, Opened, Side, StopChanged

_PARTS: Final = 64


class _Position(Protocol):
    @property
    def position_id(self) -> str: ...


P = TypeVar("P", bound=_Position)
_Part = dict[str, tuple[int, P]]


class ById(Generic[P]):
    """What a rule knows of each open position, by its id, in the order of opening. Immutable: a change returns a new
    one, which shares all but one of its 64 parts with the old one. So an event costs about the same with a thousand
    open positions as with ten. Stored as a list."""

    __slots__ = ("_count", "_next", "_parts")

    def __init__(self) -> None:
        self._parts: tuple[_Part[P] | None, ...] = (None,) * _PARTS
        self._count = 0
        self._next = 0

    @classmethod
    def of(cls, positions: Iterable[P]) -> "ById[P]":
        found = cls()
        for position in positions:
            found = found.with_(position)
        return found

    def get(self, position_id: str) -> P | None:
        part = self._parts[hash(position_id) % _PARTS]
        found = part.get(position_id) if part else None
        return found[1] if found else None

    def with_(self, position: P) -> "ById[P]":
        """Returns the positions with `position` added, or in place of the one of its id."""
        where = hash(position.position_id) % _PARTS
        part = dict(self._parts[where] or {})
        known = part.get(position.position_id)
        part[position.position_id] = (known[0] if known else self._next, position)
        return self._with_part(where, part, self._count + (known is None))

    def without(self, position_id: str) -> "ById[P]":
        where = hash(position_id) % _PARTS
        part = dict(self._parts[where] or {})
        if part.pop(position_id, None) is None:
            return self
        return self._with_part(where, part, self._count - 1)

    def _with_part(self, where: int, part: _Part[P], count: int) -> "ById[P]":
        new: ById[P] = ById()
        new._parts = (*self._parts[:where], part or None, *self._parts[where + 1 :])
        new._count, new._next = count, self._next + 1
        return new

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[P]:
        numbered = (entry for part in self._parts if part for entry in part.values())
        return (position for _, position in sorted(numbered, key=lambda entry: entry[0]))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ById) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return f"ById({list(self)!r})"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> Any:
        listed: Any = GenericAlias(tuple, (get_args(source)[0], ...))
        stored: TypeAdapter[Any] = TypeAdapter(listed)

        def read(value: Any) -> ById[P]:
            return value if isinstance(value, ById) else cls.of(stored.validate_python(value))

        return handler.generate_schema(Annotated[Any, PlainValidator(read), PlainSerializer(tuple, listed)])


class Holding(State):
    """An open position. `value_minor`: the value in minor units of `valued_lots` (None: of the lots that are open);
    None when the source does not know it. `entry_price`: the average of its openings; `risk_minor`: the loss at its
    stop; both None when unknown. `stop_price` None: no stop."""

    position_id: str
    symbol: str
    side: Side
    lots: Decimal
    opened_at: datetime
    value_minor: int | None = None
    valued_lots: Decimal | None = None
    entry_price: Decimal | None = None
    stop_price: Decimal | None = None
    risk_minor: int | None = None

    @property
    def open_value_minor(self) -> int | None:
        """The value of the lots that are still open."""
        if self.value_minor is None or not self.valued_lots:
            return self.value_minor
        return half_up(Decimal(self.value_minor) * self.lots / self.valued_lots)

    @property
    def has_stop(self) -> bool:
        return self.stop_price is not None or self.risk_minor is not None

    @property
    def can_lose(self) -> bool:
        """Whether it has no stop, or one short of its entry price. Where a price is unknown, the stated risk decides;
        without that it can."""
        if self.stop_price is None or self.entry_price is None:
            return self.risk_minor is None or self.risk_minor > 0
        return self.stop_price < self.entry_price if self.side == "buy" else self.stop_price > self.entry_price


Holdings = ById[Holding]
NOTHING_HELD: Final[Holdings] = Holdings()


def held_after(holdings: Holdings, event: Event) -> Holdings:
    """Returns the open positions after `event`; the same object when the event changed none of them."""
    if isinstance(event, Opened):
        return _opened(holdings, event)
    if isinstance(event, Closed):
        return _closed(holdings, event)
    if isinstance(event, StopChanged):
        held = holdings.get(event.position_id)
        change = {"stop_price": event.stop_price, "risk_minor": event.risk_minor}
        return holdings if held is None else holdings.with_(held.model_copy(update=change))
    return holdings


def _opened(holdings: Holdings, event: Opened) -> Holdings:
    held = holdings.get(event.position_id)
    if held is not None:
        return holdings.with_(held.model_copy(update=_grown(held, event)))
    return holdings.with_(
        Holding(
            position_id=event.position_id,
            symbol=event.symbol,
            side=event.side,
            lots=event.lots,
            opened_at=event.at,
            value_minor=event.value_minor,
            entry_price=event.price,
            stop_price=event.stop_price,
            risk_minor=event.risk_minor,
        )
    )


def _grown(held: Holding, event: Opened) -> dict[str, Any]:
    """Returns what changes when `event` adds to a position. It keeps its stop where the event states none."""
    lots, value, price = held.lots + event.lots, held.open_value_minor, held.entry_price
    value = value + event.value_minor if value is not None and event.value_minor is not None else None
    if price is not None and event.price is not None:
        price = price if price == event.price else (price * held.lots + event.price * event.lots) / lots
    else:
        price = None
    changes = {"lots": lots, "value_minor": value, "valued_lots": None, "entry_price": price}
    if event.stop_price is not None:
        changes |= {"stop_price": event.stop_price, "risk_minor": event.risk_minor}
    return changes


def _closed(holdings: Holdings, event: Closed) -> Holdings:
    held = holdings.get(event.position_id)
    if held is None:
        return holdings
    if event.lots_left <= 0:
        return holdings.without(event.position_id)
    valued = held.valued_lots or held.lots
    return holdings.with_(held.model_copy(update={"lots": event.lots_left, "valued_lots": valued}))


def calendar_of(context: Context, name: str) -> VenueCalendar:
    """Returns the calendar of venue `name`. Raises BadInput when there is none."""
    calendar = context.calendars.get(name)
    if calendar is None:
        known = ", ".join(sorted(context.calendars)) or "none"
        raise BadInput(f"There is no calendar {name!r}.", field="calendar", remedy=f"Known calendars: {known}.")
    return calendar
