"""Best-day ratio: no single day may make too large a share of the profit. A ratio that is met can become unmet
again."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import Field, model_validator

from domain.money import ExactDecimal, half_up
from domain.rules.base import Context, GateStatus
from domain.rules.days import BASIS_WORDS, DayBasis, day_profit
from domain.rules.events import Closed, DayEnded, Event
from domain.rules.gates.windows import WindowGate, WindowState, day_of
from domain.rules.terms import LATER, RuleId, Size
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


class BestDayState(WindowState):
    """The figures of the window: the best day (or trade), the net result, how many days (or trades) there are, and the
    result without losing ones. `unknown`: how many days have an unknown result."""

    best_minor: int = 0
    total_minor: int = 0
    days: int = 0
    unknown: int = 0
    gains_minor: int = 0


class BestDayRatio(WindowGate[BestDayState]):
    """The best day is compared with `limit_pct` of the `denominator`. `profit_target`: for a phase without a target.
    `unit` trade: the best position instead, by its closes so far in the window. Up to a net profit of
    `binds_above_profit` the rule is satisfied and leaves nothing out."""

    TALLY: ClassVar[tuple[str, ...]] = ("best_minor", "total_minor", "days", "unknown", "gains_minor")
    judges_running_day: ClassVar[bool] = True

    type: Literal["best_day_ratio"]
    id: RuleId = "best_day"
    limit_pct: Annotated[ExactDecimal, Field(gt=0, le=100)]
    compare: Literal["<", "<="]
    denominator: Literal["total_profit", "profit_target", "profits_only"] = "total_profit"
    profit_target: Size | None = None
    attribution: DayBasis = "closed_pnl"
    effect: Effect = "payout_blocked"
    unit: Annotated[Literal["day", "trade"], LATER] = "day"
    binds_above_profit: Annotated[Size | None, LATER] = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.effect == "payout_blocked" and "payout" not in self.blocks:
            raise ValueError("blocks: the effect payout_blocked blocks payouts; add payout, or choose continue_trading")
        if self.effect in _RAISES and "pass" not in self.blocks:
            raise ValueError(f"blocks: the effect {self.effect} holds back a pass; write blocks: [pass]")
        if self.profit_target is not None and self.profit_target.type not in ("amount", "pct_of_initial"):
            raise ValueError("profit_target: it is an amount or pct_of_initial")
        if self.binds_above_profit is not None and self.binds_above_profit.type not in ("amount", "pct_of_initial"):
            raise ValueError("binds_above_profit: it is an amount or pct_of_initial")
        if self.unit == "trade" and self.attribution != "closed_pnl":
            raise ValueError("attribution: a trade counts by its closes; remove it")
        return self

    @property
    def leaves_out(self) -> bool:
        return self.effect == "excess_deducted"

    @property
    def needs_target(self) -> bool:
        """Whether the gate needs a phase with a profit target."""
        return self.profit_target is None and (self.denominator == "profit_target" or self.effect in _RAISES)

    def problems(self, context: Context) -> Iterator[tuple[str, str]]:
        if self.needs_target and context.target_minor is None:
            yield "profit_target", "this phase has no target to measure by; give the rule a profit_target of its own"

    def start(self, context: Context) -> BestDayState:
        return BestDayState()

    def merge(self, before: Mapping[str, int], more: Mapping[str, int]) -> dict[str, int]:
        bests = [part["best_minor"] for part in (before, more) if part["days"]]
        return {**super().merge(before, more), "best_minor": max(bests, default=0)}

    def moved(self, state: BestDayState, event: Event, context: Context) -> BestDayState:
        if self.unit == "trade":
            return self._trade(state, event, context) if isinstance(event, Closed) else state
        if not isinstance(event, DayEnded):
            return state
        day, profit = day_of(event, context), day_profit(event, self.attribution)
        if profit is None:
            return self.added(state, day, {"unknown": 1})
        return self.added(state, day, {**_unit(profit), "total_minor": profit})

    def _trade(self, state: BestDayState, event: Closed, context: Context) -> BestDayState:
        day = day_of(event, context)
        state = self.with_piece(state, event.position_id, event.pnl_minor, day)
        figures = {"total_minor": event.pnl_minor}
        if event.lots_left <= 0:
            state, made = self.piece_done(state, event.position_id, day)
            if event.position_id not in state.pieces:
                figures |= _unit(made)
        return self.added(state, day, figures)

    def ratio(self, state: BestDayState, context: Context) -> Decimal | None:
        """Returns the best day divided by the denominator, in percent; None without a profit."""
        if state.total_minor <= 0:
            return None
        return self._exact(state, context)

    def raised_target(self, state: BestDayState, context: Context, target_minor: int) -> int:
        raised = target_minor
        if self._is_small(state, context):
            return target_minor
        if self.effect == "profit_target_raised_to_best_day_over_limit":
            raised = self._needed(state)
        elif self.effect == "excess_added_to_target":
            raised = half_up(target_minor + _best(state) - self.limit_pct * target_minor / 100)
        return max(target_minor, raised)

    def window_deducted(self, state: BestDayState, context: Context) -> int:
        if not self.leaves_out or self._is_small(state, context):
            return 0
        return max(0, _best(state) - self._share(max(0, self.denominator_minor(state, context))))

    def gone_minor(self, before: BestDayState, after: BestDayState, context: Context) -> int:
        """While the best day stays in the window, its excess does too."""
        return self.window_deducted(before, context) if _best(after) < _best(before) else 0

    def status(self, state: BestDayState, context: Context) -> GateStatus:
        figures = self._figures(state, context)
        if self.effect in _RAISES:
            return self._raised(state, context, figures)
        if self.effect == "excess_deducted":
            deducted = self.window_deducted(state, context)
            sentence = f"{context.money(deducted)} of the best {self.unit} does not count."
            return GateStatus(True, "satisfied", sentence, {**figures, "deducted": deducted})
        return self._compared(state, context, figures)

    @property
    def _limit_words(self) -> str:
        return f"{'less than' if self.compare == '<' else 'at most'} {percent(self.limit_pct)}"

    def words(self, context: Context) -> str:
        losing = "losing days" if self.unit == "day" else "losing trades"
        of = f"the total profit, {losing} included"
        if self.denominator == "profit_target":
            of = f"the profit target ({context.money(self._target(context))})"
        elif self.denominator == "profits_only":
            of = f"the profits, {losing} left out"
        words = f"Consistency. Your best {self.unit} must be {self._limit_words} of {of}, {self.window_words}."
        if self.unit == "day":
            words += f" The result of a day is {BASIS_WORDS[self.attribution]}."
        else:
            words += " The result of a trade is what its position has made by its closes in that time."
        words += f" {self._effect_words}"
        if self.binds_above_profit is not None:
            words += f" Up to a profit of {context.size(self.binds_above_profit)} this rule does not bind."
        if self.effect in _RAISES and self.denominator != "profit_target":
            words += f" Before that, the profit target is {context.money(self._target(context))}."
        return f"{words}{self.left_out_words} This rule applies to {self.blocked_words}."

    @property
    def _effect_words(self) -> str:
        return _EFFECT_WORDS[self.effect].replace("best day", f"best {self.unit}")

    def _compared(self, state: BestDayState, context: Context, figures: dict[str, object]) -> GateStatus:
        if state.unknown:
            sentence = f"The result of {count(state.unknown, 'day')} is unknown because prices are missing."
            return GateStatus(False, "blocked", sentence, {**figures, "needs_prices": True})
        if self._is_small(state, context):
            assert self.binds_above_profit is not None
            sentence = f"Up to a profit of {context.size(self.binds_above_profit)} this rule does not bind."
            return GateStatus(True, "satisfied", sentence, figures)
        if state.total_minor <= 0:
            sentence = f"There is no profit yet, so there is no best-{self.unit} ratio."
            return GateStatus(False, "blocked", sentence, figures)
        best, whole = _best(state), self.denominator_minor(state, context)
        reached, allowed = Decimal(best) * 100, self.limit_pct * whole
        met = reached < allowed if self.compare == "<" else reached <= allowed
        ratio = half_up(self._exact(state, context) * 100)
        sentence = (
            f"The best {self.unit} made {context.money(best)}, which is {Decimal(ratio).scaleb(-2)} % of "
            f"{context.money(whole)}; it must be {self._limit_words}."
        )
        return GateStatus(met, "satisfied" if met else "blocked", sentence, figures)

    def _raised(self, state: BestDayState, context: Context, figures: dict[str, object]) -> GateStatus:
        target = self._target(context)
        new = self.raised_target(state, context, target)
        cap = self._share(new)
        figures = {**figures, "profit_target": target, "new_target": new, "new_best_day_cap": cap}
        open_ = state.total_minor < new and new > target
        raised = f"The best {self.unit} raises the profit target from {context.money(target)} to {context.money(new)}."
        sentence = "The profit target is unchanged." if new == target else raised
        return GateStatus(not open_, "target_raised" if open_ else "satisfied", sentence, figures)

    def _figures(self, state: BestDayState, context: Context) -> dict[str, object]:
        whole = state.total_minor
        if self.denominator != "total_profit" and (self.denominator == "profits_only" or self._has_target(context)):
            whole = self.denominator_minor(state, context)
        figures: dict[str, object] = {
            "best_day": _best(state),
            "total_profit": state.total_minor,
            "days": state.days,
            "ratio": self.ratio(state, context),
            "limit_pct": self.limit_pct,
            "best_day_cap": self._share(whole),
            "total_profit_needed": self._needed(state),
        }
        if self.binds_above_profit is not None:
            figures["binds_above_profit"] = self._bound(context)
        return figures

    def _has_target(self, context: Context) -> bool:
        return self.profit_target is not None or context.target_minor is not None

    def _is_small(self, state: BestDayState, context: Context) -> bool:
        """Whether the net profit is so small that the rule does not bind yet."""
        bound = self._bound(context)
        return bound is not None and state.total_minor <= bound

    def _bound(self, context: Context) -> int | None:
        size = self.binds_above_profit
        if size is None:
            return None
        return size.minor(initial=context.initial_minor, basis=0, currency=context.currency)

    def _exact(self, state: BestDayState, context: Context) -> Decimal:
        return Decimal(_best(state)) * 100 / self.denominator_minor(state, context)

    def denominator_minor(self, state: BestDayState, context: Context) -> int:
        if self.denominator == "profits_only":
            return state.gains_minor + sum(max(0, made) for made in _pieces(state))
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
        return max(0, half_up(Decimal(_best(state)) * 100 / self.limit_pct))


def _unit(made_minor: int) -> dict[str, int]:
    """Returns the figures of one day or one trade."""
    return {"best_minor": made_minor, "gains_minor": max(0, made_minor), "days": 1}


def _pieces(state: BestDayState) -> list[int]:
    """Returns the results of the positions that are closed in part."""
    return [sum(piece.values()) for piece in state.pieces.values()]


def _best(state: BestDayState) -> int:
    """Returns the result of the best day, or of the best position with those that are closed in part."""
    finished = [state.best_minor] if state.days else []
    return max([*finished, *_pieces(state)], default=0)
