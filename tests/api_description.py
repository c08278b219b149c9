"""The OpenAPI document of the JSON API, made without a database."""

from functools import cache
from types import SimpleNamespace
from typing import Any, cast

from fastapi import FastAPI

from api.json_api import create_json_api
from front.deps import ApiDeps
from front.subjects.table import SUBJECTS


@cache
def described_app() -> FastAPI:
    return create_json_api(cast("ApiDeps", SimpleNamespace(subjects=SUBJECTS)))


@cache
def document() -> dict[str, Any]:
    return described_app().openapi()


def operations() -> list[tuple[str, str, dict[str, Any]]]:
    """Every (method in capitals, path, operation)."""
    return [(method.upper(), path, each) for path, ways in document()["paths"].items() for method, each in ways.items()]
