"""Open positions, as the rules that need them store them."""

from datetime import datetime
from decimal import Decimal

from domain.errors import BadInput
from domain.money import half_up
from domain.rules.base import Context, State, VenueCalendar
from domain.rules.events import Closed, Event, Opened, Side


class Holding(State):
    """An open position. `value_minor`: its value in minor units; None when the source does not know it."""

    position_id: str
    symbol: str
    side: Side
    lots: Decimal
    opened_at: datetime
    value_minor: int | None = None


Holdings = tuple[Holding, ...]


def held_after(holdings: Holdings, event: Event) -> Holdings:
    """Returns the open positions after `event`; the same object when the event opened and closed nothing."""
    if isinstance(event, Opened):
        return _opened(holdings, event)
    if isinstance(event, Closed):
        return _closed(holdings, event)
    return holdings


def _opened(holdings: Holdings, event: Opened) -> Holdings:
    for index, held in enumerate(holdings):
        if held.position_id == event.position_id:
            known = held.value_minor is not None and event.value_minor is not None
            grown = held.model_copy(
                update={
                    "lots": held.lots + event.lots,
                    "value_minor": (held.value_minor or 0) + (event.value_minor or 0) if known else None,
                }
            )
            return (*holdings[:index], grown, *holdings[index + 1 :])
    new = Holding(
        position_id=event.position_id,
        symbol=event.symbol,
        side=event.side,
        lots=event.lots,
        opened_at=event.at,
        value_minor=event.value_minor,
    )
    return (*holdings, new)


def _closed(holdings: Holdings, event: Closed) -> Holdings:
    for index, held in enumerate(holdings):
        if held.position_id != event.position_id:
            continue
        if event.lots_left <= 0:
            return holdings[:index] + holdings[index + 1 :]
        value = held.value_minor
        if value is not None and held.lots:
            value = half_up(Decimal(value) * event.lots_left / held.lots)
        left = held.model_copy(update={"lots": event.lots_left, "value_minor": value})
        return (*holdings[:index], left, *holdings[index + 1 :])
    return holdings


def calendar_of(context: Context, name: str) -> VenueCalendar:
    """Returns the calendar of venue `name`. Raises BadInput when there is none."""
    calendar = context.calendars.get(name)
    if calendar is None:
        known = ", ".join(sorted(context.calendars)) or "none"
        raise BadInput(f"There is no calendar {name!r}.", field="calendar", remedy=f"Known calendars: {known}.")
    return calendar
