"""Account events as plain JSON and back, without loss: the rules read exactly the events that a proof stores."""

from collections.abc import Mapping
from dataclasses import MISSING, fields
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from json import dumps
from typing import Any, Final, get_args

from pydantic import TypeAdapter

from domain.clocks import require_utc
from domain.rules.events import Event, OpenResult


def _name(kind: type) -> str:
    """ "StopChanged" -> "stop_changed"."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in kind.__name__).removeprefix("_")


_TYPES: Final[dict[str, type]] = {_name(kind): kind for kind in get_args(Event)}


_NAMES: Final[dict[type, str]] = {kind: name for name, kind in _TYPES.items()}


def type_of(event: Event) -> str:
    """Returns the value of `type` in the JSON of an event."""
    return _NAMES[type(event)]


def json_value(value: Any) -> Any:
    """Returns a figure as JSON data: decimals, dates and instants (in UTC) as text. Raises TypeError for a float."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, datetime):
        return require_utc(value).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(name): json_value(item) for name, item in value.items()}
    if isinstance(value, OpenResult):
        return {each.name: json_value(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, tuple | list):
        return [json_value(item) for item in value]
    raise TypeError(f"{type(value).__name__} is not a figure of a proof")


def to_json(event: Event) -> dict[str, Any]:
    """Returns the event as JSON data. Fields with their default value are left out."""
    data: dict[str, Any] = {"type": type_of(event)}
    kind: type = type(event)
    for name, default in _fields(kind):
        value = getattr(event, name)
        if default is MISSING or value != default:
            data[name] = json_value(value)
    return data


def from_json(data: Mapping[str, Any]) -> Event:
    """Reads an event that `to_json` wrote. Raises ValueError for anything else, also for another way to write the
    same."""
    kind = _TYPES.get(str(data.get("type")))
    if kind is None:
        raise ValueError(f"type: {data.get('type')!r} is not an event; use one of {', '.join(_TYPES)}")
    event: Event = _reader(kind).validate_python({name: value for name, value in data.items() if name != "type"})
    again = to_json(event)
    same = {name for name in again.keys() & data.keys() if _written_alike(again[name], data[name])}
    wrong = sorted({*again, *data} - same)
    if wrong:
        raise ValueError(f"{', '.join(wrong)}: not as `to_json` writes it")
    return event


def _written_alike(one: Any, other: Any) -> bool:
    """Returns whether the JSON text of both is the same: 1, 1.0 and true are equal as numbers only."""
    if type(one) is type(other) and (one is None or isinstance(one, str | bool | int)):
        return bool(one == other)
    return dumps(one) == dumps(other)


@cache
def _fields(kind: type) -> tuple[tuple[str, Any], ...]:
    """Returns (name, default) of each field."""
    return tuple((each.name, each.default) for each in fields(kind))


@cache
def _reader(kind: type) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
