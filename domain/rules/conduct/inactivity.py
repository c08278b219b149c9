"""Inactivity: an account must not go without trading for too long."""

from datetime import datetime, timedelta
from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from domain.errors import BadInput
from domain.rules.base import ConductRule, Context, State, Violation
from domain.rules.events import Clocked, Closed, Event, News, Opened, OrderPlaced
from domain.rules.holdings import NOTHING_HELD, Holdings, calendar_of, held_after
from domain.rules.terms import RuleId
from domain.wording import count, instant

Days = Annotated[int, Field(ge=1, le=3650)]

# Longer than any venue is ever closed: after so many days without a session, a calendar has no sessions left.
_LONGEST_CLOSURE: Final = 60


class InactivityState(State):
    """`since`: the last activity, or the start of the account. `told`: this inactivity is already counted as an
    offence."""

    since: datetime | None = None
    holdings: Holdings = NOTHING_HELD
    told: bool = False
    offences: int = 0


class Inactivity(ConductRule[InactivityState]):
    """The account must be traded within a number of days after the last activity. Broken once the deadline has passed.

    `trading_days` are days of the trading-day clock on which `calendar` has a session, or Monday to Friday without a
    calendar. The deadline is the end of the last of them.
    """

    type: Literal["inactivity"]
    id: RuleId = "inactivity"
    calendar_days: Days | None = None
    trading_days: Days | None = None
    calendar: str | None = None
    counter_starts: Literal["last_position_closed", "last_trade"] = "last_position_closed"
    open_position_suspends: bool = True
    pending_orders_count: bool = False

    @model_validator(mode="after")
    def _one_count(self) -> Self:
        if (self.calendar_days is None) == (self.trading_days is None):
            raise ValueError("calendar_days, trading_days: set one of the two, not both")
        if self.calendar is not None and self.trading_days is None:
            raise ValueError("calendar: only trading_days are counted by a calendar; remove it")
        return self

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
        deadline = self.deadline(state, context)
        if deadline is not None and event.at > deadline and not state.told and not self._suspended(state):
            state = state.model_copy(update={"told": True, "offences": state.offences + 1})
            sentence = f"There was no trading activity from {instant(since)} to {instant(deadline)}."
            found = (self.offended(state.offences, sentence, {"since": since, "deadline": deadline}),)
        holdings = held_after(state.holdings, event)
        if self._is_activity(event):
            return state.model_copy(update={"since": event.at, "told": False, "holdings": holdings}), found
        if holdings is not state.holdings:
            state = state.model_copy(update={"holdings": holdings})
        return state, found

    def _is_activity(self, event: Event) -> bool:
        return (
            isinstance(event, Closed)
            or (isinstance(event, Opened) and self.counter_starts == "last_trade")
            or (isinstance(event, OrderPlaced) and self.pending_orders_count)
        )

    def _suspended(self, state: InactivityState) -> bool:
        return self.open_position_suspends and bool(state.holdings)

    def deadline(self, state: InactivityState, context: Context) -> datetime | None:
        """Returns the last instant at which inactivity is still allowed with no position open; None before the first
        event."""
        if state.since is None:
            return None
        if self.calendar_days is not None:
            return state.since + timedelta(days=self.calendar_days)
        day, left, empty = context.clock.trading_day(state.since), self.trading_days or 0, 0
        calendar = None if self.calendar is None else calendar_of(context, self.calendar)
        while left:
            day += timedelta(1)
            if day.weekday() < 5 if calendar is None else calendar.close_on(day) is not None:
                left, empty = left - 1, 0
            elif (empty := empty + 1) > _LONGEST_CLOSURE:
                raise BadInput(f"Calendar {self.calendar!r} has no session after {day - timedelta(empty)}.")
        return context.clock.day_end(day)

    def due(self, state: InactivityState, context: Context) -> datetime | None:
        deadline = None if state.told or self._suspended(state) else self.deadline(state, context)
        return None if deadline is None else deadline + timedelta(microseconds=1)

    def words(self, context: Context) -> str:
        days = count(self.calendar_days or 0, "day")
        if self.trading_days is not None:
            days = count(self.trading_days, "trading day")
        since = "your last closed position" if self.counter_starts == "last_position_closed" else "your last trade"
        words = f"Inactivity. No more than {days} may pass after {since}, or after the start of the account if there is"
        words += " none yet."
        if self.calendar is not None:
            words += f" Only days with a session of {self.calendar} count."
        if self.open_position_suspends:
            words += " The count is paused while a position is open."
        pending = "counts" if self.pending_orders_count else "does not count"
        return f"{words} A pending order {pending} as activity. {self.consequence_words}"
