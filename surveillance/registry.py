"""The patterns there are: every module of `patterns/` that defines one.

A new pattern is a module there, with its tests; nothing else lists it (docs/adding-a-detector.md).
"""

import inspect
import pkgutil
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from typing import Any

from surveillance import patterns
from surveillance.pattern import Limits, Pattern


@cache
def pattern_types() -> Mapping[str, type[Pattern[Any]]]:
    """Returns the pattern classes by name, in the order of their names. Raises ValueError when two share a name."""
    found: dict[str, type[Pattern[Any]]] = {}
    for module in pkgutil.iter_modules(patterns.__path__, f"{patterns.__name__}."):
        for value in vars(import_module(module.name)).values():
            if not _is_pattern(value) or value.__module__ != module.name:
                continue
            if value.name in found:
                raise ValueError(f"two patterns are named {value.name}: {found[value.name]} and {value}")
            found[value.name] = value
    return dict(sorted(found.items()))


def default_patterns() -> dict[str, Pattern[Any]]:
    """Returns every pattern with its own default thresholds."""
    return {name: kind(Limits(kind.thresholds())) for name, kind in pattern_types().items()}


def _is_pattern(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, Pattern) and not inspect.isabstract(value)
