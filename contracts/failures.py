"""Refusals that crossed Temporal: the application error's `type` leads back to our own class."""

from collections.abc import Iterator
from typing import Final

from domain import errors
from domain.errors import PropOSError


def _tree(root: type[PropOSError]) -> Iterator[type[PropOSError]]:
    yield root
    for child in root.__subclasses__():
        yield from _tree(child)


_HERE: Final = tuple(cls for cls in _tree(PropOSError) if cls.__module__ == errors.__name__)
# An error that a validator raised as it is arrives under its class name.
ERRORS: Final = {cls.type: cls for cls in _HERE} | {cls.__name__: cls for cls in _HERE}


def error_of(kind: str | None, message: str) -> PropOSError | None:
    """The refusal that `kind` (a stable type or a class name) names, with its sentence; None for a foreign type."""
    cls = ERRORS.get(kind or "")
    if cls is None:
        return None
    error = cls.__new__(cls)
    PropOSError.__init__(error, message)
    return error
