"""Inactivity: an account that nobody trades for too long."""

from datetime import datetime, timedelta
from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from domain.errors import BadInput
from domain.rules.base import ConductRule, Context, State, Violation, follows
from domain.rules.events import Clocked, Closed, Event, News, Opened, OrderPlaced
from domain.rules.holdings import Holdings, calendar_of, held_after
from domain.rules.terms import RuleId

Days = Annotated[int, Field(ge=1, le=3650)]

# Longer than any venue is closed: a calendar without a session for so long has none left.
_LONGEST_CLOSURE: Final = 60


class InactivityState(State):
    """`since`: the last activity; before any, when the account was assigned. `told`: this silence is already an offence."""

    since: datetime | None = None
    holdings: Holdings = ()
    told: bool = False
    offences: int = 0


class Inactivity(ConductRule[InactivityState]):
    """Something must be traded within so many days of the last activity. Broken once the deadline is past.

    `trading_days` are days of the trading-day clock: those on which `calendar` has a session, Monday to Friday without
    one; the deadline is the end of the last of them.
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
        if state.since is None:
            state = state.model_copy(update={"since": event.at})
        found: tuple[Violation, ...] = ()
        deadline = self.deadline(state, context)
        if deadline is not None and event.at > deadline and not state.told and not self._suspended(state):
            state = state.model_copy(update={"told": True, "offences": state.offences + 1})
            sentence = f"Nothing was traded from {state.since:%Y-%m-%d %H:%M} UTC to {deadline:%Y-%m-%d %H:%M} UTC."
            found = (self.offended(state.offences, sentence, {"since": state.since, "deadline": deadline}),)
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
        """The last instant at which the silence is still allowed, were nothing open; None before anything happened."""
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
        days = f"{self.calendar_days} days" if self.calendar_days is not None else f"{self.trading_days} trading days"
        since = "your last closed position" if self.counter_starts == "last_position_closed" else "your last trade"
        told = f"Inactivity. No more than {days} may pass after {since} (after the account's start, before any)."
        if self.calendar is not None:
            told += f" Days are counted by the sessions of {self.calendar}."
        if self.open_position_suspends:
            told += " While a position is open the time does not run."
        told += (
            " A pending order counts as activity." if self.pending_orders_count else " A pending order does not count."
        )
        return f"{told} {follows(self.consequences)}"
