"""What each field means, where its name does not say it: from the docstrings of the models, else by its name."""

import re
from collections.abc import Mapping
from typing import Any, Final

_SAID: Final = re.compile(r"`(\w+)`(?: and `(\w+)`)?: (.+?)(?=(?:[.;] (?=`\w+`(?: and `\w+`)?:))|$)", re.DOTALL)
_MONEY: Final = "In minor units of its currency: 124050 is 1,240.50 USD."
_UNITS: Final = (
    (re.compile(r"_minor$"), _MONEY),
    (re.compile(r"_ppm$"), "Parts per million: 250000 is 25 %."),
    (re.compile(r"(^|_)pct$"), "Percent."),
    (re.compile(r"(^|_)days$"), "Days."),
    (re.compile(r"(^|_)hours$"), "Hours."),
    (re.compile(r"(^|_)minutes$"), "Minutes."),
    (re.compile(r"(^|_)seconds(_to_reset)?$"), "Seconds."),
    (re.compile(r"^milliseconds$"), "Milliseconds."),
    (re.compile(r"_us$"), "Microseconds."),
    (re.compile(r"^p(50|99)$"), "Milliseconds."),
    (re.compile(r"^(escalate|end)_after$"), "Business days."),
    (re.compile(r"^(broken_at|after|through)$"), "The number of an entry of the audit log."),
    (re.compile(r"^(lots|remaining_lots)$"), "Lots, as a decimal number in a string."),
    (re.compile(r"^currency$"), "The code of an ISO 4217 currency, or USDT or USDC."),
    (re.compile(r"^country$"), "Two letters, ISO 3166-1."),
    (re.compile(r"^next_cursor$"), "Send it as `cursor` for the next page. Null on the last page."),
    (re.compile(r"^previous_cursor$"), "Send it as `cursor` for the page before. Null on the first page."),
    (re.compile(r"^phase_index$"), "Which phase: 1 is the first. The funded phase comes after the last."),
)
_TIME: Final = "UTC."
_MARKET: Final = "Market time, UTC."
_MARKET_TIMES: Final = frozenset(
    {"at", "occurred_at", "market_time", "minute", "opened_at", "bought_at", "breached_at", "next_reset", "watermark"}
)
_PARAMETERS: Final = {
    "limit": "How many rows at most.",
    "cursor": "The `next_cursor` or `previous_cursor` of a page of the same list with the same filters.",
    "since": "Not before this moment.",
    "until": "Before this moment.",
}


def describe(schema: dict[str, Any]) -> None:
    """Gives every property of a component a description where there is something to say."""
    said = _said(schema.get("description", ""))
    for name, field in schema.get("properties", {}).items():
        _untitle(field)
        _in_words(field)
        words = said.get(name) or (field.get("description") and "") or by_name(name, field)
        if words and "description" not in field:
            field["description"] = words


def _untitle(field: dict[str, Any]) -> None:
    """A title that only repeats the name is left out."""
    field.pop("title", None)
    for each in (*field.get("anyOf", ()), field.get("items", {}), field.get("additionalProperties", {})):
        if isinstance(each, dict):
            each.pop("title", None)


def _in_words(field: dict[str, Any]) -> None:
    """A default that is no name, such as "equity < floor", is said in words: makers of clients cannot name it."""
    default = field.get("default")
    if isinstance(default, str) and "enum" in field and not re.fullmatch(r"[\w -]*", default):
        field["description"] = f"Usually {field.pop('default')}."


def describe_parameter(parameter: dict[str, Any], path: str) -> None:
    name = parameter["name"]
    parameter["schema"] = _given(parameter["schema"])
    _untitle(parameter["schema"])
    words = _PARAMETERS.get(name) if parameter["in"] == "query" else None
    if parameter["in"] == "path" and name.endswith("id"):
        words = f"The id, such as {example_id(name, path)}."
    if words:
        parameter.setdefault("description", words)


def by_name(name: str, field: Mapping[str, Any]) -> str:
    """What a name says of a unit; empty when there is nothing to add."""
    if is_time(field):
        return _MARKET if name in _MARKET_TIMES else _TIME
    return next((words for pattern, words in _UNITS if pattern.search(name)), "")


def _given(schema: dict[str, Any]) -> dict[str, Any]:
    """What a parameter is when it is sent: it may be left out, but null cannot be sent."""
    choices = [each for each in schema.get("anyOf", ()) if each.get("type") != "null"]
    return {**schema, "anyOf": choices} if len(choices) > 1 else choices[0] if choices else schema


def is_time(field: Mapping[str, Any]) -> bool:
    return any(each.get("format") == "date-time" for each in (field, *field.get("anyOf", ())))


def _said(docstring: str) -> dict[str, str]:
    """What a docstring says of its fields: "`since`: market time. `until`: …"."""
    found: dict[str, str] = {}
    plain = " ".join(docstring.split())
    for match in _SAID.finditer(plain):
        words = match[3].strip().rstrip(".")
        for name in filter(None, (match[1], match[2])):
            found[name] = words[:1].upper() + words[1:] + "."
    return found


_NOUNS: Final = {
    "trader": "trd", "account": "acc", "challenge": "chl", "payout": "pay", "breach": "brc", "proof": "prf",
    "dispute": "dsp", "ticket": "tkt", "case": "cas", "action": "act", "review": "rev", "break": "brk", "user": "usr",
    "beneficiarie": "ben", "beneficiary": "ben", "sanction-hit": "sht", "product-proposal": "ppr", "proposal": "ppr",
    "account-move": "mov", "move": "mov", "platform-change": "plc", "policy-change": "pch", "staff-change": "sch",
    "change": "plc", "chargeback": "cbk", "compensation": "cmp", "receipt": "rcp", "key": "key",
    "api-key": "key",
    "endpoint": "whk", "webhook-endpoint": "whk", "event": "evt", "macro": "mac", "sign_in": "ses", "passkey": "psk",
    "mail": "ima", "incoming-mail": "ima", "attachment": "att", "file": "att", "person": "usr", "intervention": "itv",
    "message": "msg", "hit": "sht",
}  # fmt: skip
_TAIL: Final = "_01k9z3v5w2q8h6r4t0n7m1c3xe"


def example_id(name: str, path: str = "") -> str:
    """An id as it could be, by the name of its field; of a plain `id`, by the address that it is in."""
    noun = name.removesuffix("_id")
    if name == "id":
        noun = next((part for part in reversed(path.split("/")) if part.rstrip("s") in _NOUNS), "event").rstrip("s")
    return _NOUNS.get(noun, "evt") + _TAIL
