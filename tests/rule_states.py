"""Checkpointed rule states for accounts that no monitor has judged."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

from domain.products.phase_terms import phase_terms
from domain.products.product import Product
from domain.rules.floors import FloorSpec, RuleState
from domain.rules.state import AccountRules, fresh, to_json
from tests.shelf import shipped

_SET_AT: Final = datetime(2014, 5, 2, 22, tzinfo=UTC)  # when a level that is not the first one was set


@lru_cache
def _shelf() -> dict[str, Product]:
    return {product.product: product for product in shipped()}


def standing(product: str, phase_index: int, levels: Mapping[str, int] | None = None) -> dict[str, Any]:
    """`rule_state` of an account on a product of the shelf, its rules at these levels, or as they begin."""
    rules = fresh(phase_terms(_shelf()[product], phase_index).specs)
    pairs = zip(rules.specs, rules.states, strict=True)
    at = levels or {}
    return {
        "rules": to_json(AccountRules(rules.specs, tuple(_at(spec, state, at.get(spec.key)) for spec, state in pairs)))
    }


def _at(spec: FloorSpec, state: RuleState, level: int | None) -> RuleState:
    if level is None or level == state.floor_minor:
        return state
    basis = state.basis_minor + level - state.floor_minor
    return replace(
        state,
        floor_minor=level,
        basis_minor=basis,
        balance_minor=basis,
        equity_minor=basis,
        seq=1,
        at=_SET_AT,
    )
