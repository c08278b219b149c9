"""The events of an account as plain JSON and back, exactly: what a proof keeps of them is what the rules read again."""

from collections.abc import Mapping
from dataclasses import MISSING, fields
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from json import dumps
from typing import Any, Final, get_args

from pydantic import TypeAdapter

from domain.clocks import require_utc
from domain.rules.events import Event


def _name(kind: type) -> str:
    """ "StopChanged" -> "stop_changed"."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in kind.__name__).removeprefix("_")


_TYPES: Final[dict[str, type]] = {_name(kind): kind for kind in get_args(Event)}


def type_of(event: Event) -> str:
    """The name that `type` has in an event's JSON."""
    return _name(type(event))


def plain(value: Any) -> Any:
    """A figure as JSON data: decimals, dates and instants (in UTC) as text. Raises TypeError for a float."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, datetime):
        return require_utc(value).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    raise TypeError(f"{type(value).__name__} is no figure of a proof")


def to_json(event: Event) -> dict[str, Any]:
    """Fields that have their default are left out."""
    told = {each.name: (getattr(event, each.name), each.default) for each in fields(event)}
    return {"type": type_of(event)} | {
        name: plain(value) for name, (value, usual) in told.items() if usual is MISSING or value != usual
    }


def from_json(data: Mapping[str, Any]) -> Event:
    """Read back what `to_json` wrote. Raises ValueError for anything that it would not have written just so."""
    kind = _TYPES.get(str(data.get("type")))
    if kind is None:
        raise ValueError(f"type: {data.get('type')!r} is no event; there are {', '.join(_TYPES)}")
    event: Event = _reader(kind).validate_python({name: value for name, value in data.items() if name != "type"})
    again = to_json(event)
    # as text, for 1, 1.0 and true are equal as numbers
    same = {name for name in again.keys() & data.keys() if dumps(again[name]) == dumps(data[name])}
    wrong = sorted({*again, *data} - same)
    if wrong:
        raise ValueError(f"{', '.join(wrong)}: not as an event writes it")
    return event


@cache
def _reader(kind: type) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
