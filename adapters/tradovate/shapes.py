"""Parts of the venue's messages in their shapes. What does not fit is Unreadable."""

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from adapters.tradovate.wire import loads
from ports.venue import Fact, Unreadable

_R = TypeVar("_R", bound=BaseModel)


def readable(read: Callable[[Any], Iterator[Fact]], value: Any) -> Iterator[Fact]:
    """Turns what reading raises into Unreadable."""
    try:
        yield from read(value)
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        raise Unreadable(f"{type(exc).__name__}: {str(exc)[:120]}") from exc


def as_row(shape: type[_R], value: Any, what: str) -> _R:
    try:
        return shape.model_validate(value)
    except ValidationError as exc:
        first = exc.errors(include_input=False, include_context=False, include_url=False)[0]
        raise Unreadable(f"{what}: {'.'.join(map(str, first['loc']))} {first['msg']}") from None


def as_rows(shape: type[_R], body: Any, name: str) -> list[_R]:
    return [as_row(shape, each, name) for each in body[name]]


def as_json(body: bytes) -> Any:
    try:
        return loads(body)
    except (ValueError, RecursionError):
        raise Unreadable("It is not JSON.") from None
