"""Detectors that exist for the length of a test, found by the registry like any other."""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from domain.surveillance import detectors, registry


@contextmanager
def detector_module(folder: Path, name: str, source: str) -> Iterator[None]:
    """A module in the detectors' package, as far as imports can tell. `folder` must hold no other."""
    (folder / f"{name}.py").write_text(source)
    detectors.__path__.append(str(folder))
    registry.detector_types.cache_clear()
    importlib.invalidate_caches()
    try:
        yield
    finally:
        detectors.__path__.remove(str(folder))
        sys.modules.pop(f"{detectors.__name__}.{name}", None)
        vars(detectors).pop(name, None)
        registry.detector_types.cache_clear()
