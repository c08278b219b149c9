"""Inactivity: an account must not go without trading for too long."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from domain.errors import BadInput
from domain.rules.base import ConductRule, Context, State, VenueCalendar, Violation
from domain.rules.events import Clocked, Closed, Event, News, Opened, OrderPlaced
from domain.rules.holdings import NOTHING_HELD, Holdings, calendar_of, held_after
from domain.rules.terms import RuleId
from domain.wording import count, instant

Days = Annotated[int, Field(ge=1, le=3650)]

CounterStarts = Literal["last_position_closed", "last_trade", "last_order_placed"]

# Longer than any venue is ever closed: after so many days without a session, a calendar has no sessions left.
_LONGEST_CLOSURE: Final = 60
_COUNTED_FROM: Final[dict[CounterStarts, str]] = {
    "last_position_closed": "your last closed position",
    "last_trade": "your last trade",
    "last_order_placed": "your last order",
}


class InactivityState(State):
    """`since`: the last activity, or the start of the account. `told`: this inactivity is already counted as an
    offence. `freed`: when the last open position was closed."""

    since: datetime | None = None
    freed: datetime | None = None
    holdings: Holdings = NOTHING_HELD
    told: bool = False
    offences: int = 0


class Inactivity(ConductRule[InactivityState]):
    """The account must be traded within a number of days after the last activity. Broken once the deadline has passed.

    `trading_days` are days of the trading-day clock on which `calendar` has a session, or Monday to Friday without a
    calendar. The deadline is the end of the last of them. `counter_starts` says what activity is: a close; an opening
    or a close; an opening or a pending order. Before any, the account's first event counts, which is its assignment.
    """

    type: Literal["inactivity"]
    id: RuleId = "inactivity"
    calendar_days: Days | None = None
    trading_days: Days | None = None
    calendar: str | None = None
    counter_starts: CounterStarts = "last_position_closed"
    open_position_suspends: bool = True
    pending_orders_count: bool = False

    @model_validator(mode="after")
    def _one_count(self) -> Self:
        if (self.calendar_days is None) == (self.trading_days is None):
            raise ValueError("calendar_days, trading_days: set one of the two, not both")
        if self.calendar is not None and self.trading_days is None:
            raise ValueError("calendar: only trading_days are counted by a calendar; remove it")
        return self

    def problems(self, context: Context) -> Iterator[tuple[str, str]]:
        if self.counter_starts == "last_order_placed" and self.pending_orders_count:
            yield "pending_orders_count", "last_order_placed counts pending orders already; remove it"

    def start(self, context: Context) -> InactivityState:
        return InactivityState()

    def step(
        self, state: InactivityState, event: Event, context: Context
    ) -> tuple[InactivityState, tuple[Violation, ...]]:
        if isinstance(event, News):
            return state, ()
        if isinstance(event, Clocked) and event.open_positions and self.open_position_suspends:
            return state.model_copy(update={"since": event.at, "told": False}), ()
        since = state.since or event.at
        if state.since is None:
            state = state.model_copy(update={"since": since})
        found: tuple[Violation, ...] = ()
        deadline = None if state.told or self._suspended(state) else self.deadline(state, context)
        if deadline is not None and event.at > deadline:
            state = state.model_copy(update={"told": True, "offences": state.offences + 1})
            sentence = f"There was no trading activity from {instant(since)} to {instant(deadline)}."
            found = (self.offended(state.offences, sentence, {"since": since, "deadline": deadline}),)
        holdings = held_after(state.holdings, event)
        freed = event.at if state.holdings and not holdings else state.freed
        if self._is_activity(event):
            update = {"since": event.at, "told": False, "holdings": holdings, "freed": freed}
            return state.model_copy(update=update), found
        if holdings is not state.holdings:
            state = state.model_copy(update={"holdings": holdings, "freed": freed})
        return state, found

    def _is_activity(self, event: Event) -> bool:
        match event:
            case Closed():
                return self.counter_starts != "last_order_placed"
            case Opened():
                return self.counter_starts != "last_position_closed"
            case OrderPlaced():
                return self.pending_orders_count or self.counter_starts == "last_order_placed"
            case _:
                return False

    def _suspended(self, state: InactivityState) -> bool:
        return self.open_position_suspends and bool(state.holdings)

    def deadline(self, state: InactivityState, context: Context) -> datetime | None:
        """Returns the last instant at which inactivity is still allowed with no position open; None before the first
        event."""
        if state.since is None:
            return None
        if self.calendar_days is not None:
            return state.since + timedelta(days=self.calendar_days)
        calendar = None if self.calendar is None else calendar_of(context, self.calendar)
        day = _trading_day_after(context.clock.trading_day(state.since), self.trading_days or 0, calendar)
        if day is None:
            sessions = count(self.trading_days or 0, "session")
            raise BadInput(f"Calendar {self.calendar!r} ends before {sessions} after {state.since:%Y-%m-%d}.")
        return context.clock.day_end(day)

    def due(self, state: InactivityState, context: Context) -> datetime | None:
        deadline = None if state.told or self._suspended(state) else self.deadline(state, context)
        if deadline is None:
            return None
        # the deadline may have passed while a position suspended the rule: it is broken when that one is closed
        past = deadline + timedelta(microseconds=1)
        return past if state.freed is None or not self.open_position_suspends else max(past, state.freed)

    def words(self, context: Context) -> str:
        days = count(self.calendar_days or 0, "day")
        if self.trading_days is not None:
            days = count(self.trading_days, "trading day")
        since = _COUNTED_FROM[self.counter_starts]
        words = f"Inactivity. No more than {days} may pass after {since}, or after the start of the account if there is"
        words += " none yet."
        if self.calendar is not None:
            words += f" Only days with a session of {self.calendar} count."
        if self.counter_starts == "last_order_placed":
            words += " Openings and pending orders count, closings do not."
            if self.open_position_suspends:
                words += " You cannot break the rule while a position is open."
            return f"{words} {self.consequence_words}"
        if self.open_position_suspends:
            words += " The count is paused while a position is open."
        pending = "counts" if self.pending_orders_count else "does not count"
        return f"{words} A pending order {pending} as activity. {self.consequence_words}"


@lru_cache(maxsize=4096)
def _trading_day_after(day: date, number: int, calendar: VenueCalendar | None) -> date | None:
    """Returns the trading day of that number after `day`; None if the calendar ends before."""
    left, empty = number, 0
    while left:
        day += timedelta(1)
        if day.weekday() < 5 if calendar is None else calendar.close_on(day) is not None:
            left, empty = left - 1, 0
        elif (empty := empty + 1) > _LONGEST_CLOSURE:
            return None
    return day
