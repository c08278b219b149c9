"""Flat by: no position may be open at the end of a session, at the end of a week, or over a long break."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from domain.clocks import Clock, Zone, zone_of
from domain.money import ExactDecimal
from domain.rules.base import ConductRule, Context, State, Violation
from domain.rules.events import Clocked, DayEnded, Event, News, Opened
from domain.rules.holdings import NOTHING_HELD, Holding, Holdings, calendar_of, held_after
from domain.rules.terms import RuleId
from domain.wording import count as counted
from domain.wording import instant, number

Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
WallTime = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]

_WEEKDAYS: Final[tuple[Weekday, ...]] = (
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
)
# The longest breaks of venues are holiday weeks: no deadline is further away than this.
_FAR: Final = timedelta(days=16)


class Window(State):
    """No position may be open from `start` until just before `end`."""

    start: datetime
    end: datetime


class FlatByState(State):
    """`at`: everything up to this instant is judged. `judged`: the start of the last window with an open position."""

    at: datetime | None = None
    holdings: Holdings = NOTHING_HELD
    judged: datetime | None = None
    offences: int = 0


class FlatBy(ConductRule[FlatByState]):
    """Positions must be closed by a wall time, or by the close of a venue's session (holidays and early closes
    included).

    With `time` (in `zone`, on `weekday` or every day) the window lasts until `reopens`, or without it until the end
    of that local day. With `calendar` it lasts from `before_close_minutes` before the close of a session until the
    next session, with `break_longer_than_hours` only before longer breaks.
    """

    type: Literal["flat_by"]
    id: RuleId = "flat_by"
    weekday: Weekday | None = None
    time: WallTime | None = None
    zone: Zone | None = None
    reopens: WallTime | None = None
    calendar: str | None = None
    before_close_minutes: Annotated[int, Field(ge=0, le=24 * 60)] = 0
    break_longer_than_hours: Annotated[ExactDecimal, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _one_clock(self) -> Self:
        if (self.time is None) == (self.calendar is None):
            raise ValueError("time, calendar: say when to be flat by one of the two, not both")
        if (self.time is None) != (self.zone is None):
            raise ValueError("zone: a wall time needs its zone, and only a wall time has one")
        if self.time is None and (self.weekday is not None or self.reopens is not None):
            raise ValueError("weekday, reopens: the calendar says which sessions there are; remove them")
        if self.calendar is None and (self.before_close_minutes or self.break_longer_than_hours is not None):
            raise ValueError("before_close_minutes, break_longer_than_hours: only a calendar has closes and breaks")
        return self

    def start(self, context: Context) -> FlatByState:
        return FlatByState()

    def step(self, state: FlatByState, event: Event, context: Context) -> tuple[FlatByState, tuple[Violation, ...]]:
        if isinstance(event, News | DayEnded):
            return state, ()
        holdings = held_after(state.holdings, event)
        if holdings is state.holdings and not holdings and not _stated_positions(event):
            return state, ()
        before, found = state, []
        for window, held, count in self._found(state, event, holdings, context):
            state = state.model_copy(update={"offences": state.offences + 1, "judged": window.start})
            sentence = f"{counted(count, 'position')} open at or after {instant(window.start)}."
            figures = {"flat_by": window.start, "until": window.end, "positions": count}
            ids = tuple(holding.position_id for holding in held)
            found.append(self.offended(state.offences, sentence, figures, ids))
        if not found and holdings is before.holdings and before.at is not None:
            return before, ()
        return state.model_copy(update={"at": event.at, "holdings": holdings}), tuple(found)

    def _found(
        self, state: FlatByState, event: Event, after: Holdings, context: Context
    ) -> Iterator[tuple[Window, Iterable[Holding], int]]:
        """Yields each window with open positions that are no offence yet: the window, the positions and their
        number."""
        judged = state.judged
        since = event.at if state.at is None or not state.holdings else state.at
        for window in self._windows(since, event.at, context):
            reached = state.at is not None and state.at < window.start
            # a position that closes exactly at the start is closed in time
            held = state.holdings if window.start < event.at else after
            if reached and held and not (window.start == event.at and _stated_positions(event) is not None):
                judged = window.start
                yield window, held, len(held)
            if event.at >= window.end:
                continue
            if isinstance(event, Opened) and not (reached and held is after):
                yield window, tuple(holding for holding in after if holding.position_id == event.position_id), 1
            elif (count := _stated_positions(event)) and judged != window.start:
                yield window, (), count

    def _windows(self, since: datetime, until: datetime, context: Context) -> Iterator[Window]:
        """Yields the windows that start by `until` and had not ended at `since`, in order."""
        zone = zone_of(self.zone or "UTC")
        # a window may have started some days before
        day = since.astimezone(zone).date() - (_FAR if self.calendar else timedelta(2))
        last = until.astimezone(zone).date() + timedelta(1)
        while day <= last:
            window = self._window_on(day.toordinal(), context)
            if window is not None and window.start <= until and window.end > since:
                yield window
            day += timedelta(1)

    def _window_on(self, ordinal: int, context: Context) -> Window | None:
        day = datetime.fromordinal(ordinal).date()
        if self.calendar is not None:
            calendar = calendar_of(context, self.calendar)
            close = calendar.close_on(day)
            if close is None:
                return None
            # a venue without a break opens again exactly at its close
            opens = calendar.next_open(close - timedelta(microseconds=1))
            longer = self.break_longer_than_hours
            if longer is not None and opens - close <= timedelta(seconds=int(longer * 3600)):
                return None
            return Window(start=close - timedelta(minutes=self.before_close_minutes), end=opens)
        if self.time is None or self.zone is None or self.weekday not in (None, _WEEKDAYS[day.weekday()]):
            return None
        start = Clock(zone=self.zone, reset=self.time).reset_on(day)
        reopens = Clock(zone=self.zone, reset=self.reopens or "00:00")
        end = reopens.reset_on(day)
        return Window(start=start, end=end if end > start else reopens.reset_on(day + timedelta(1)))

    def due(self, state: FlatByState, context: Context) -> datetime | None:
        if state.at is None or not state.holdings:
            return None
        windows = self._windows(state.at, state.at + _FAR, context)
        return next((window.start for window in windows if window.start > state.at), None)

    def _wall_time(self, wall: str | None) -> str:
        return Clock(zone=self.zone or "UTC", reset=wall or "00:00").words

    def words(self, context: Context) -> str:
        if self.calendar is None:
            day = "every day" if self.weekday is None else f"every {self.weekday.capitalize()}"
            words = (
                f"Close all positions by {self._wall_time(self.time)} {day}. No position may be open from then until "
            )
            words += f"{self._wall_time(self.reopens)}." if self.reopens else "the end of that day."
        else:
            when = f"{self.before_close_minutes} minutes before" if self.before_close_minutes else "by"
            words = f"Close all positions {when} the end of each session of {self.calendar}, including early closes and"
            words += " holidays"
            if self.break_longer_than_hours is not None:
                words += f", if the following break is longer than {number(self.break_longer_than_hours)} hours"
            words += ". No position may be open from then until the next session."
        return f"Flat by. {words} {self.consequence_words}"


def _stated_positions(event: Event) -> int | None:
    return event.open_positions if isinstance(event, Clocked) else None
