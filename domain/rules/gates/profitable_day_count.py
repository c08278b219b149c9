"""Profitable (winning, benchmark) days: how many days made a minimum result, by the firm's measure of a day."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from domain.rules.base import Context, Gate, GateStatus, State, Violation
from domain.rules.days import BASIS_WORDS, DayBasis, day_profit, is_paid
from domain.rules.events import DayEnded, Event
from domain.rules.terms import RuleId, Size
from domain.wording import count


class ProfitableDaysState(State):
    """`days`: how many count (in a row, where the rule says so). `unknown`: how many days have an unknown result."""

    days: int = 0
    day_pnl_minor: int | None = None
    unknown: int = 0


class ProfitableDayCount(Gate[ProfitableDaysState]):
    """A day counts if its result, measured by `basis`, reaches `threshold` (None: zero). `consecutive`: a day that does
    not count resets the count to zero."""

    type: Literal["profitable_day_count"]
    id: RuleId = "profitable_days"
    threshold: Size | None = None
    compare: Literal[">=", ">"]
    basis: DayBasis = "closed_pnl"
    required: Annotated[int, Field(ge=1, le=365)]
    consecutive: bool = False
    window: Literal["whole_phase", "since_last_payout"] = "whole_phase"

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.threshold is not None and self.threshold.type not in ("amount", "pct_of_initial"):
            raise ValueError("threshold: it is an amount or pct_of_initial")
        return self

    def start(self, context: Context) -> ProfitableDaysState:
        return ProfitableDaysState()

    def step(
        self, state: ProfitableDaysState, event: Event, context: Context
    ) -> tuple[ProfitableDaysState, tuple[Violation, ...]]:
        if self.window == "since_last_payout" and is_paid(event):
            return ProfitableDaysState(), ()
        if not isinstance(event, DayEnded):
            return state, ()
        profit = day_profit(event, self.basis)
        if profit is None:
            return state.model_copy(update={"unknown": state.unknown + 1}), ()
        least = self._least(context)
        if profit >= least if self.compare == ">=" else profit > least:
            return state.model_copy(update={"days": state.days + 1, "day_pnl_minor": profit}), ()
        kept = 0 if self.consecutive else state.days
        return state.model_copy(update={"days": kept, "day_pnl_minor": profit}), ()

    def counted(self, days: int, context: Context) -> GateStatus:
        """Returns the status with `days` counted."""
        met = days >= self.required
        row = " in a row" if self.consecutive else ""
        sentence = f"{days} of {count(self.required, 'profitable day')}{row} completed."
        figures = {"profitable_days": days, "required": self.required, "threshold": self._least(context)}
        return GateStatus(met, "met" if met else "not_met", sentence, figures)

    def status(self, state: ProfitableDaysState, context: Context) -> GateStatus:
        known = self.counted(state.days, context)
        figures = {**known.figures, "day_pnl": state.day_pnl_minor}
        if known.met or not state.unknown:
            return GateStatus(known.met, known.outcome, known.sentence, figures)
        more = count(state.unknown, "more day")
        sentence = f"{known.sentence} The result of {more} is unknown because prices are missing."
        return GateStatus(False, known.outcome, sentence, {**figures, "needs_prices": True})

    def words(self, context: Context) -> str:
        row = " in a row" if self.consecutive else ""
        window = " since the last payout was paid" if self.window == "since_last_payout" else ""
        days = count(self.required, "profitable day")
        words = f"Profitable days. You need at least {days}{row}{window} before {self.blocked_words}."
        if self.threshold is None:
            result = "made no loss" if self.compare == ">=" else "made a profit"
        else:
            result = f"made {'at least' if self.compare == '>=' else 'more than'} {context.size(self.threshold)}"
        return f"{words} A day counts if it {result}, measured as {BASIS_WORDS[self.basis]}."

    def _least(self, context: Context) -> int:
        if self.threshold is None:
            return 0
        return self.threshold.minor(initial=context.initial_minor, basis=0, currency=context.currency)
