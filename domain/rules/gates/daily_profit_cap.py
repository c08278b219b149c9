"""Daily profit cap: the part of a day's profit above the cap does not count. Nothing is broken or blocked."""

from typing import ClassVar, Literal, Self

from pydantic import model_validator

from domain.rules.base import Context, GateStatus
from domain.rules.days import BASIS_WORDS, DayBasis, day_profit
from domain.rules.events import DayEnded, Event
from domain.rules.gates.windows import WindowGate, WindowState, day_of
from domain.rules.terms import RuleId, Size


class ProfitCapState(WindowState):
    """The result of the window, and the part of it that does not count (minor units). `amount_minor`: the cap of the
    last day, where it changes from day to day."""

    total_minor: int = 0
    deducted_minor: int = 0
    unknown: int = 0
    amount_minor: int | None = None


class DailyProfitCap(WindowGate[ProfitCapState]):
    TALLY: ClassVar[tuple[str, ...]] = ("total_minor", "deducted_minor", "unknown")
    judges_running_day: ClassVar[bool] = True

    type: Literal["daily_profit_cap"]
    id: RuleId = "daily_profit_cap"
    amount: Size
    effect: Literal["deduct_excess"] = "deduct_excess"
    basis: DayBasis = "closed_pnl"

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.amount.type == "pct_of_trade_value":
            raise ValueError("amount: a day has no trade value; use an amount or another percentage")
        return self

    @property
    def leaves_out(self) -> bool:
        return True

    def start(self, context: Context) -> ProfitCapState:
        return ProfitCapState()

    def moved(self, state: ProfitCapState, event: Event, context: Context) -> ProfitCapState:
        if not isinstance(event, DayEnded):
            return state
        day, profit = day_of(event, context), day_profit(event, self.basis)
        if profit is None:
            return self.added(state, day, {"unknown": 1})
        cap = self.size_minor(self.amount, state, event.balance_minor, context)
        state = self.added(state, day, {"total_minor": profit, "deducted_minor": max(0, profit - cap)})
        return state.model_copy(update={"amount_minor": cap}) if self._follows_money else state

    def window_deducted(self, state: ProfitCapState, context: Context) -> int:
        return state.deducted_minor

    def status(self, state: ProfitCapState, context: Context) -> GateStatus:
        cap = state.amount_minor
        figures = {
            "deducted": state.deducted_minor,
            "counted_total": state.total_minor - state.deducted_minor,
            "total_profit": state.total_minor,
            "amount": self.size_minor(self.amount, state, context.initial_minor, context) if cap is None else cap,
            **({"needs_prices": True} if state.unknown else {}),
        }
        sentence = f"{context.money(state.deducted_minor)} of profit above the daily cap does not count."
        return GateStatus(True, "satisfied", sentence, figures)

    def words(self, context: Context) -> str:
        words = f"Daily profit cap. At most {context.size(self.amount)} of the profit of one day counts,"
        words += f" {self.window_words}. The result of a day is {BASIS_WORDS[self.basis]}; losses count in full."
        return f"{words}{self.left_out_words} This rule applies to {self.blocked_words}."
