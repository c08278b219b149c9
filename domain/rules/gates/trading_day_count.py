"""Trading days: the number of days with real trading, by the firm's definition of such a day."""

from datetime import date
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from domain.rules.base import Context, Gate, GateStatus, State, Violation
from domain.rules.days import is_paid
from domain.rules.events import Closed, DayEnded, Event, Opened
from domain.rules.terms import RuleId, Size
from domain.wording import count


class TradingDaysState(State):
    """`days`: how many count. `last`: the last of them. `value_minor`: the value of the last close."""

    days: int = 0
    last: date | None = None
    value_minor: int | None = None


class TradingDayCount(Gate[TradingDaysState]):
    """`counts`: day_with_new_position_opened, or day_with_qualifying_close: a day with a trade of at least
    `min_trade_value` that made or lost at least `min_abs_pnl`. A close of unknown value does not meet a condition
    on its value."""

    type: Literal["trading_day_count"]
    id: RuleId = "trading_days"
    counts: Literal["day_with_new_position_opened", "day_with_qualifying_close"] = "day_with_new_position_opened"
    required: Annotated[int, Field(ge=1, le=365)]
    min_trade_value: Size | None = None
    min_abs_pnl: Size | None = None
    window: Literal["whole_phase", "since_last_payout"] = "whole_phase"

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.counts == "day_with_new_position_opened" and (self.min_trade_value or self.min_abs_pnl):
            raise ValueError(
                "counts: min_trade_value and min_abs_pnl are conditions on a close; use day_with_qualifying_close"
            )
        if self.min_trade_value is not None and self.min_trade_value.type not in ("amount", "pct_of_initial"):
            raise ValueError("min_trade_value: it is an amount or pct_of_initial")
        if self.min_abs_pnl is not None and self.min_abs_pnl.type in ("pct_of_anchor", "pct_of_peak"):
            raise ValueError("min_abs_pnl: a trade has no anchor or peak; use pct_of_trade_value or pct_of_initial")
        return self

    def start(self, context: Context) -> TradingDaysState:
        return TradingDaysState()

    def step(
        self, state: TradingDaysState, event: Event, context: Context
    ) -> tuple[TradingDaysState, tuple[Violation, ...]]:
        if self.window == "since_last_payout" and is_paid(event):
            return TradingDaysState(), ()
        if isinstance(event, DayEnded):
            return self._whole_day(state, event), ()
        if isinstance(event, Opened) and self.counts == "day_with_new_position_opened" and not event.adds:
            return _counted(state, context.clock.trading_day(event.at)), ()
        if isinstance(event, Closed) and self.counts == "day_with_qualifying_close":
            value, pnl = self.limits(event.value_minor, context)
            state = state.model_copy(update={"value_minor": event.value_minor})
            if self._qualifies(event, value, pnl):
                return _counted(state, context.clock.trading_day(event.at)), ()
        return state, ()

    def limits(self, value_minor: int | None, context: Context) -> tuple[int | None, int | None]:
        """Returns (min_trade_value, min_abs_pnl) for a close of this value, in minor units. None: no condition, or a
        percentage of an unknown value."""
        initial, currency = context.initial_minor, context.currency
        value = self.min_trade_value
        least = None if value is None else value.minor(initial=initial, basis=0, currency=currency)
        pnl = self.min_abs_pnl
        if pnl is None or (pnl.type == "pct_of_trade_value" and value_minor is None):
            return least, None
        return least, pnl.minor(initial=initial, basis=value_minor or 0, currency=currency)

    def counted(self, days: int) -> GateStatus:
        """Returns the status with `days` counted."""
        met = days >= self.required
        figures = {"trading_days": days, "required": self.required}
        return GateStatus(met, _outcome(met), f"{days} of {count(self.required, 'trading day')} completed.", figures)

    def status(self, state: TradingDaysState, context: Context) -> GateStatus:
        known = self.counted(state.days)
        value, pnl = self.limits(state.value_minor, context)
        measured = {"min_trade_value": value, "min_abs_pnl": pnl}
        figures = {**known.figures, **{name: minor for name, minor in measured.items() if minor is not None}}
        return GateStatus(known.met, known.outcome, known.sentence, figures)

    def words(self, context: Context) -> str:
        window = " since the last payout was paid" if self.window == "since_last_payout" else ""
        days = count(self.required, "trading day")
        words = f"Trading days. You need at least {days}{window} before {self.blocked_words}."
        if self.counts == "day_with_new_position_opened":
            return f"{words} A trading day is one on which a new position is opened."
        value = "" if self.min_trade_value is None else f" of at least {context.size(self.min_trade_value)}"
        pnl = ""
        if self.min_abs_pnl is not None:
            pnl = f" with a profit or loss of at least {context.size(self.min_abs_pnl)}"
        return f"{words} A trading day is one on which a trade{value} is closed{pnl}."

    def _whole_day(self, state: TradingDaysState, event: DayEnded) -> TradingDaysState:
        """A source that knows only whole days states how many positions were opened on each."""
        if self.counts == "day_with_new_position_opened" and event.positions_opened and event.day is not None:
            return _counted(state, event.day)
        return state

    def _qualifies(self, event: Closed, value: int | None, pnl: int | None) -> bool:
        if value is not None and (event.value_minor is None or event.value_minor < value):
            return False
        if self.min_abs_pnl is not None and pnl is None:
            return False
        return pnl is None or abs(event.pnl_minor) >= pnl


def _counted(state: TradingDaysState, day: date) -> TradingDaysState:
    """Returns the state with `day` counted; `state` itself when it was counted before. Events are in order of time."""
    if state.last is not None and day <= state.last:
        return state
    return state.model_copy(update={"days": state.days + 1, "last": day})


def _outcome(met: bool) -> str:
    return "met" if met else "not_met"
