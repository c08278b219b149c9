"""Maximum exposure: a limit on what is open at one time, fixed or depending on the profit."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from domain.money import ExactDecimal
from domain.rules.base import ConductRule, Context, State, Violation
from domain.rules.events import DayEnded, Event, News, Opened, Rolled
from domain.rules.holdings import Holdings, held_after
from domain.rules.terms import RuleId, Size, Terms
from domain.wording import number

Amount = Annotated[ExactDecimal, Field(ge=0)]


class Tier(Terms):
    """While the profit (balance minus initial balance) is under `below` (None: any), `max` may be open."""

    below: Size | None = None
    max: Amount


class ExposureState(State):
    """`limit`: the limit now. `largest`: the largest exposure so far."""

    limit: Decimal
    holdings: Holdings = ()
    largest: Decimal = Decimal(0)
    offences: int = 0


class MaxExposure(ConductRule[ExposureState]):
    """The total of all open positions must not exceed the limit; each position opened above it is an offence.

    `unit`: the sum of lots, or the number of positions. `weights` multiply each position by the weight of its class.
    `classes` maps symbols to classes; a symbol that is not listed is a class of its own, and a class without a
    weight counts 1. The limit is fixed (`limit`) or depends on the profit (`tiers`), evaluated at the end of each
    trading day or at every event.
    """

    type: Literal["max_exposure"]
    id: RuleId = "max_exposure"
    unit: Literal["lots", "positions"] = "lots"
    weights: Mapping[str, Amount] = Field(default_factory=dict)
    classes: Mapping[str, str] = Field(default_factory=dict)
    limit: Amount | None = None
    tiers: tuple[Tier, ...] = ()
    evaluated: Literal["eod_only", "live"] = "eod_only"

    @model_validator(mode="after")
    def _one_limit(self) -> Self:
        if (self.limit is None) == (not self.tiers):
            raise ValueError("limit, tiers: set one of the two, not both")
        if self.tiers and any((tier.below is None) != (tier is self.tiers[-1]) for tier in self.tiers):
            raise ValueError("tiers: the last tier, and only it, has no `below`, so that every profit has a limit")
        bounds = [tier.below for tier in self.tiers if tier.below is not None]
        if any(bound.type not in ("amount", "pct_of_initial") for bound in bounds):
            raise ValueError("tiers: `below` is an amount or pct_of_initial")
        if len({bound.type for bound in bounds}) > 1:
            raise ValueError("tiers: write every `below` the same way, all amounts or all pct_of_initial")
        values = [bound.value for bound in bounds]
        if values != sorted(set(values)):
            raise ValueError("tiers: `below` must rise from tier to tier")
        return self

    def start(self, context: Context) -> ExposureState:
        return ExposureState(limit=self.limit_at(0, context))

    def limit_at(self, profit_minor: int, context: Context) -> Decimal:
        """Returns the limit at this profit."""
        if self.limit is not None:
            return self.limit
        return next(tier.max for tier in self.tiers if profit_minor < _bound(tier, profit_minor, context))

    def exposure(self, state: ExposureState) -> Decimal:
        """Returns the current exposure in the unit of the rule."""
        return sum((self._weight(h.symbol) * (h.lots if self._by_lots else 1) for h in state.holdings), Decimal(0))

    @property
    def _by_lots(self) -> bool:
        return self.unit == "lots"

    def _weight(self, symbol: str) -> Decimal:
        return self.weights.get(self.classes.get(symbol, symbol), Decimal(1))

    def step(self, state: ExposureState, event: Event, context: Context) -> tuple[ExposureState, tuple[Violation, ...]]:
        if isinstance(event, News):
            return state, ()
        if self.tiers and self._evaluates_at(event):
            limit = self.limit_at(event.balance_minor - context.initial_minor, context)
            state = state if limit == state.limit else state.model_copy(update={"limit": limit})
        holdings = held_after(state.holdings, event)
        if holdings is state.holdings:
            return state, ()
        state = state.model_copy(update={"holdings": holdings})
        total = self.exposure(state)
        state = state.model_copy(update={"largest": max(state.largest, total)})
        if not isinstance(event, Opened) or total <= state.limit:
            return state, ()
        state = state.model_copy(update={"offences": state.offences + 1})
        sentence = f"{number(total)} {self.unit} were open at the same time; the limit is {number(state.limit)}."
        figures = {"exposure": total, "limit": state.limit}
        return state, (self.offended(state.offences, sentence, figures, (event.position_id,)),)

    def _evaluates_at(self, event: Event) -> bool:
        """Whether the profit is evaluated at this event."""
        if isinstance(event, Rolled):
            return event.purpose != "loss_snapshot" or self.evaluated == "live"
        return self.evaluated == "live" and not isinstance(event, DayEnded)

    def words(self, context: Context) -> str:
        counted = "total lots of your open positions" if self._by_lots else "number of your open positions"
        words = f"Exposure. At any time, the {counted} must not exceed "
        if self.limit is not None:
            words += f"{number(self.limit)}."
        else:
            steps = [
                f"{number(tier.max)} while your profit is below {context.size(tier.below)}"
                for tier in self.tiers
                if tier.below is not None
            ]
            when = "at the end of each trading day" if self.evaluated == "eod_only" else "at that moment"
            steps.append(f"{number(self.tiers[-1].max)} with a larger profit")
            words += f"{'; '.join(steps)}. Your profit {when} decides."
        # sorted, because a stored mapping may come back in another order
        if self.weights:
            weights = ", ".join(f"{name} {number(weight)}" for name, weight in sorted(self.weights.items()))
            words += f" Each position counts with the weight of its class: {weights}."
        for name in sorted(set(self.classes.values())):
            symbols = ", ".join(sorted(symbol for symbol, of in self.classes.items() if of == name))
            words += f" Class {name}: {symbols}."
        return f"{words} Each position opened above the limit is a separate offence. {self.consequence_words}"


def _bound(tier: Tier, profit_minor: int, context: Context) -> int:
    """Returns the profit at which the next tier begins; for the last tier, a figure above `profit_minor`."""
    if tier.below is None:
        return profit_minor + 1
    return tier.below.minor(initial=context.initial_minor, basis=0, currency=context.currency)
