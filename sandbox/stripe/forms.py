"""Form-encoded parameters with nested brackets, and their checks.

`line_items[0][price_data][currency]=usd` becomes {"line_items": [{"price_data": {"currency": "usd"}}]}. All values are
texts. An operation takes its parameters one by one, then calls `finish`, which refuses what is left.
"""

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

from sandbox.stripe.errors import ApiError, invalid

_MAX_KEYS: Final = 50
_MAX_KEY: Final = 40
_MAX_VALUE: Final = 500
_LARGEST: Final = 99_999_999
_NO_DECIMALS_BUT_TWO: Final = ("isk", "ugx")  # written with two decimals that are always 00
_THREE_DECIMALS: Final = ("bhd", "jod", "kwd", "omr", "tnd")  # the last digit is always 0


def parse(text: str) -> dict[str, Any]:
    """Returns a form or query as nested dicts and lists of texts."""
    root: dict[str, Any] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        head, *rest = [name.split("[", 1)[0], *re.findall(r"\[([^\]]*)\]", name)]
        node, key = root, head
        for part in rest:
            below = node.setdefault(key, {})
            if not isinstance(below, dict):
                raise invalid(f"Invalid object: {name}", head)
            node, key = below, part or str(len(below))
        node[key] = value
    return {name: _listed(value) for name, value in root.items()}


def _listed(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if value and all(key.isdigit() for key in value):
        return [_listed(value[key]) for key in sorted(value, key=int)]
    return {key: _listed(below) for key, below in value.items()}


class Params:
    """The parameters of one call, or one object inside them. `prefix` names it in errors."""

    def __init__(self, values: Mapping[str, Any], prefix: str = "") -> None:
        self._values, self._prefix = dict(values), prefix
        self._inside: list[Params] = []

    def name(self, name: str) -> str:
        return f"{self._prefix}[{name}]" if self._prefix else name

    def has(self, name: str) -> bool:
        return name in self._values

    def is_object(self, name: str) -> bool:
        return isinstance(self._values.get(name), dict)

    def text(self, name: str, *, longest: int = 5000) -> str | None:
        """Returns a text, or None when it is absent or empty."""
        value = self._values.pop(name, None)
        if value is None or value == "":
            return None
        if not isinstance(value, str):
            raise invalid(f"Invalid string: {value}", self.name(name), "parameter_invalid_string")
        if len(value) > longest:
            raise invalid(
                f"Invalid string: {value[:20]}...; must be at most {longest} characters",
                self.name(name),
                "parameter_invalid_string",
            )
        return value

    def required(self, name: str, *, longest: int = 5000) -> str:
        value = self.text(name, longest=longest)
        if value is None:
            raise invalid(f"Missing required param: {self.name(name)}.", self.name(name), "parameter_missing")
        return value

    def choice(self, name: str, allowed: tuple[str, ...]) -> str | None:
        value = self.text(name)
        if value is not None and value not in allowed:
            raise invalid(f"Invalid {self.name(name)}: must be one of {', '.join(allowed)}", self.name(name))
        return value

    def integer(self, name: str, *, least: int = 0, most: int = 2**53) -> int | None:
        value = self.text(name)
        if value is None:
            return None
        if not re.fullmatch(r"-?[0-9]{1,18}", value):
            raise invalid(f"Invalid integer: {value}", self.name(name), "parameter_invalid_integer")
        if not least <= int(value) <= most:
            message = f"This value must be between {least} and {most}."
            raise invalid(message, self.name(name), "parameter_invalid_integer")
        return int(value)

    def flag(self, name: str) -> bool | None:
        value = self.choice(name, ("true", "false"))
        return None if value is None else value == "true"

    def amount(self, name: str, currency: str) -> int | None:
        """Returns an amount in the API's smallest unit of `currency`, above zero."""
        value = self.integer(name, least=1, most=_LARGEST)
        step = 100 if currency in _NO_DECIMALS_BUT_TWO else 10 if currency in _THREE_DECIMALS else 1
        if value is not None and value % step:
            raise invalid(f"Invalid amount: in {currency} it must be a multiple of {step}.", self.name(name))
        return value

    def currency(self, name: str = "currency") -> str:
        value = self.required(name).lower()
        if not re.fullmatch(r"[a-z]{3}", value):
            raise invalid(f"Invalid currency: {value}", self.name(name))
        return value

    def address(self, name: str) -> str | None:
        value = self.text(name)
        if value is not None and not value.startswith(("http://", "https://")):
            raise invalid("Not a valid URL", self.name(name), "url_invalid")
        return value

    def inside(self, name: str) -> "Params":
        """Returns the object `name`, empty when it is absent."""
        value = self._values.pop(name, {}) or {}
        if not isinstance(value, dict):
            raise invalid("Invalid object", self.name(name))
        params = Params(value, self.name(name))
        self._inside.append(params)
        return params

    def items(self, name: str) -> list["Params"]:
        """Returns a list of objects."""
        value = self._values.pop(name, []) or []
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise invalid("Invalid array", self.name(name))
        found = [Params(item, f"{self.name(name)}[{number}]") for number, item in enumerate(value)]
        self._inside += found
        return found

    def texts(self, name: str) -> list[str]:
        """Returns a list of texts."""
        value = self._values.pop(name, []) or []
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise invalid("Invalid array", self.name(name))
        return value

    def metadata(self, known: Mapping[str, str] | None = None) -> dict[str, str]:
        """Returns the metadata `known` with the given ones merged in; an empty value deletes a key."""
        merged = dict(known or {})
        given = self._values.pop("metadata", {})
        if given == "":
            return {}
        if not isinstance(given, dict):
            raise invalid("Invalid object", self.name("metadata"))
        for key, value in given.items():
            if len(key) > _MAX_KEY or not isinstance(value, str) or len(value) > _MAX_VALUE:
                message = f"Metadata keys have at most {_MAX_KEY} characters, values are texts of at most {_MAX_VALUE}."
                raise invalid(message, self.name(f"metadata[{key}]"))
            merged[key] = value
        merged = {key: value for key, value in merged.items() if value}
        if len(merged) > _MAX_KEYS:
            raise invalid(f"You can add up to {_MAX_KEYS} metadata keys.", self.name("metadata"))
        return merged

    def ignore(self, *names: str) -> None:
        """Accept parameters that change nothing here."""
        for name in names:
            self._values.pop(name, None)

    def finish(self) -> None:
        """Raises ApiError for a parameter that nobody took."""
        for name in self._values:
            raise ApiError(
                f"Received unknown parameter: {self.name(name)}",
                code="parameter_unknown",
                param=self.name(name),
                kept=False,
            )
        for params in self._inside:
            params.finish()
