"""One phase of a product: its rules, its profit target and its time limit."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from domain.money import ExactDecimal
from domain.rules.base import EquityRule, HistoryRule
from domain.rules.registry import AnyRule
from domain.rules.terms import LATER, Size, Terms, Where


class Target(Size):
    """The profit target: reached when the closed balance is at least initial + value and no position is open."""

    type: Literal["amount", "pct_of_initial"]

    @model_validator(mode="after")
    def _is_plain(self) -> Self:
        if not self.is_plain:
            raise ValueError("a target has one value; remove at_least and steps")
        return self

    def over(self, initial_minor: int, currency: str) -> int:
        """Returns the profit that reaches the target, in minor units."""
        return self.minor(initial=initial_minor, basis=initial_minor, currency=currency)


class Extension(Terms):
    """A trader may ask for `days` more days before the time is over, at most `times` times."""

    days: Annotated[int, Field(ge=1, le=365)]
    times: Annotated[int, Field(ge=1, le=20)] = 1


class Phase(Terms):
    """The terms of one account: its rules, its profit target (none in the funded phase), and its time limit.

    `free_retake`: a trader in profit at the end of the time may restart the phase without a fee. `initial_balance`: the
    size of the account, if it is not that of the product; 0 for a futures account that starts at zero.
    """

    name: Annotated[str, Field(min_length=1, max_length=40)]
    target: Target | None = None
    min_trading_days: Annotated[int, Field(ge=0, le=365)] = 0
    time_limit_days: Annotated[int, Field(ge=1, le=3650)] | None = None
    extension: Extension | None = None
    free_retake: bool = False
    rules: Annotated[tuple[AnyRule, ...], Field(min_length=1)]
    initial_balance: Annotated[Annotated[ExactDecimal, Field(ge=0)] | None, LATER] = None

    @model_validator(mode="after")
    def _rule_ids_differ(self) -> Self:
        ids = [rule.id for rule in self.rules]
        if len(set(ids)) != len(ids):
            raise ValueError(f"rules: two rules of phase {self.name!r} share an id; give each its own")
        return self

    def amounts(self) -> Iterator[tuple[Where, Decimal]]:
        if self.initial_balance is not None:
            yield ("initial_balance",), self.initial_balance
        yield from super().amounts()

    @property
    def equity_rules(self) -> tuple[EquityRule, ...]:
        return tuple(rule for rule in self.rules if isinstance(rule, EquityRule))

    @property
    def history_rules(self) -> tuple[HistoryRule[Any], ...]:
        """Conduct rules and gates, in the order of the definition."""
        return tuple(rule for rule in self.rules if isinstance(rule, HistoryRule))
