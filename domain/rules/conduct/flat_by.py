"""Flat by: no position may be open at the end of a session, at the end of a week, or over a long break."""

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Annotated, Final, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from domain.clocks import WEEKDAYS, Clock, WallTime, Weekday, Zone
from domain.money import ExactDecimal
from domain.rules.base import ConductRule, Context, State, VenueCalendar, Violation
from domain.rules.events import Clocked, DayEnded, Event, News, Opened
from domain.rules.holdings import NOTHING_HELD, Holding, Holdings, calendar_of, held_after
from domain.rules.terms import LATER, RuleId
from domain.wording import count as counted
from domain.wording import instant, number, span

_NEXT: Final = timedelta(microseconds=1)
# No window lasts longer than so many days: the longest breaks of venues are holiday weeks.
_LONGEST: Final = 16
# So many days ahead the next window is looked for: some breaks are longer than the given hours only once a year.
_SEARCHED: Final = 400


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


class Times(NamedTuple):
    """When positions must be closed and when they may be opened again: the terms that windows follow from."""

    weekday: Weekday | None
    time: WallTime | None
    zone: Zone | None
    reopens: WallTime | None
    reopens_weekday: Weekday | None
    before_close: timedelta
    longest_break: timedelta | None

    def window_on(self, day: date, calendar: VenueCalendar | None) -> Window | None:
        """Returns the window that begins on local date `day`, or before the session of `day` closes."""
        if calendar is not None:
            return self._before_close(day, calendar)
        if self.time is None or self.zone is None or self.weekday not in (None, WEEKDAYS[day.weekday()]):
            return None
        start = Clock(zone=self.zone, reset=self.time).reset_on(day)
        reopens = Clock(zone=self.zone, reset=self.reopens or "00:00")
        days = (day + timedelta(days) for days in range(8))
        ends = (reopens.reset_on(one) for one in days if self.reopens_weekday in (None, WEEKDAYS[one.weekday()]))
        return Window(start=start, end=next(end for end in ends if end > start))

    def _before_close(self, day: date, calendar: VenueCalendar) -> Window | None:
        close = calendar.close_on(day)
        if close is None:
            return None
        try:
            # a venue without a break opens again exactly at its close
            opens = calendar.next_open(close - timedelta(microseconds=1))
        except LookupError:
            return None  # the last session that the calendar knows
        if self.longest_break is not None and opens - close <= self.longest_break:
            return None
        return Window(start=close - self.before_close, end=opens)


@lru_cache(maxsize=4096)
def _window_on(times: Times, calendar: VenueCalendar | None, day: date) -> Window | None:
    return times.window_on(day, calendar)


@lru_cache(maxsize=4096)
def _windows_near(times: Times, calendar: VenueCalendar | None, day: date) -> tuple[Window, ...]:
    """Returns the windows that had not ended when UTC date `day` began and start by its end, in order, and perhaps
    some of the next date. Rules ask this at every event, so it is found once."""
    begin = datetime(day.year, day.month, day.day, tzinfo=UTC)
    days = (day + timedelta(days) for days in range(-_LONGEST, 2))
    windows = (_window_on(times, calendar, one) for one in days)
    return tuple(window for window in windows if window is not None and window.end > begin)


@lru_cache(maxsize=4096)
def _windows_around(times: Times, calendar: VenueCalendar | None, day: date) -> tuple[Window, ...]:
    """Returns the windows that had not ended when UTC date `day` began, in order, up to the first that starts after it.
    Planning asks this after every event, so the windows of a day are found once."""
    begin = datetime(day.year, day.month, day.day, tzinfo=UTC)
    found: list[Window] = []
    for days in range(-_LONGEST, _SEARCHED):
        window = _window_on(times, calendar, day + timedelta(days))
        if window is None or window.end <= begin:
            continue
        found.append(window)
        if window.start >= begin + timedelta(1):
            break
    return tuple(found)


class FlatBy(ConductRule[FlatByState]):
    """Positions must be closed by a wall time, or by the close of a venue's session (holidays and early closes
    included).

    With `time` (in `zone`, on `weekday` or every day) the window lasts until the next `reopens` (on `reopens_weekday`,
    if given), or without it until the end of that local day. With `calendar` it lasts from `before_close_minutes`
    before the close of a session until the next session, with `break_longer_than_hours` only before longer breaks.
    """

    type: Literal["flat_by"]
    id: RuleId = "flat_by"
    weekday: Weekday | None = None
    time: WallTime | None = None
    zone: Zone | None = None
    reopens: WallTime | None = None
    reopens_weekday: Annotated[Weekday | None, LATER] = None
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
        if self.reopens_weekday is not None and (self.reopens is None or self.weekday is None):
            raise ValueError("reopens_weekday: it needs weekday and reopens, the time on that day; add them")
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
        judged, stated = state.judged, _stated_positions(event)
        since = event.at if state.at is None or not state.holdings else state.at
        for window in self._windows_until(since, event.at, context):
            reached = state.at is not None and state.at < window.start
            # a position that closes exactly at the start is closed in time
            held = state.holdings if window.start < event.at else after
            # what the source states now counts, not what its trades leave open
            told = stated is not None and event.at < window.end and stated != len(held)
            if reached and held and not told:
                judged = window.start
                yield window, held, len(held)
            if event.at >= window.end:
                continue
            if isinstance(event, Opened) and not (reached and held is after):
                # one that was open before was found already
                if all(holding.position_id != event.position_id for holding in state.holdings):
                    yield window, tuple(holding for holding in after if holding.position_id == event.position_id), 1
            elif stated and judged != window.start:
                yield window, (), stated

    def _windows_until(self, since: datetime, until: datetime, context: Context) -> Iterator[Window]:
        """Yields the windows that had not ended at `since` and start by `until`, in order. Asks the calendar for no
        later day than the one after `until`, so that a proof has no answers that decide nothing."""
        calendar = None if self.calendar is None else calendar_of(context, self.calendar)
        times, day = self._times, since.date()
        found = _windows_near(times, calendar, day)
        for days in range(2, (until.date() - day).days + 2):
            window = _window_on(times, calendar, day + timedelta(days))
            found = found if window is None else (*found, window)
        yield from (window for window in found if window.end > since and window.start <= until)

    def _windows(self, since: datetime, context: Context) -> Iterator[Window]:
        """Yields the windows that had not ended at `since`, in order; there is always another day to ask for."""
        calendar = None if self.calendar is None else calendar_of(context, self.calendar)
        while True:
            windows = [one for one in _windows_around(self._times, calendar, since.date()) if one.end > since]
            yield from windows
            if not windows:
                return
            since = windows[-1].end

    @property
    def _times(self) -> Times:
        longest = self.break_longer_than_hours
        return Times(
            self.weekday,
            self.time,
            self.zone,
            self.reopens,
            self.reopens_weekday,
            timedelta(minutes=self.before_close_minutes),
            None if longest is None else timedelta(seconds=int(longest * 3600)),
        )

    def due(self, state: FlatByState, context: Context) -> datetime | None:
        if state.at is None or not state.holdings:
            return None
        since = state.at
        # a position that is closed exactly at the start is closed in time
        starts = (window.start for window in self._windows(since, context))
        return next((start + _NEXT for start in starts if start > since), None)

    def _wall_time(self, wall: str | None) -> str:
        return Clock(zone=self.zone or "UTC", reset=wall or "00:00").words

    def words(self, context: Context) -> str:
        if self.calendar is None:
            day = "every day" if self.weekday is None else f"every {self.weekday.capitalize()}"
            words = (
                f"Close all positions by {self._wall_time(self.time)} {day}. No position may be open from then until "
            )
            on = f" on {self.reopens_weekday.capitalize()}" if self.reopens_weekday else ""
            words += f"{self._wall_time(self.reopens)}{on}." if self.reopens else "the end of that day."
        else:
            when = f"{span(60 * self.before_close_minutes)} before" if self.before_close_minutes else "by"
            words = f"Close all positions {when} the end of each session of {self.calendar}, including early closes and"
            words += " holidays"
            if self.break_longer_than_hours is not None:
                words += f", if the following break is longer than {number(self.break_longer_than_hours)} hours"
            words += ". No position may be open from then until the next session."
        return f"Flat by. {words} {self.consequence_words}"


def _stated_positions(event: Event) -> int | None:
    return event.open_positions if isinstance(event, Clocked) else None
