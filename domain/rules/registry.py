"""All rule types: every module of `equity/`, `conduct/` and `gates/` that defines one.

A new rule type is a new module there, with its tests. No list names it (docs/adding-a-rule.md).
"""

import pkgutil
from functools import cache, reduce
from importlib import import_module
from operator import or_
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from domain.rules import conduct, equity, gates
from domain.rules.base import RuleBase


@cache
def rule_types() -> dict[str, type[RuleBase]]:
    """Returns the rule classes by the value of their `type` field."""
    found: dict[str, type[RuleBase]] = {}
    for family in (equity, conduct, gates):
        for module in pkgutil.iter_modules(family.__path__, f"{family.__name__}."):
            for value in vars(import_module(module.name)).values():
                if isinstance(value, type) and issubclass(value, RuleBase) and value.__module__ == module.name:
                    found |= dict.fromkeys(_names(value), value)
    return found


def _names(rule: type[RuleBase]) -> tuple[str, ...]:
    """Returns the values of the Literal of the `type` field; empty for a base class."""
    return tuple(getattr(rule.model_fields["type"].annotation, "__args__", ()))


# The types are known only at run time, when the modules are found. A type checker sees the base class.
if TYPE_CHECKING:
    AnyRule = RuleBase
else:
    AnyRule = Annotated[reduce(or_, rule_types().values()), Field(discriminator="type")]
