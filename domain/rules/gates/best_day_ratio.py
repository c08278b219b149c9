"""Best-day ratio: no single day may make too large a share of the profit. A ratio that is met can become unmet
again."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import Field, model_validator

from domain.money import ExactDecimal, half_up
from domain.rules.base import Context, Gate, GateStatus, State, Violation
from domain.rules.days import BASIS_WORDS, DayBasis, day_profit, is_paid
from domain.rules.events import DayEnded, Event
from domain.rules.terms import RuleId, Size
from domain.wording import count, percent

Effect = Literal[
    "payout_blocked",
    "continue_trading",
    "profit_target_raised_to_best_day_over_limit",
    "excess_added_to_target",
    "excess_deducted",
]
_RAISES: Final = ("profit_target_raised_to_best_day_over_limit", "excess_added_to_target")
_EFFECT_WORDS: Final[dict[Effect, str]] = {
    "payout_blocked": "Until then, no payout can be requested.",
    "continue_trading": "Until then, continue trading.",
    "profit_target_raised_to_best_day_over_limit": (
        "A larger best day raises the profit target until the best day is within the limit."
    ),
    "excess_added_to_target": "The part of the best day above the limit is added to the profit target.",
    "excess_deducted": "The part of the best day above the limit does not count.",
}


class BestDayState(State):
    """The figures since the window began. `unknown`: how many days have an unknown result."""

    best_minor: int = 0
    total_minor: int = 0
    days: int = 0
    unknown: int = 0


class BestDayRatio(Gate[BestDayState]):
    """The best day is compared with `limit_pct` of the `denominator`. `profit_target`: for a phase without a target."""

    judges_running_day: ClassVar[bool] = True

    type: Literal["best_day_ratio"]
    id: RuleId = "best_day"
    limit_pct: Annotated[ExactDecimal, Field(gt=0, le=100)]
    compare: Literal["<", "<="]
    denominator: Literal["total_profit", "profit_target"] = "total_profit"
    profit_target: Size | None = None
    window: Literal["whole_phase", "since_last_approved_payout"] = "whole_phase"
    attribution: DayBasis = "closed_pnl"
    effect: Effect = "payout_blocked"

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.effect == "payout_blocked" and "payout" not in self.blocks:
            raise ValueError("blocks: the effect payout_blocked blocks payouts; add payout, or choose continue_trading")
        if self.effect in _RAISES and "pass" not in self.blocks:
            raise ValueError(f"blocks: the effect {self.effect} holds back a pass; write blocks: [pass]")
        if self.profit_target is not None and self.profit_target.type not in ("amount", "pct_of_initial"):
            raise ValueError("profit_target: it is an amount or pct_of_initial")
        return self

    @property
    def needs_target(self) -> bool:
        """Whether the gate needs a phase with a profit target."""
        return self.profit_target is None and (self.denominator == "profit_target" or self.effect in _RAISES)

    def problems(self, context: Context) -> Iterator[tuple[str, str]]:
        if self.needs_target and context.target_minor is None:
            yield "profit_target", "this phase has no target to measure by; give the rule a profit_target of its own"

    def start(self, context: Context) -> BestDayState:
        return BestDayState()

    def step(self, state: BestDayState, event: Event, context: Context) -> tuple[BestDayState, tuple[Violation, ...]]:
        if self.window == "since_last_approved_payout" and is_paid(event):
            return BestDayState(), ()
        if not isinstance(event, DayEnded):
            return state, ()
        profit = day_profit(event, self.attribution)
        if profit is None:
            return state.model_copy(update={"unknown": state.unknown + 1}), ()
        moved = {
            "best_minor": max(state.best_minor, profit) if state.days else profit,
            "total_minor": state.total_minor + profit,
            "days": state.days + 1,
        }
        return state.model_copy(update=moved), ()

    def ratio(self, state: BestDayState, context: Context) -> Decimal | None:
        """Returns the best day divided by the denominator, in percent; None without a profit."""
        if state.total_minor <= 0:
            return None
        return self._exact(state, context)

    def raised_target(self, state: BestDayState, context: Context, target_minor: int) -> int:
        raised = target_minor
        if self.effect == "profit_target_raised_to_best_day_over_limit":
            raised = self._needed(state)
        elif self.effect == "excess_added_to_target":
            raised = half_up(target_minor + state.best_minor - self.limit_pct * target_minor / 100)
        return max(target_minor, raised)

    def deducted_minor(self, state: BestDayState, context: Context) -> int:
        if self.effect != "excess_deducted" or state.total_minor <= 0:
            return 0
        return max(0, state.best_minor - self._share(self._denominator(state, context)))

    def status(self, state: BestDayState, context: Context) -> GateStatus:
        figures = self._figures(state, context)
        if self.effect in _RAISES:
            return self._raised(state, context, figures)
        if self.effect == "excess_deducted":
            deducted = self.deducted_minor(state, context)
            sentence = f"{context.money(deducted)} of the best day does not count."
            return GateStatus(True, "satisfied", sentence, {**figures, "deducted": deducted})
        return self._compared(state, context, figures)

    @property
    def _limit_words(self) -> str:
        return f"{'less than' if self.compare == '<' else 'at most'} {percent(self.limit_pct)}"

    def words(self, context: Context) -> str:
        of = "the total profit, losing days included"
        if self.denominator == "profit_target":
            of = f"the profit target ({context.money(self._target(context))})"
        window = "since the last payout was paid" if self.window != "whole_phase" else "over the whole phase"
        words = f"Consistency. Your best day must be {self._limit_words} of {of}, {window}."
        words += f" The result of a day is {BASIS_WORDS[self.attribution]}. {_EFFECT_WORDS[self.effect]}"
        if self.effect in _RAISES and self.denominator != "profit_target":
            words += f" Before that, the profit target is {context.money(self._target(context))}."
        return f"{words} This rule applies to {self.blocked_words}."

    def _compared(self, state: BestDayState, context: Context, figures: dict[str, object]) -> GateStatus:
        if state.unknown:
            sentence = f"The result of {count(state.unknown, 'day')} is unknown because prices are missing."
            return GateStatus(False, "blocked", sentence, {**figures, "needs_prices": True})
        if state.total_minor <= 0:
            return GateStatus(False, "blocked", "There is no profit yet, so there is no best-day ratio.", figures)
        reached, allowed = Decimal(state.best_minor) * 100, self.limit_pct * self._denominator(state, context)
        met = reached < allowed if self.compare == "<" else reached <= allowed
        ratio = half_up(self._exact(state, context) * 100)
        sentence = (
            f"The best day made {context.money(state.best_minor)}, which is {Decimal(ratio).scaleb(-2)} % of "
            f"{context.money(self._denominator(state, context))}; it must be {self._limit_words}."
        )
        return GateStatus(met, "satisfied" if met else "blocked", sentence, figures)

    def _raised(self, state: BestDayState, context: Context, figures: dict[str, object]) -> GateStatus:
        target = self._target(context)
        new = self.raised_target(state, context, target)
        cap = self._share(new)
        figures = {**figures, "profit_target": target, "new_target": new, "new_best_day_cap": cap}
        open_ = state.total_minor < new and new > target
        raised = f"The best day raises the profit target from {context.money(target)} to {context.money(new)}."
        sentence = "The profit target is unchanged." if new == target else raised
        return GateStatus(not open_, "target_raised" if open_ else "satisfied", sentence, figures)

    def _figures(self, state: BestDayState, context: Context) -> dict[str, object]:
        return {
            "best_day": state.best_minor,
            "total_profit": state.total_minor,
            "days": state.days,
            "ratio": self.ratio(state, context),
            "limit_pct": self.limit_pct,
            "best_day_cap": self._share(state.total_minor),
            "total_profit_needed": self._needed(state),
        }

    def _exact(self, state: BestDayState, context: Context) -> Decimal:
        return Decimal(state.best_minor) * 100 / self._denominator(state, context)

    def _denominator(self, state: BestDayState, context: Context) -> int:
        return state.total_minor if self.denominator == "total_profit" else self._target(context)

    def _target(self, context: Context) -> int:
        if self.profit_target is not None:
            return self.profit_target.minor(initial=context.initial_minor, basis=0, currency=context.currency)
        if context.target_minor is None:
            raise ValueError("denominator: this phase has no profit target; give the rule its own profit_target")
        return context.target_minor

    def _share(self, minor: int) -> int:
        return half_up(Decimal(minor) * self.limit_pct / 100)

    def _needed(self, state: BestDayState) -> int:
        """Returns the total profit at which the best day is exactly at the limit."""
        return max(0, half_up(Decimal(state.best_minor) * 100 / self.limit_pct))
