"""The rule types there are. A new one is a module, a line here, its schema in `domain.products` and its tests."""

from collections.abc import Callable
from typing import Any, Final

from domain.products import EquityRule
from domain.rules import daily_loss, max_loss_static, max_loss_trailing
from domain.rules.floors import FloorSpec

# Each takes the one rule class its type names, which a mapping's value type cannot say.
_COMPILERS: Final[dict[str, Callable[[Any, int, str], FloorSpec]]] = {
    "daily_loss": daily_loss.compile_rule,
    "max_loss_static": max_loss_static.compile_rule,
    "max_loss_trailing": max_loss_trailing.compile_rule,
}


def compile_rule(rule: EquityRule, initial_minor: int, currency: str) -> FloorSpec:
    """The floor a rule puts under an account that starts with `initial_minor`."""
    return _COMPILERS[rule.type](rule, initial_minor, currency)
