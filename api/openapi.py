"""What `/v1/openapi.json` says beyond what the routes say themselves: who is asking, and the one shape of a refusal."""

from collections.abc import Callable, Iterator
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api.problems import MEDIA_TYPE
from front.auth import COOKIE

_METHODS: Final = ("get", "put", "post", "delete", "patch")
_OPEN: Final = frozenset(
    {
        ("post", "/v1/sessions"),
        ("post", "/v1/traders"),
        ("get", "/healthz"),
        ("get", "/readyz"),
        ("post", "/webhooks/payments/{provider}"),
    }
)
_SCHEMES: Final = {
    "token": {"type": "http", "scheme": "bearer", "description": "The token of POST /v1/sessions."},
    "cookie": {
        "type": "apiKey",
        "in": "cookie",
        "name": COOKIE,
        "description": "A browser's sign-in. Requests that change something need the header X-CSRF-Token too.",
    },
}


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
    schema = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    schema["components"]["securitySchemes"] = _SCHEMES
    schema["components"]["schemas"].pop("HTTPValidationError", None)
    schema["components"]["schemas"].pop("ValidationError", None)
    for path, method, operation in _operations(schema):
        if (method, path) not in _OPEN:
            operation["security"] = [{name: []} for name in _SCHEMES]
        for parameter in operation.get("parameters", ()):
            if parameter["in"] == "header" and parameter["name"] == "Idempotency-Key":
                parameter["required"] = True
        for status, response in operation["responses"].items():
            if int(status) >= 400:
                content = response.get("content", {})
                if "application/json" in content:
                    response["content"] = {MEDIA_TYPE: content.pop("application/json")}
    return schema


def _operations(schema: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in schema["paths"].items():
        for method in _METHODS:
            if method in item:
                yield path, method, item[method]
