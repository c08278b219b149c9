"""The shape of a file of cases as JSON: no field twice, nothing nested without end."""

from collections.abc import Mapping
from typing import Any, Final

from cli.conformance.refusal import Unsupported
from domain.quoting import quoted

_DEEPEST: Final = 30
_TWICE: Final = "given twice"


class Twice(dict[str, Any]):
    """An object of the file that names a field twice: JSON would keep the last and ignore the first."""


def json_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Returns an object as the file writes it; one with a field twice as `Twice`."""
    found = dict(pairs)
    return found if len(found) == len(pairs) else Twice(found, **{_TWICE: _repeated(pairs)})


def _repeated(pairs: list[tuple[str, Any]]) -> str:
    names = [name for name, _ in pairs]
    return next(name for name in names if names.count(name) > 1)


def is_deep(raw: Any) -> bool:
    """Whether a case is nested deeper than any case needs; such a case is not read."""
    level = [raw]
    for _ in range(_DEEPEST):
        inner = [each.values() if isinstance(each, dict) else each for each in level if isinstance(each, dict | list)]
        level = [part for parts in inner for part in parts]
    return bool(level)


def check_once(part: Any) -> None:
    """Raises Unsupported for a field that is given twice, at any depth."""
    if isinstance(part, Twice):
        raise Unsupported(f"{quoted(part[_TWICE])} is given twice", part[_TWICE])
    for each in part.values() if isinstance(part, Mapping) else part if isinstance(part, list) else ():
        check_once(each)
