"""Turns an application error from Temporal back into our own error class, by its `type`."""

from collections.abc import Iterator
from typing import Final

from domain import errors
from domain.errors import PropOSError


def _tree(root: type[PropOSError]) -> Iterator[type[PropOSError]]:
    yield root
    for child in root.__subclasses__():
        yield from _tree(child)


_OURS: Final = tuple(cls for cls in _tree(PropOSError) if cls.__module__ == errors.__name__)
# Temporal sends an error that an update validator raises under its class name.
ERRORS: Final = {cls.type: cls for cls in _OURS} | {cls.__name__: cls for cls in _OURS}


def error_of(kind: str | None, message: str) -> PropOSError | None:
    """Returns our error for `kind` (a stable type or a class name) with this message; None for any other type."""
    cls = ERRORS.get(kind or "")
    if cls is None:
        return None
    error = cls.__new__(cls)
    PropOSError.__init__(error, message)
    return error
