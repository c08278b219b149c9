"""Trading days: the number of days with real trading, by the firm's definition of such a day."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from domain.money import ExactDecimal
from domain.rules.base import Context, GateStatus, State
from domain.rules.events import Closed, DayEnded, Event, Opened
from domain.rules.gates.windows import LastDays, WindowGate, WindowState, day_of
from domain.rules.holdings import calendar_of
from domain.rules.terms import LATER, RuleId, Size
from domain.wording import count, percent, span


class Waiting(State):
    """An open position that is not held long enough yet to make `day` a trading day."""

    position_id: str
    day: date
    counts_at: datetime


class TradingDaysState(WindowState):
    """`days`: how many count. `last`: the last of them. `value_minor`: the value of the last close; `least_pnl_minor`:
    the smallest result that it needed, where that changes with the account's money. `openings`, `lots`: how many
    positions were opened, and their lots together. `waiting`: the open positions that are to be held longer.
    `sees_openings`: the source reports each opening, not only whole days."""

    days: int = 0
    last: date | None = None
    value_minor: int | None = None
    least_pnl_minor: int | None = None
    openings: int = 0
    lots: Decimal = Decimal(0)
    waiting: tuple[Waiting, ...] = ()
    sees_openings: bool = False


class TradingDayCount(WindowGate[TradingDaysState]):
    """`counts`: day_with_new_position_opened: a day with a new position of at least `min_pct_of_average_lots` of the
    average opening before it, held at least `min_held_seconds`. day_with_qualifying_close: a day with a trade of at
    least `min_trade_value` with a profit or loss that is `compare` `min_abs_pnl`; a close of unknown value does not
    meet a condition on its value. `half_days_count` false: a day on which `calendar` closes early does not count."""

    TALLY: ClassVar[tuple[str, ...]] = ("days",)
    judges_days: ClassVar[bool] = False

    type: Literal["trading_day_count"]
    id: RuleId = "trading_days"
    counts: Literal["day_with_new_position_opened", "day_with_qualifying_close"] = "day_with_new_position_opened"
    required: Annotated[int, Field(ge=0, le=3650)]
    min_trade_value: Size | None = None
    min_abs_pnl: Size | None = None
    compare: Annotated[Literal[">=", ">"], LATER] = ">="
    min_pct_of_average_lots: Annotated[Annotated[ExactDecimal, Field(gt=0, le=1000)] | None, LATER] = None
    min_held_seconds: Annotated[Annotated[int, Field(ge=1, le=30 * 24 * 3600)] | None, LATER] = None
    half_days_count: Annotated[bool, LATER] = True
    calendar: Annotated[str | None, LATER] = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        by_opening = self.counts == "day_with_new_position_opened"
        if by_opening and (self.min_trade_value or self.min_abs_pnl or self.compare == ">"):
            raise ValueError(
                "counts: min_trade_value and min_abs_pnl are conditions on a close; use day_with_qualifying_close"
            )
        if not by_opening and (self.min_pct_of_average_lots or self.min_held_seconds):
            raise ValueError(
                "counts: min_pct_of_average_lots and min_held_seconds are conditions on an opening;"
                " use day_with_new_position_opened"
            )
        if self.min_trade_value is not None and self.min_trade_value.type == "pct_of_trade_value":
            raise ValueError("min_trade_value: it cannot be a percentage of itself; use an amount or pct_of_initial")
        if self.half_days_count != (self.calendar is None):
            raise ValueError("calendar: half days that do not count need the calendar that names them; write both")
        return self

    @property
    def needs_value(self) -> bool:
        """Whether a close counts only if its value is known."""
        of_value = self.min_abs_pnl is not None and self.min_abs_pnl.type == "pct_of_trade_value"
        return self.min_trade_value is not None or of_value

    def problems(self, context: Context) -> Iterator[tuple[str, str]]:
        if isinstance(self.window, LastDays) and self.required > self.window.days:
            yield "required", f"more days than the window of {self.window.days} contains; lower it"

    def start(self, context: Context) -> TradingDaysState:
        return TradingDaysState()

    def renewed(self, state: TradingDaysState, context: Context) -> TradingDaysState:
        return TradingDaysState(sees_openings=state.sees_openings)

    def moved(self, state: TradingDaysState, event: Event, context: Context) -> TradingDaysState:
        if self.min_held_seconds is not None:
            state = self._held(state, event, context)
        if isinstance(event, DayEnded):
            return self._whole_day(state, event, context)
        if isinstance(event, Opened) and self.counts == "day_with_new_position_opened" and not event.adds:
            return self._opened(state, event, context)
        if isinstance(event, Closed) and self.counts == "day_with_qualifying_close":
            value, pnl = self._limits(event.value_minor, state, event.balance_minor, context)
            moved = {"value_minor": event.value_minor} | ({"least_pnl_minor": pnl} if self._follows_money else {})
            state = state.model_copy(update=moved)
            if self._qualifies(event, value, pnl):
                return self._day(state, day_of(event, context), context)
        return state

    def due(self, state: TradingDaysState, context: Context) -> datetime | None:
        return min((each.counts_at for each in state.waiting), default=None)

    def counted(self, days: int) -> GateStatus:
        """Returns the status with `days` counted."""
        met = days >= self.required
        figures = {"trading_days": days, "required": self.required}
        sentence = f"{days} of {count(self.required, 'trading day')} completed."
        return GateStatus(met, "met" if met else "not_met", sentence, figures)

    def status(self, state: TradingDaysState, context: Context) -> GateStatus:
        known = self.counted(state.days)
        value, pnl = self._limits(state.value_minor, state, context.initial_minor, context)
        if state.least_pnl_minor is not None:
            pnl = state.least_pnl_minor
        measured = {"min_trade_value": value, "min_abs_pnl": pnl}
        figures = {**known.figures, **{name: minor for name, minor in measured.items() if minor is not None}}
        return GateStatus(known.met, known.outcome, known.sentence, figures)

    def words(self, context: Context) -> str:
        window = "" if self.window == "whole_phase" else f" {self.window_words}"
        days = count(self.required, "trading day")
        words = f"Trading days. Before {self.blocked_words} you need at least {days}{window}."
        words += self._opening_words() if self.counts == "day_with_new_position_opened" else self._close_words(context)
        if not self.half_days_count:
            words += f" A day on which {self.calendar} closes early does not count."
        return words

    def _opening_words(self) -> str:
        words = " A trading day is one on which a new position is opened"
        conditions = []
        if self.min_pct_of_average_lots is not None:
            least = percent(self.min_pct_of_average_lots)
            conditions.append(f"its size is at least {least} of the average size of the positions opened before it")
        if self.min_held_seconds is not None:
            conditions.append(f"it is held for at least {span(self.min_held_seconds)}")
        return f"{words}{', provided that ' if conditions else ''}{' and '.join(conditions)}."

    def _close_words(self, context: Context) -> str:
        value = "" if self.min_trade_value is None else f" of at least {context.size(self.min_trade_value)}"
        pnl = ""
        if self.min_abs_pnl is not None:
            least = "at least" if self.compare == ">=" else "more than"
            pnl = f" with a profit or loss of {least} {context.size(self.min_abs_pnl)}"
        return f" A trading day is one on which a trade{value} is closed{pnl}."

    def _limits(
        self, value_minor: int | None, state: TradingDaysState, balance_minor: int, context: Context
    ) -> tuple[int | None, int | None]:
        """Returns (min_trade_value, min_abs_pnl) for a close of this value, in minor units. None: no condition, or a
        percentage of an unknown value."""
        value, pnl = self.min_trade_value, self.min_abs_pnl
        least = None if value is None else self.size_minor(value, state, balance_minor, context)
        if pnl is None or (pnl.type == "pct_of_trade_value" and value_minor is None):
            return least, None
        if pnl.type == "pct_of_trade_value":
            return least, pnl.minor(initial=context.initial_minor, basis=value_minor or 0, currency=context.currency)
        return least, self.size_minor(pnl, state, balance_minor, context)

    def _whole_day(self, state: TradingDaysState, event: DayEnded, context: Context) -> TradingDaysState:
        """A source that knows only whole days states how many positions were opened on each."""
        if self.counts == "day_with_new_position_opened" and event.positions_opened and not state.sees_openings:
            return self._day(state, day_of(event, context), context)
        return state

    def _opened(self, state: TradingDaysState, event: Opened, context: Context) -> TradingDaysState:
        if not state.sees_openings:
            state = state.model_copy(update={"sees_openings": True})
        day, enough = day_of(event, context), True
        if self.min_pct_of_average_lots is not None:
            # lots >= pct / 100 x lots so far / openings so far, without a division
            enough = 100 * event.lots * state.openings >= self.min_pct_of_average_lots * state.lots
            moved = {"openings": state.openings + 1, "lots": state.lots + event.lots}
            state = state.model_copy(update=moved)
        if not enough or (state.last is not None and day <= state.last):
            return state
        if self.min_held_seconds is None:
            return self._day(state, day, context)
        counts_at = event.at + timedelta(seconds=self.min_held_seconds)
        waits = Waiting(position_id=event.position_id, day=day, counts_at=counts_at)
        return state.model_copy(update={"waiting": (*state.waiting, waits)})

    def _held(self, state: TradingDaysState, event: Event, context: Context) -> TradingDaysState:
        """Returns the state with the days of the positions that are held long enough by now."""
        for each in state.waiting:
            if each.counts_at <= event.at and each in state.waiting:
                rest = tuple(other for other in state.waiting if other.day != each.day)
                state = self._day(state.model_copy(update={"waiting": rest}), each.day, context, again=True)
        if isinstance(event, Closed) and event.lots_left <= 0 and state.waiting:
            rest = tuple(other for other in state.waiting if other.position_id != event.position_id)
            if len(rest) < len(state.waiting):
                return state.model_copy(update={"waiting": rest})
        return state

    def _qualifies(self, event: Closed, value: int | None, pnl: int | None) -> bool:
        if value is not None and (event.value_minor is None or event.value_minor < value):
            return False
        if self.min_abs_pnl is not None and pnl is None:
            return False
        made = abs(event.pnl_minor)
        return pnl is None or (made > pnl if self.compare == ">" else made >= pnl)

    def _day(self, state: TradingDaysState, day: date, context: Context, *, again: bool = False) -> TradingDaysState:
        """Returns the state with `day` counted; `state` itself when it was counted before. Events are in order of time.
        `again`: an earlier day that was not counted before."""
        if state.last is not None and day <= state.last and not again:
            return state
        if not self.half_days_count and calendar_of(context, self.calendar or "").closes_early(day):
            return state
        last = day if state.last is None else max(day, state.last)
        return self.added(state, day, {"days": 1}).model_copy(update={"last": last})
