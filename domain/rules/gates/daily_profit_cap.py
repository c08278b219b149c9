"""Daily profit cap: the part of a day's profit above the cap does not count. Nothing is broken or blocked."""

from typing import ClassVar, Literal, Self

from pydantic import model_validator

from domain.rules.base import Context, Gate, GateStatus, State, Violation
from domain.rules.days import BASIS_WORDS, DayBasis, day_profit, is_paid
from domain.rules.events import DayEnded, Event
from domain.rules.terms import RuleId, Size


class ProfitCapState(State):
    """The result since the window began, and the part of it that does not count (minor units)."""

    total_minor: int = 0
    deducted_minor: int = 0
    unknown: int = 0


class DailyProfitCap(Gate[ProfitCapState]):
    judges_running_day: ClassVar[bool] = True

    type: Literal["daily_profit_cap"]
    id: RuleId = "daily_profit_cap"
    amount: Size
    effect: Literal["deduct_excess"] = "deduct_excess"
    basis: DayBasis = "closed_pnl"
    window: Literal["whole_phase", "since_last_payout"] = "whole_phase"

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.amount.type not in ("amount", "pct_of_initial"):
            raise ValueError("amount: a cap on a day's profit is an amount or pct_of_initial")
        return self

    def start(self, context: Context) -> ProfitCapState:
        return ProfitCapState()

    def step(
        self, state: ProfitCapState, event: Event, context: Context
    ) -> tuple[ProfitCapState, tuple[Violation, ...]]:
        if self.window == "since_last_payout" and is_paid(event):
            return ProfitCapState(), ()
        if not isinstance(event, DayEnded):
            return state, ()
        profit = day_profit(event, self.basis)
        if profit is None:
            return state.model_copy(update={"unknown": state.unknown + 1}), ()
        excess = max(0, profit - self._cap(context))
        moved = {"total_minor": state.total_minor + profit, "deducted_minor": state.deducted_minor + excess}
        return state.model_copy(update=moved), ()

    def deducted_minor(self, state: ProfitCapState, context: Context) -> int:
        return state.deducted_minor

    def status(self, state: ProfitCapState, context: Context) -> GateStatus:
        figures = {
            "deducted": state.deducted_minor,
            "counted_total": state.total_minor - state.deducted_minor,
            "total_profit": state.total_minor,
            "amount": self._cap(context),
            **({"needs_prices": True} if state.unknown else {}),
        }
        sentence = f"{context.money(state.deducted_minor)} of profit above the daily cap does not count."
        return GateStatus(True, "satisfied", sentence, figures)

    def words(self, context: Context) -> str:
        window = "since the last payout was paid" if self.window == "since_last_payout" else "over the whole phase"
        words = f"Daily profit cap. At most {context.size(self.amount)} of the profit of one day counts, {window}. The"
        words += f" result of a day is {BASIS_WORDS[self.basis]}; losses count in full."
        return f"{words} This rule applies to {self.blocked_words}."

    def _cap(self, context: Context) -> int:
        return self.amount.minor(initial=context.initial_minor, basis=0, currency=context.currency)
