"""Examples of requests and answers, made from the schemas themselves, so that they are always valid."""

from collections.abc import Iterator
from typing import Any, Final

from api.openapi.fields import example_id

_DEEP: Final = 6  # deeper than this, what can be left out is left out
_TEXTS: Final = {
    "name": "Mara Lindqvist", "email": "mara@example.org", "login": "mara@example.org", "country": "SE",
    "password": "correct horse battery", "currency": "USD", "paid_currency": "USD", "product": "two-step",
    "reason": "Checked against the documents of the trader.", "message": "Thank you for your patience.",
    "subject": "Question about my account", "body": "When does my daily limit reset?",
    "statement": "The price was wrong.",
    "amount": "1240.50", "iban": "DE89370400440532013000", "rail": "bank", "platform": "sandbox",
    "to_platform": "sandbox", "from_platform": "sandbox", "symbol": "EURUSD", "lots": "1.5", "price": "1.38700",
    "cycle": "biweekly", "coupon": "SPRING10", "url": "https://hooks.example.com/propos", "note": "The CRM",
    "next_cursor": "WyIyMDI2LTAzLTAyIl0", "account": "A-10001", "remedy": "Try again later.",
    "checkout_url": "https://pay.example.com/co_1", "checkout_id": "co_1", "shock": "XAUUSD -2 %",
    "number": "A-10001", "trader_name": "Mara Lindqvist", "status": "active", "state": "open", "role": "finance",
    "to_role": "admin", "challenge_state": "funded", "tightest_rule": "daily_loss", "rule_id": "daily_loss",
    "tag": "crm", "previous_cursor": "back.WyIyMDI2LTAzLTAyIl0", "sentence": "The daily loss limit was reached.",
    "detail": "This cannot be read.", "title": "Not found", "instance": "/v1/accounts", "code": "123456",
    "q": "A-10001",
}  # fmt: skip
_PERSON: Final = frozenset({"user_id", "email", "login", "password", "country"})  # what stands beside a person's name
# Elsewhere, what has a name: a part of the address -> the name.
_NAMES: Final = {
    "product": "Two-step", "receipts": "Two-step", "factors": "Work laptop", "saved-views": "Waiting payouts",
    "macros": "When the daily limit resets", "api-keys": "CRM", "platform": "sandbox", "exposure": "XAUUSD",
    "mails": "statement.pdf", "parked-messages": "payout.paid", "notification-kinds": "account.warning",
    "standing": "Profit target", "statistics": "XAUUSD", "possible-actions": "freeze",
}  # fmt: skip
_PATTERNS: Final = {
    "^[A-Z]{2}$": "SE",
    "^[A-Z]{3,4}$": "USD",
    "^[0-9a-f]{64}$": "0" * 64,
    "^[0-9a-f]{16}$": "0" * 16,
    "^[0-9a-f.]{1,120}$": "0" * 64,
    "^(fch_[0-9a-z]{26})?$": "",
    "^([01]\\d|2[0-3]):[0-5]\\d$": "22:00",
    "^[!-~]*$": "",
}
_FORMATS: Final = {
    "date-time": "2026-03-02T09:30:00Z",
    "date": "2026-03-02",
    "uuid": "0d6c4c0e-4f0a-4c39-9f6e-6a2f9f1f8a11",
    "binary": "",
    "password": "correct horse battery",
}
_STATES: Final = {"pay": "awaiting_approval", "chl": "funded", "dsp": "awaiting_decision"}
_SELDOM: Final = ("refusals", "reasons", "step_up")
_MONEY: Final = 124_050


def add(schema: dict[str, Any]) -> None:
    """Gives every JSON body of a request and of an answer an example, and every refusal one."""
    maker = Maker(schema["components"]["schemas"])
    for path, ways in schema["paths"].items():
        for operation in ways.values():
            for content in _contents(operation):
                content["example"] = maker.example(content["schema"], "", path)
            for parameter in operation.get("parameters", ()):
                if parameter["in"] == "path" and parameter["name"].endswith("id"):
                    parameter["example"] = example_id(parameter["name"], path)
                if parameter["in"] == "query" and parameter["required"]:
                    parameter["example"] = maker.example(parameter["schema"], parameter["name"], path)
                if parameter["name"] == "Idempotency-Key":
                    parameter["example"] = _FORMATS["uuid"]
    for response in schema["components"]["responses"].values():
        for content in response["content"].values():
            content["example"] = maker.example(content["schema"], "", "")


def _contents(operation: dict[str, Any]) -> Iterator[dict[str, Any]]:
    bodies = [operation.get("requestBody", {}), *operation["responses"].values()]
    for body in bodies:
        for kind, content in body.get("content", {}).items():
            if kind == "application/json" and content.get("schema"):
                yield content


class Maker:
    def __init__(self, components: dict[str, Any]) -> None:
        self._components = components

    def example(self, schema: dict[str, Any], name: str, path: str, depth: int = 0) -> Any:
        """`name`: of the field, which says what would be in it."""
        schema = self._whole(schema)
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return schema["enum"][0]
        if "anyOf" in schema or "oneOf" in schema:
            return self._one(schema.get("anyOf") or schema["oneOf"], name, path, depth)
        match schema.get("type"):
            case "object":
                return self._object(schema, name, path, depth)
            case "array":
                return self._array(schema, name, path, depth)
            case "boolean":
                return False
            case "integer" | "number":
                return self._number(schema, name)
            case "string":
                return self._text(schema, name, path)
            case "null":
                return None
        return "text"

    def _whole(self, schema: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in schema:
            schema = self._components[schema["$ref"].rpartition("/")[2]]
        if len(schema.get("allOf", ())) == 1:
            return self._whole(schema["allOf"][0])
        return schema

    def _one(self, choices: list[dict[str, Any]], name: str, path: str, depth: int) -> Any:
        optional = any(each.get("type") == "null" for each in choices)
        if optional and depth > _DEEP:
            return None
        return self.example(next(each for each in choices if each.get("type") != "null"), name, path, depth)

    def _object(self, schema: dict[str, Any], name: str, path: str, depth: int) -> dict[str, Any]:
        fields, needed = schema.get("properties", {}), schema.get("required", ())
        made = {
            each: self.example(field, each, path, depth + 1)
            for each, field in fields.items()
            if each in needed or (depth < 2 and not self._skipped(each, field))
        }
        if isinstance(made.get("id"), str) and fields.get("state", {}).get("type") == "string" and "state" in made:
            made["state"] = _STATES.get(made["id"][:3], made["state"])
        if made.get("name") == _TEXTS["name"] and not _PERSON & fields.keys():
            made["name"] = next((named for part, named in _NAMES.items() if part in path), made["name"])
        more = schema.get("additionalProperties")
        if not fields and isinstance(more, dict):
            made[self._key(schema)] = self.example(more, name, path, depth + 1)
        return made

    @staticmethod
    def _skipped(name: str, field: dict[str, Any]) -> bool:
        """What is seldom sent or answered: it would only tire."""
        return ("default" in field and field["default"] in (None, [], {}, "")) or name in (
            "refusals",
            "reasons",
            "step_up",
        )

    @staticmethod
    def _key(schema: dict[str, Any]) -> str:
        pattern = schema.get("propertyNames", {})
        return str(pattern["enum"][0]) if "enum" in pattern else "part"

    def _array(self, schema: dict[str, Any], name: str, path: str, depth: int) -> list[Any]:
        if "prefixItems" in schema:
            return [self.example(each, name, path, depth + 1) for each in schema["prefixItems"]]
        if not schema.get("minItems") and (depth > _DEEP or "items" not in schema):
            return []
        return [self.example(schema["items"], name.removesuffix("s"), path, depth + 1)]

    @staticmethod
    def _number(schema: dict[str, Any], name: str) -> Any:
        value = _MONEY if name.endswith("_minor") else 1
        value = max(value, schema.get("minimum", value))
        if "exclusiveMinimum" in schema and value <= schema["exclusiveMinimum"]:
            value = schema["exclusiveMinimum"] + 1
        return min(value, schema.get("maximum", value))

    def _text(self, schema: dict[str, Any], name: str, path: str) -> str:
        pattern: str = schema.get("pattern", "")
        if pattern in _PATTERNS and not (name in _TEXTS and pattern.startswith("^[A-Z]")):
            return _PATTERNS[pattern]
        if schema.get("format") in _FORMATS:
            return _FORMATS[schema["format"]]
        if pattern.startswith("^") and "_[0-9a-z]{26}$" in pattern:
            return pattern.lstrip("^(")[:3] + "_01k9z3v5w2q8h6r4t0n7m1c3xe"
        if name == "id" or name.endswith("_id"):
            return example_id(name, path)
        known: str = _TEXTS.get(name, "1" if _is_decimal(schema) else name.replace("_", "-").strip("-") or "text")
        return known[: schema.get("maxLength", len(known))].ljust(schema.get("minLength", 0), "x")


def _is_decimal(schema: dict[str, Any]) -> bool:
    return "\\d" in schema.get("pattern", "") or "ge" in schema or "gt" in schema
