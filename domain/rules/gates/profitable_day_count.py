"""Profitable (winning, benchmark) days: how many days made a minimum result, by the firm's measure of a day."""

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from domain.money import ExactDecimal, half_up
from domain.rules.base import Context, GateStatus
from domain.rules.days import BASIS_WORDS, DayBasis, day_profit
from domain.rules.events import Closed, DayEnded, Event, Opened
from domain.rules.gates.windows import LastDays, WindowGate, WindowState, day_of
from domain.rules.terms import LATER, NO_LIMIT, RuleId, Size
from domain.wording import count, percent


class ProfitableDaysState(WindowState):
    """`days`: how many count (in a row, where the rule says so). `breaks`: how many ended a row. `best_minor`: the best
    day. `unknown`: how many days have an unknown result. `threshold_minor`: that of the last judged day, where it
    changes from day to day. `sees_trades`: the source reports trades, so that a day without one is known."""

    days: int = 0
    day_pnl_minor: int | None = None
    unknown: int = 0
    breaks: int = 0
    best_minor: int = 0
    threshold_minor: int | None = None
    sees_trades: bool = False


class ProfitableDayCount(WindowGate[ProfitableDaysState]):
    """A day counts if its result, measured by `basis`, reaches `threshold` (None: zero) and at least
    `min_pct_of_best_day` of the best day before it. `consecutive`: a day that does not count resets the count to zero;
    a day without a trade does not."""

    TALLY: ClassVar[tuple[str, ...]] = ("days", "unknown", "breaks", "best_minor")

    type: Literal["profitable_day_count"]
    id: RuleId = "profitable_days"
    threshold: Size | None = None
    compare: Literal[">=", ">"]
    basis: DayBasis = "closed_pnl"
    required: Annotated[int, Field(ge=0, le=3650)]
    consecutive: bool = False
    min_pct_of_best_day: Annotated[Annotated[ExactDecimal, Field(gt=0, le=100)] | None, LATER] = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.threshold is not None and self.threshold.type == "pct_of_trade_value":
            raise ValueError("threshold: a day has no trade value; use an amount or another percentage")
        return self

    def problems(self, context: Context) -> Iterator[tuple[str, str]]:
        if isinstance(self.window, LastDays) and self.required > self.window.days:
            yield "required", f"more days than the window of {self.window.days} contains; lower it"

    def start(self, context: Context) -> ProfitableDaysState:
        return ProfitableDaysState()

    def renewed(self, state: ProfitableDaysState, context: Context) -> ProfitableDaysState:
        return ProfitableDaysState(sees_trades=state.sees_trades)

    def merge(self, before: Mapping[str, int], more: Mapping[str, int]) -> dict[str, int]:
        broken = self.consecutive and more["breaks"] > 0
        return {
            "days": more["days"] if broken else before["days"] + more["days"],
            "unknown": before["unknown"] + more["unknown"],
            "breaks": before["breaks"] + more["breaks"],
            "best_minor": max(before["best_minor"], more["best_minor"]),
        }

    def moved(self, state: ProfitableDaysState, event: Event, context: Context) -> ProfitableDaysState:
        if isinstance(event, Opened | Closed) and self.consecutive and not state.sees_trades:
            return state.model_copy(update={"sees_trades": True})
        if not isinstance(event, DayEnded):
            return state
        day, profit = day_of(event, context), day_profit(event, self.basis)
        if profit is None:
            return self.added(state, day, {"unknown": 1})
        judged: dict[str, int] = {"day_pnl_minor": profit}
        least = self._least(state, event.balance_minor, context)
        if self._follows_money:
            judged["threshold_minor"] = least
        state = state.model_copy(update=judged)
        if self._is_idle(state, event, profit):
            return state
        counts = self._reached(profit, least, state)
        figures = {"days": 1} if counts else {"breaks": 1} if self.consecutive else {}
        return self.added(state, day, {**figures, "best_minor": max(0, profit)})

    def counted(self, days: int, context: Context, threshold_minor: int | None = None) -> GateStatus:
        """Returns the status with `days` counted."""
        met = days >= self.required
        row = " in a row" if self.consecutive else ""
        sentence = f"{days} of {count(self.required, 'profitable day')}{row} completed."
        least = threshold_minor
        if least is None:
            least = self._least(self.start(context), context.initial_minor, context)
        figures = {"profitable_days": days, "required": self.required, "threshold": least}
        return GateStatus(met, "met" if met else "not_met", sentence, figures)

    def status(self, state: ProfitableDaysState, context: Context) -> GateStatus:
        known = self.counted(state.days, context, state.threshold_minor)
        figures = {**known.figures, "day_pnl": state.day_pnl_minor}
        if known.met or not state.unknown:
            return GateStatus(known.met, known.outcome, known.sentence, figures)
        more = count(state.unknown, "more day")
        sentence = f"{known.sentence} The result of {more} is unknown because prices are missing."
        return GateStatus(False, known.outcome, sentence, {**figures, "needs_prices": True})

    def words(self, context: Context) -> str:
        row = " in a row" if self.consecutive else ""
        window = "" if self.window == "whole_phase" else f" {self.window_words}"
        days = count(self.required, "profitable day")
        words = f"Profitable days. Before {self.blocked_words} you need at least {days}{row}{window}."
        if self.threshold is None:
            result = "made no loss" if self.compare == ">=" else "made a profit"
        else:
            result = f"made {'at least' if self.compare == '>=' else 'more than'} {context.size(self.threshold)}"
        if self.min_pct_of_best_day is not None:
            result += f" and at least {percent(self.min_pct_of_best_day)} of the best day before it"
        words += f" A day counts if it {result}, measured as {BASIS_WORDS[self.basis]}."
        if self.consecutive:
            words += " A day that does not count begins the row anew; a day without a trade does not."
        return words

    def _is_idle(self, state: ProfitableDaysState, event: DayEnded, profit: int) -> bool:
        """Whether the day had no trade: it neither counts nor ends a row. Where the source reports no trades at all, a
        day without a result had none."""
        if event.traded or event.positions_opened or event.closed_minor:
            return False
        return profit == 0 or (self.consecutive and state.sees_trades)

    def _reached(self, profit: int, least: int, state: ProfitableDaysState) -> bool:
        if self.min_pct_of_best_day is not None and profit < half_up(state.best_minor * self.min_pct_of_best_day / 100):
            return False
        return least < NO_LIMIT and (profit >= least if self.compare == ">=" else profit > least)

    def _least(self, state: ProfitableDaysState, balance_minor: int, context: Context) -> int:
        return 0 if self.threshold is None else self.size_minor(self.threshold, state, balance_minor, context)
