"""Hours for opening: positions may be opened only at some hours of the week."""

from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from domain.clocks import WEEKDAYS, Clock, WallTime, Weekday, Zone, zone_of, zone_words
from domain.rules.base import ConductRule, Context, State, Violation
from domain.rules.events import Event, Opened
from domain.rules.terms import RuleId, Terms
from domain.wording import capital, listing


class Hours(Terms):
    """From the local time `opens` until just before `closes`, on `weekdays`. With `closes` at or before `opens` they
    end on the next day."""

    weekdays: Annotated[tuple[Weekday, ...], Field(min_length=1)] = WEEKDAYS[:5]
    opens: WallTime
    closes: WallTime

    def include(self, at: datetime, day: date, zone: str) -> bool:
        """Whether `at` is in the hours that begin on local date `day`."""
        if WEEKDAYS[day.weekday()] not in self.weekdays:
            return False
        opens = Clock(zone=zone, reset=self.opens).reset_on(day)
        closes = Clock(zone=zone, reset=self.closes).reset_on(day if self.closes > self.opens else day + timedelta(1))
        return opens <= at < closes


class OpeningHoursState(State):
    offences: int = 0


class OpeningHours(ConductRule[OpeningHoursState]):
    """Each position opened, or added to, outside all `hours` is an offence. Closing is always allowed."""

    type: Literal["opening_hours"]
    id: RuleId = "opening_hours"
    zone: Zone
    hours: Annotated[tuple[Hours, ...], Field(min_length=1, max_length=21)]

    @model_validator(mode="after")
    def _each_day_once(self) -> Self:
        for number, hours in enumerate(self.hours):
            if len(set(hours.weekdays)) < len(hours.weekdays):
                raise ValueError(f"hours.{number}.weekdays: a day is named twice; name it once")
        return self

    def start(self, context: Context) -> OpeningHoursState:
        return OpeningHoursState()

    def step(
        self, state: OpeningHoursState, event: Event, context: Context
    ) -> tuple[OpeningHoursState, tuple[Violation, ...]]:
        if not isinstance(event, Opened) or self.allow(event.at):
            return state, ()
        state = state.model_copy(update={"offences": state.offences + 1})
        local = event.at.astimezone(zone_of(self.zone))
        sentence = f"A position in {event.symbol} was opened on {capital(WEEKDAYS[local.weekday()])}, {local:%Y-%m-%d},"
        sentence += f" at {local:%H:%M:%S} {zone_words(self.zone)}, outside the hours for opening."
        figures = {"opened_at": event.at.astimezone(UTC)}
        return state, (self.offended(state.offences, sentence, figures, (event.position_id,)),)

    def allow(self, at: datetime) -> bool:
        """Whether a position may be opened at the instant `at`."""
        local = at.astimezone(zone_of(self.zone)).date()
        days = (local, local - timedelta(1))
        return any(hours.include(at, day, self.zone) for hours in self.hours for day in days)

    def words(self, context: Context) -> str:
        spans = []
        for hours in self.hours:
            days = listing([capital(day) for day in hours.weekdays])
            following = "" if hours.closes > hours.opens else " on the next day"
            spans.append(f"on {days} from {hours.opens} to {hours.closes}{following}")
        words = f"Hours for opening. You may open positions, and add to them, only {listing(spans)}, in the time of"
        return f"{words} {zone_words(self.zone)}. You may close positions at any time. {self.consequence_words}"
