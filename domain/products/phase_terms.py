"""The terms of one phase of one product version, compiled from the definition."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from domain.products.phase import Phase
from domain.products.product import Product
from domain.rules.base import Context, HistoryRule, RuleBase, VenueCalendar
from domain.rules.floors import FloorSpec


@dataclass(frozen=True, slots=True)
class PhaseTerms:
    """The compiled terms of one phase of one product version. All its accounts of one size share them."""

    product: Product
    phase_index: int
    specs: tuple[FloorSpec, ...]
    target_minor: int | None
    history_rules: tuple[HistoryRule[Any], ...]
    context: Context
    min_trading_days: int
    passing_minor: int | None  # the least balance that can pass; gates may ask for more; None: no target

    def rule(self, rule_id: str) -> RuleBase:
        return next(rule for rule in self.phase.rules if rule.id == rule_id)

    @property
    def initial_minor(self) -> int:
        """The balance with which the account starts, in minor units."""
        return self.context.initial_minor

    @property
    def phase(self) -> Phase:
        return self.product.phase(self.phase_index)


def phase_terms(
    product: Product,
    phase_index: int,
    calendars: Mapping[str, VenueCalendar] | None = None,
    initial_minor: int | None = None,
) -> PhaseTerms:
    """Returns the terms of an account. `initial_minor`: its size, if it has grown; None: the size of the phase."""
    phase, context = product.phase(phase_index), product.context(phase_index, calendars, initial_minor)
    specs = compile_phase(phase, context.initial_minor, product.currency)
    specs = tuple(replace(spec, warn_at_pct=product.warn_at_pct) for spec in specs)
    target = context.target_minor
    passing = None if target is None else context.initial_minor + target
    return PhaseTerms(
        product, phase_index, specs, target, phase.history_rules, context, phase.min_trading_days, passing
    )


def compile_phase(phase: Phase, initial_minor: int, currency: str) -> tuple[FloorSpec, ...]:
    """Returns the levels of the equity rules of a phase, in the order of the definition."""
    return tuple(spec for rule in phase.equity_rules for spec in rule.compile(initial_minor, currency))
