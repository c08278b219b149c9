"""What `/v1/openapi.json` says beyond what the routes say themselves: who may ask, every refusal, units, examples."""

import json
import re
from collections.abc import Callable
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api.openapi import examples, fields, refusals
from api.openapi.rights import routes_of
from api.openapi.security import SCHEMES, secure
from api.openapi.tags import TAGS
from front.fields import KEY

_PAGE: Final = re.compile(r"\bPage_(\w+)_(?=\")")


def install(app: FastAPI) -> None:
    """Makes the description at the first request for it."""
    app.openapi = _described(app)  # type: ignore[method-assign]


def _described(app: FastAPI) -> Callable[[], dict[str, Any]]:
    def describe() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _with_the_rest(app)
        return app.openapi_schema

    return describe


def _with_the_rest(app: FastAPI) -> dict[str, Any]:
    schema = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes, tags=list(TAGS)
    )
    components = schema["components"]
    for name in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(name, None)
    components["securitySchemes"] = SCHEMES
    components["schemas"] |= refusals.schemas()
    components["responses"] = refusals.responses()
    for (path, method), access in routes_of(app).items():
        operation = schema["paths"][path][method]
        secure(operation, access, changes=method != "get")
        refusals.add(operation, path, method, access)
        operation["summary"] = operation["summary"].capitalize()
        for parameter in operation.get("parameters", ()):
            fields.describe_parameter(parameter, path)
            if parameter["name"] == "Idempotency-Key":
                parameter |= {"required": True, "schema": {"type": "string", "pattern": f"^{KEY}$"}}
    for each in components["schemas"].values():
        fields.describe(each)
    examples.add(schema)
    return _named(schema)


def _named(schema: dict[str, Any]) -> dict[str, Any]:
    """The same with pages of accounts called `AccountRowPage`, as clients made from it have them."""
    named: dict[str, Any] = json.loads(_PAGE.sub(r"\1Page", json.dumps(schema)))
    for name, each in named["components"]["schemas"].items():
        each["title"] = name
    return named
