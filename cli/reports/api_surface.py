"""What programs rely on of the API, one line each, as `docs/api-surface.txt` keeps it: a line that goes, or a new thing
that requests must have, breaks them."""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, cast

from api.json_api import create_json_api
from front.deps import ApiDeps
from front.subjects.table import SUBJECTS

_DOCS: Final = Path(__file__).parents[2] / "docs"
SURFACE: Final = _DOCS / "api-surface.txt"
CHANGES: Final = _DOCS / "api-changes.md"
Document = Mapping[str, Any]


def document() -> dict[str, Any]:
    """The OpenAPI document. It needs no database."""
    return create_json_api(cast("ApiDeps", SimpleNamespace(subjects=SUBJECTS))).openapi()


def surface(described: Document) -> list[str]:
    return sorted({*_operations(described), *_fields(described)})


def _operations(described: Document) -> Iterator[str]:
    for path, ways in described["paths"].items():
        for method, operation in ways.items():
            name = f"{method.upper()} {path}"
            yield f"operation {name} {operation['operationId']}"
            for parameter in operation.get("parameters", ()):
                yield f"parameter {name} {parameter['in']} {parameter['name']} {_kind(parameter['schema'])}"
                if parameter["required"]:
                    yield f"needs {name} {parameter['name']}"
            for content in operation.get("requestBody", {}).get("content", {}).values():
                yield f"body {name} {_kind(content['schema'])}"
            for status, answer in operation["responses"].items():
                for kind, content in answer.get("content", {}).items():
                    shape = _kind(content["schema"]) if "schema" in content else kind  # such as a CSV
                    yield f"answer {name} {status} {shape}"


def _fields(described: Document) -> Iterator[str]:
    sent = _sent(described)
    for name, schema in described["components"]["schemas"].items():
        for field, kind in schema.get("properties", {}).items():
            yield f"field {name}.{field} {_kind(kind)}"
            yield from (f"value {name}.{field} {value}" for value in _values(kind))
            if name in sent and field in schema.get("required", ()):
                yield f"needs {name}.{field}"


def _sent(described: Document) -> set[str]:
    """The models that are in requests."""
    bodies = [each.get("requestBody", {}) for ways in described["paths"].values() for each in ways.values()]
    found, fresh = set[str](), set(_named(bodies))
    while fresh:
        found |= fresh
        fresh = {name for each in fresh for name in _named(described["components"]["schemas"][each])} - found
    return found


def _named(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if "$ref" in part:
            yield part["$ref"].rpartition("/")[2]
        for key, each in part.items():
            if key != "example":
                yield from _named(each)
    elif isinstance(part, list):
        for each in part:
            yield from _named(each)


def _kind(schema: Document) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    choices = schema.get("anyOf") or schema.get("oneOf")
    if choices:
        return "|".join(sorted({_kind(each) for each in choices}))
    if schema.get("type") == "array":
        return f"{_kind(schema.get('items', {}))}[]"
    return str(schema.get("format") or schema.get("type", "any"))


def _values(schema: Document) -> Iterator[str]:
    for each in (schema, *schema.get("anyOf", ())):
        yield from (str(value) for value in each.get("enum", ()))


def breaking(before: list[str], after: list[str]) -> list[str]:
    """The changes that break programs: what went, and what requests must have now that they need not have before."""
    gone = [f"- {line}" for line in before if line not in set(after) and not line.startswith("needs ")]
    known = {line.split()[1].split(".")[0] for line in before if line.startswith(("field ", "body "))}
    known |= {" ".join(line.split()[1:3]) for line in before if line.startswith("operation ")}
    added = [line for line in after if line not in set(before) and line.startswith("needs ")]
    needed = [f"+ {line}" for line in added if _of(line) in known]
    return gone + needed


def _of(line: str) -> str:
    """The operation or the model that needs something."""
    words = line.split()
    return " ".join(words[1:3]) if len(words) == 4 else words[1].split(".")[0]


def unwritten(changes: list[str], log: str) -> list[str]:
    """Those of the breaking changes that the change log does not name."""
    return [change for change in changes if f"`{change}`" not in log]


def main() -> int:
    """Keeps the surface as it is now. Refuses while a breaking change is not in the change log."""
    now = surface(document())
    missing = unwritten(breaking(SURFACE.read_text().splitlines(), now), CHANGES.read_text())
    if missing:
        print("Write these changes into docs/api-changes.md first:", *missing, sep="\n")
        return 1
    SURFACE.write_text("\n".join(now) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
