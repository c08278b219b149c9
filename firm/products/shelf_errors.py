"""Error messages for people who write product definitions: the field, what is wrong with it, what to write instead."""

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, Final, Literal, get_args, get_origin

from pydantic import BaseModel

from domain.products.product import Product
from domain.quoting import cut, quoted
from domain.rules.registry import rule_types

Path = tuple[int | str, ...]

_LED_BY_FIELD: Final = re.compile(r"^(\w+)(?:, \w+)*: (.+)$", re.DOTALL)
# the same word is written in many places
_MISSING: Final = {
    "breach_when": "choose `equity < floor` (equity exactly at the limit is still allowed) or `equity <= floor` "
    "(reaching the limit breaks the rule); it is never assumed",
    "compare": "say whether a value exactly at the limit passes; it is never assumed",
    "clock": "say when the trading day ends, such as {zone: Europe/Prague, reset: '00:00'}",
    "zone": "give an IANA name such as Europe/Prague, an offset such as +02:00, or a server's clock",
    "reset": "give the wall time at which the day ends, such as '17:00'",
    "rules": "list the phase's rules, at least one of them a loss limit",
    "funded": "describe the funded phase: a name and its rules",
    "phases": "list the evaluation phases in order; write [] for a product without any",
    "payout": "say when a payout may be requested, of how much, and how it is shared",
    "allowance": "say how much may be lost, such as {type: pct_of_initial, value: '5'}",
    "type": "say which kind it is",
    "value": "give the number, in quotes, such as '5'",
}
_SHAPES: Final = {
    "reset": "write a wall time from 00:00 to 23:59, such as '17:00'",
    "time": "write a wall time from 00:00 to 23:59, such as '15:10'",
    "reopens": "write a wall time from 00:00 to 23:59, such as '17:00'",
    "currency": "write the code of a currency in capitals, such as USD",
    "product": "write small letters, digits and dashes, such as two-step",
    "id": "write small letters, digits and underscores, such as daily_loss",
    "name": "write small letters, digits, dashes and underscores, such as on-demand",
}
_BOUNDS: Final = {
    "greater_than": ("more than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
}


def explained(error: Mapping[str, Any]) -> tuple[Path, str]:
    """Returns (path, what is wrong and the remedy) of one error that `Product` raised."""
    path, kind = error["loc"], error["type"]
    if kind == "value_error":
        return _led(path, error["msg"].removeprefix("Value error, "))
    return path, _sentence(kind, path, error)


def _led(path: Path, text: str) -> tuple[Path, str]:
    """A sentence that begins with a field of the part at `path` is about that field."""
    found, (model, _) = _LED_BY_FIELD.match(text), _at(path)
    if found is None or model is None or found[1] not in model.model_fields:
        return path, text
    others = text.partition(":")[0].split(", ")[1:]
    return (*path, found[1]), found[2] if not others else f"(with {', '.join(others)}) {found[2]}"


def _sentence(kind: str, path: Path, error: Mapping[str, Any]) -> str:
    name = str(path[-1]) if path else ""
    context: dict[str, Any] = error.get("ctx", {})
    if kind == "missing":
        return _missing(path, name)
    if kind == "extra_forbidden":
        return _unknown(path, name)
    if kind == "literal_error":
        return f"{quoted(error['input'])} is not possible here; choose {_or(_choices(path)) or context['expected']}"
    if kind == "union_tag_invalid":
        # pydantic shows the tags in quotes
        return f"there is no type {quoted(context['tag'])}; choose one of {context['expected_tags']}"
    if kind == "union_tag_not_found":
        return f"its type is missing; choose one of {_or(rule_types()) if 'rules' in path else 'those there are'}"
    if kind == "too_short":
        return "it is empty; list at least one"
    return _wrong_value(kind, name, error)


def _wrong_value(kind: str, name: str, error: Mapping[str, Any]) -> str:
    """Returns the sentence about one number or text that its field does not take."""
    found, context = quoted(error["input"]), error.get("ctx", {})
    if kind in _BOUNDS:
        words, key = _BOUNDS[kind]
        return f"it must be {words} {context[key]}; {found} is not"
    if kind == "string_pattern_mismatch":
        return f"{found} has another form; {_SHAPES.get(name) or 'it must match ' + context['pattern']}"
    if kind.startswith("int_"):
        return f"{found} is no whole number; write one without a fraction"
    if kind.startswith("decimal_") or kind == "finite_number":
        return f"{found} is no valid decimal number; write it in quotes, such as '5' or '0.25'"
    return f"{error['msg']}; the value is {found}"


def _missing(path: Path, name: str) -> str:
    choices = _or(_choices(path))
    hint = _MISSING.get(name)
    if name == "breach_when" or not choices:
        return f"it is missing; {hint or f'add `{name}: …`'}"
    return f"it is missing; choose {choices}" + (f": {hint}" if hint and name != "type" else "")


def _unknown(path: Path, name: str) -> str:
    model, _ = _at(path[:-1])
    known = list(model.model_fields) if model else []
    near = get_close_matches(cut(name), known, n=1)
    if near:
        return f"there is no such field here; did you mean {near[0]}?"
    return f"there is no such field here; remove it. There are: {', '.join(known)}" if known else "remove it"


def _choices(path: Path) -> tuple[str, ...]:
    """Returns the values that the field at `path` may have, if they are a list."""
    return tuple(str(value) for value in _literals(_at(path)[1]))


def _literals(annotation: Any) -> Iterator[Any]:
    if get_origin(annotation) is Literal:
        yield from get_args(annotation)
    else:
        for part in get_args(annotation):
            yield from _literals(part)


def _at(path: Path) -> tuple[type[BaseModel] | None, Any]:
    """Returns (model, annotation) at `path` of a definition; None for what is no model, or not known."""
    model: type[BaseModel] | None = Product
    annotation: Any = Product
    for step in path:
        if isinstance(step, int):
            continue
        if model is not None and step in model.model_fields:
            annotation = model.model_fields[step].annotation
            model = _model_in(annotation)
        elif step in rule_types():
            annotation = model = rule_types()[step]
        else:
            return None, None
    return model, annotation


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part)) is not None), None)


def _or(names: Any) -> str:
    quoted = [f"'{name}'" for name in names]
    return quoted[0] if len(quoted) == 1 else " or ".join([", ".join(quoted[:-1]), quoted[-1]]) if quoted else ""
