"""The OpenAPI document as pages: chapters of operations, and everything about one of them."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

_DEEP: Final = 3  # parts within parts that are shown; deeper ones are named
_JSON: Final = "application/json"
Document = Mapping[str, Any]


@dataclass(frozen=True)
class Line:
    """An operation as the list of its chapter has it. `keys`: an API key may do it. `right`: empty, nothing special."""

    id: str
    method: str
    path: str
    summary: str
    right: str
    keys: bool
    deprecated: bool


@dataclass(frozen=True)
class Chapter:
    name: str
    words: str
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Field:
    """`name`: with the parts above it, as in items[].id. `needed`: "yes", or empty."""

    name: str
    kind: str
    needed: bool
    words: str


@dataclass(frozen=True)
class Refusal:
    status: str
    kind: str
    words: str


@dataclass(frozen=True)
class Reference:
    """One operation. `answer`: an example as JSON, empty when there is none. `status`: of the answer. `sent` and
    `told`: what the model of the body and of the answer says of itself."""

    line: Line
    chapter: str
    paragraphs: tuple[str, ...]
    parameters: tuple[Field, ...]
    sends: tuple[Field, ...]
    answers: tuple[Field, ...]
    sent: str
    told: str
    status: str
    curl: str
    answer: str
    refusals: tuple[Refusal, ...]


def chapters(document: Document) -> tuple[Chapter, ...]:
    lines = [(each["tags"][0], _line(method, path, each)) for method, path, each in _operations(document)]
    return tuple(
        Chapter(tag["name"], tag["description"], tuple(line for name, line in lines if name == tag["name"]))
        for tag in document["tags"]
    )


def reference(document: Document, operation_id: str, address: str) -> Reference | None:
    """Returns the operation; None when there is none of this name. `address`: where the API is reached."""
    for method, path, operation in _operations(document):
        if operation["operationId"] == operation_id:
            return _reference(document, _line(method, path, operation), operation, address)
    return None


def _operations(document: Document) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, ways in document["paths"].items():
        for method, operation in ways.items():
            yield method.upper(), path, operation


def _line(method: str, path: str, operation: Mapping[str, Any]) -> Line:
    return Line(
        operation["operationId"],
        method,
        path,
        operation["summary"],
        operation.get("x-permission", ""),
        operation.get("x-api-key", False),
        operation.get("deprecated", False),
    )


def _reference(document: Document, line: Line, operation: Mapping[str, Any], address: str) -> Reference:
    schemas = document["components"]["schemas"]
    status, answer = next((status, each) for status, each in operation["responses"].items() if status < "300")
    body = operation.get("requestBody", {}).get("content", {}).get(_JSON, {})
    told = answer.get("content", {}).get(_JSON, {})
    return Reference(
        line=line,
        chapter=operation["tags"][0],
        paragraphs=tuple(_plain(part) for part in operation.get("description", "").split("\n\n") if part),
        parameters=tuple(_parameter(schemas, each) for each in operation.get("parameters", ())),
        sends=tuple(_fields(schemas, body.get("schema", {}))),
        answers=tuple(_fields(schemas, told.get("schema", {}))),
        sent=_plain(_whole(schemas, body.get("schema", {})).get("description", "")),
        told=_plain(_whole(schemas, told.get("schema", {})).get("description", "")),
        status=status,
        curl=_curl(line, operation, body, address),
        answer=json.dumps(told["example"], indent=2, ensure_ascii=False) if "example" in told else "",
        refusals=tuple(_refusals(document, operation)),
    )


def _plain(words: str) -> str:
    return " ".join(words.replace("`", "").split())


def _parameter(schemas: Document, parameter: Mapping[str, Any]) -> Field:
    words = parameter.get("description") or parameter["schema"].get("description", "")
    name = parameter["name"] if parameter["in"] == "query" else f"{parameter['name']} ({parameter['in']})"
    return Field(name, _kind(schemas, parameter["schema"]), parameter.get("required", False), _plain(words))


def _fields(schemas: Document, schema: Mapping[str, Any], above: str = "", depth: int = 0) -> Iterator[Field]:
    schema = _whole(schemas, schema)
    if schema.get("type") == "array":
        yield from _fields(schemas, schema.get("items", {}), f"{above}[]", depth)
        return
    dot = f"{above}." if above else ""
    for name, field in schema.get("properties", {}).items():
        needed = name in schema.get("required", ())
        yield Field(f"{dot}{name}", _kind(schemas, field), needed, _plain(field.get("description", "")))
        if depth < _DEEP:
            yield from _fields(schemas, _sole(field), f"{dot}{name}", depth + 1)


def _sole(field: Mapping[str, Any]) -> Mapping[str, Any]:
    """The part that a field has, when it can have only one kind."""
    choices = [each for each in field.get("anyOf", ()) if each.get("type") != "null"]
    return choices[0] if len(choices) == 1 else field


def _whole(schemas: Document, schema: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in schema:
        schema = schemas[schema["$ref"].rpartition("/")[2]]
    return schema


def _kind(schemas: Document, schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        whole = _whole(schemas, schema)
        return _kind(schemas, whole) if "enum" in whole else schema["$ref"].rpartition("/")[2]
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        return " | ".join(json.dumps(each) for each in schema["enum"])
    choices = schema.get("anyOf") or schema.get("oneOf")
    if choices:
        return " | ".join(dict.fromkeys(_kind(schemas, each) for each in choices))
    if schema.get("type") == "array":
        return f"{_kind(schemas, schema.get('items', {}))}[]"
    kind = str(schema.get("format") or schema.get("type", "any"))
    return kind + _bounds(schema)


def _bounds(schema: Mapping[str, Any]) -> str:
    least, most = schema.get("minimum"), schema.get("maximum")
    if least is not None and most is not None:
        return f" {least} to {most}"
    return f", at most {schema['maxLength']} characters" if "maxLength" in schema else ""


def _curl(line: Line, operation: Mapping[str, Any], body: Mapping[str, Any], address: str) -> str:
    parameters = operation.get("parameters", ())
    path = line.path
    for each in parameters:
        if each["in"] == "path":
            path = path.replace(f"{{{each['name']}}}", str(each.get("example", each["name"])))
    asked = urlencode(
        {each["name"]: each["example"] for each in parameters if each["in"] == "query" and each["required"]}
    )
    method = "" if line.method == "GET" else f" -X {line.method}"
    parts = [f"curl{method} '{address}{path}{'?' if asked else ''}{asked}'"]
    if operation.get("security"):
        parts.append(f"-H 'Authorization: Bearer {'propos_…' if line.keys else 'TOKEN'}'")
    parts += [f"-H 'Idempotency-Key: {each['example']}'" for each in parameters if each["name"] == "Idempotency-Key"]
    if "example" in body:
        parts += [f"-H 'Content-Type: {_JSON}'", f"-d '{json.dumps(body['example'], ensure_ascii=False)}'"]
    return " \\\n  ".join(parts)


def _refusals(document: Document, operation: Mapping[str, Any]) -> Iterator[Refusal]:
    components = document["components"]
    for status, answer in operation["responses"].items():
        if "$ref" not in answer:
            continue
        response = components["responses"][answer["$ref"].rpartition("/")[2]]
        [content] = response["content"].values()
        kind = _whole(components["schemas"], content["schema"])["properties"]["type"]
        for name in kind["enum"]:
            yield Refusal(status, name, kind["x-enum-descriptions"][name])
