"""The detectors there are: every module of `detectors/` that defines one.

A new detector is a module there, with its tests; nothing else lists it (docs/adding-a-detector.md).
"""

import inspect
import pkgutil
from collections.abc import Mapping
from functools import cache
from importlib import import_module

from domain.surveillance import detectors
from domain.surveillance.base import Detector


@cache
def detector_types() -> Mapping[str, type[Detector]]:
    """Returns the detector classes by name, in the order of their names. Raises ValueError when two share a name."""
    found: dict[str, type[Detector]] = {}
    for module in pkgutil.iter_modules(detectors.__path__, f"{detectors.__name__}."):
        for value in vars(import_module(module.name)).values():
            if not _is_detector(value) or value.__module__ != module.name:
                continue
            if value.name in found:
                raise ValueError(f"two detectors are named {value.name}: {found[value.name]} and {value}")
            found[value.name] = value
    return dict(sorted(found.items()))


def _is_detector(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, Detector) and not inspect.isabstract(value)
