"""Maximum exposure: a limit on what is open at one time, or in one order; fixed, or depending on the profit."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from domain.money import ExactDecimal
from domain.rules.base import ConductRule, Context, State, Violation
from domain.rules.events import Closed, DayEnded, Event, News, Opened, Rolled, StopChanged
from domain.rules.holdings import NOTHING_HELD, Holding, Holdings, held_after
from domain.rules.positions.exposure import (
    Only,
    Per,
    classes_words,
    counted_words,
    counts,
    in_words,
    limit_for,
    limit_words,
    moved,
    sum_of,
)
from domain.rules.terms import LATER, RuleId, Size, Terms
from domain.wording import number

Amount = Annotated[ExactDecimal, Field(ge=0)]


class Tier(Terms):
    """While the profit (balance minus initial balance) is under `below` (None: any), `max` may be open."""

    below: Size | None = None
    max: Amount


class ExposureState(State):
    """`limit`: the limit now; None where each sum has its own. `largest`: the largest sum so far. `sums`: what is open
    now, by the name of the sum; None in a state of an earlier version."""

    limit: Decimal | None
    holdings: Holdings = NOTHING_HELD
    largest: Decimal = Decimal(0)
    offences: int = 0
    sums: dict[str, Decimal] | None = None


class MaxExposure(ConductRule[ExposureState]):
    """A sum of open positions must not exceed the limit; each position opened above it is an offence.

    `unit`: the sum of lots, or the number of positions. `weights` multiply each position by the weight of its class.
    `classes` maps symbols to classes; a symbol that is not listed is a class of its own, and a class without a
    weight counts 1. `per`: one sum of the account, a sum of each symbol or class, or the lots of each order alone.
    `only`: the sum leaves all other positions out, and they are no offence. The limit is fixed (`limit`: one for all
    sums, or one by symbol or class, and no limit for the others) or depends on the profit (`tiers`), evaluated at the
    end of each trading day or at every event.
    """

    type: Literal["max_exposure"]
    id: RuleId = "max_exposure"
    unit: Literal["lots", "positions"] = "lots"
    weights: Mapping[str, Amount] = Field(default_factory=dict)
    classes: Mapping[str, str] = Field(default_factory=dict)
    limit: Amount | Mapping[str, Amount] | None = None
    tiers: tuple[Tier, ...] = ()
    evaluated: Literal["eod_only", "live"] = "eod_only"
    per: Annotated[Per | Literal["order"], LATER] = "account"
    only: Annotated[Only | None, LATER] = None

    @model_validator(mode="after")
    def _one_limit(self) -> Self:
        if (self.limit is None) == (not self.tiers):
            raise ValueError("limit, tiers: set one of the two, not both")
        if isinstance(self.limit, Mapping) and (not self.limit or self.per not in ("symbol", "class")):
            raise ValueError("limit: limits by name need at least one name, and `per` symbol or class")
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

    @model_validator(mode="after")
    def _orders_have_lots(self) -> Self:
        if self.per == "order" and (self.unit != "lots" or self.only is not None):
            raise ValueError("per: an order has lots only, and no stop of its own; remove `unit` and `only`")
        return self

    def start(self, context: Context) -> ExposureState:
        return ExposureState(limit=self.limit_at(0, context), sums={})

    def limit_at(self, profit_minor: int, context: Context) -> Decimal | None:
        """Returns the limit at this profit; None where each sum has its own."""
        if not self.tiers:
            return None if isinstance(self.limit, Mapping) else self.limit
        return next(tier.max for tier in self.tiers if profit_minor < _bound(tier, profit_minor, context))

    def exposure(self, state: ExposureState) -> Decimal:
        """Returns the largest sum now, in the unit of the rule."""
        return max(self._sums(state).values(), default=Decimal(0))

    @property
    def _by_lots(self) -> bool:
        return self.unit == "lots"

    def _weight(self, symbol: str) -> Decimal:
        return self.weights.get(self.classes.get(symbol, symbol), Decimal(1))

    def _part(self, holding: Holding | None) -> tuple[str, Decimal] | None:
        """Returns the sum that a position belongs to and its part of it; None if it is not counted."""
        if holding is None or not counts(holding, self.only):
            return None
        size = holding.lots if self._by_lots else 1
        return sum_of(holding.symbol, self.per, self.classes), self._weight(holding.symbol) * size

    def _sums(self, state: ExposureState) -> Mapping[str, Decimal]:
        if state.sums is not None:
            return state.sums
        sums: Mapping[str, Decimal] = {}
        for holding in state.holdings:
            sums = moved(sums, None, self._part(holding))
        return sums

    def step(self, state: ExposureState, event: Event, context: Context) -> tuple[ExposureState, tuple[Violation, ...]]:
        if isinstance(event, News):
            return state, ()
        if self.tiers and self._evaluates_at(event):
            limit = self.limit_at(event.balance_minor - context.initial_minor, context)
            state = state if limit == state.limit else state.model_copy(update={"limit": limit})
        if self.per == "order":
            return self._order(state, event) if isinstance(event, Opened) else (state, ())
        holdings = held_after(state.holdings, event)
        if holdings is state.holdings or not isinstance(event, Opened | Closed | StopChanged):
            return state, ()
        before = state.holdings.get(event.position_id)
        part = self._part(holdings.get(event.position_id))
        sums = moved(self._sums(state), self._part(before), part)
        total = sums.get(part[0], Decimal(0)) if part else Decimal(0)
        update = {"holdings": holdings, "sums": sums, "largest": max(state.largest, total)}
        state = state.model_copy(update=update)
        # adding to a position opens no further one
        opens = isinstance(event, Opened) and (self._by_lots or before is None)
        return self._judged(state, event.position_id, part[0], total) if opens and part else (state, ())

    def _order(self, state: ExposureState, event: Opened) -> tuple[ExposureState, tuple[Violation, ...]]:
        size = self._weight(event.symbol) * event.lots
        if size > state.largest:
            state = state.model_copy(update={"largest": size})
        return self._judged(state, event.position_id, "order", size)

    def _judged(
        self, state: ExposureState, position_id: str, name: str, total: Decimal
    ) -> tuple[ExposureState, tuple[Violation, ...]]:
        limit = state.limit if self.tiers else limit_for(self.limit, name)
        if limit is None or total <= limit:
            return state, ()
        state = state.model_copy(update={"offences": state.offences + 1})
        if self.per == "order":
            sentence = f"An order of {number(total)} lots was filled; the limit is {number(limit)}."
        else:
            sentence = f"{number(total)} {self.unit} were open{in_words(self.per, name)} at the same time;"
            sentence += f" the limit is {number(limit)}."
        figures = {"exposure": total, "limit": limit, **({} if self.per == "account" else {"per": name})}
        return state, (self.offended(state.offences, sentence, figures, (position_id,)),)

    def _evaluates_at(self, event: Event) -> bool:
        """Whether the profit is evaluated at this event."""
        if isinstance(event, Rolled):
            return True
        return self.evaluated == "live" and not isinstance(event, DayEnded)

    def words(self, context: Context) -> str:
        if self.per == "order":
            words = "Order size. The lots of one order must not exceed "
        else:
            counted = "total lots" if self._by_lots else "number"
            words = (
                f"Exposure. At any time, the {counted} of your {counted_words(self.per, self.only)} must not exceed "
            )
        if self.limit is not None:
            words += f"{limit_words(self.limit)}."
            words += " There is no limit for any other." if isinstance(self.limit, Mapping) else ""
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
        words += classes_words(self.classes)
        each = "order" if self.per == "order" else "position opened"
        return f"{words} Each {each} above the limit is a separate offence. {self.consequence_words}"


def _bound(tier: Tier, profit_minor: int, context: Context) -> int:
    """Returns the profit at which the next tier begins; for the last tier, a figure above `profit_minor`."""
    if tier.below is None:
        return profit_minor + 1
    return tier.below.minor(initial=context.initial_minor, basis=0, currency=context.currency)
