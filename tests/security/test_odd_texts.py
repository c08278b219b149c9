"""Texts that no database can keep, and numbers beyond its range, on every route: refused, and never a server error."""

import base64
import json
import re
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
from fastapi.routing import APIRoute

from front.permissions import CAN
from tests.api_routes import ROUTES, Agrees, blank, url_of
from tests.api_world import ApiWorld, api_world
from tests.console_world import ConsoleWorld, console_world

pytestmark = pytest.mark.timeout(1500)  # every route, with every text
NOT_KEPT = ["a\x00b", "\ud800"]
KEPT = ["x\u202e\u2066y", "\ufffe\uffff"]


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[ApiWorld]:
    async with api_world(database_url) as made:
        made.temporal.answers = Agrees()
        yield made


@pytest.fixture
async def console(database_url: str) -> AsyncIterator[ConsoleWorld]:
    async with console_world(database_url) as made:
        yield made


def _cursor(*values: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")


def _odd(body: Any) -> list[Any]:
    """The body with each of its texts made odd in turn, at any depth."""
    if isinstance(body, str):
        return [*NOT_KEPT, *KEPT]
    if isinstance(body, dict):
        return [{**body, name: odd} for name, value in body.items() for odd in _odd(value)]
    return []


async def test_no_text_in_a_body_is_a_server_error(world: ApiWorld) -> None:
    tina, tried = world.people["tina"], 0
    for method, path, body, permission in ROUTES:
        for odd in _odd(body):
            who = "tina" if "trader" in CAN[permission] else "admin"
            headers = {
                "Authorization": f"Bearer {world.people[who].token}",
                "Idempotency-Key": uuid4().hex,
                "Content-Type": "application/json",
            }
            url = url_of(tina, path)
            answer = await world.http.request(method, url, content=json.dumps(odd).encode(), headers=headers)
            assert answer.status_code < 500, (method, url, odd, answer.text)
            tried += 1
    assert tried > 200


async def test_no_cursor_is_a_server_error(world: ApiWorld) -> None:
    time = "2026-01-01T00:00:00+00:00"
    cursors = [_cursor(*values) for values in (["\ud800", "\ud800"], [time, "\ud800"], [2**70, "a"], [time, "a\x00"])]
    unknown = set()
    for url in await _lists(world):
        for cursor in cursors:
            answer = await world.ask("admin", "GET", f"{url}{'&' if '?' in url else '?'}cursor={cursor}")
            if answer.status_code == 404:
                unknown.add(url)
                continue
            assert (answer.status_code, answer.json()["field"]) == (422, "cursor"), (url, answer.text)
    assert len(unknown) <= 1, "the lists of an unknown thing"


async def _lists(world: ApiWorld) -> list[str]:
    """The routes that take a cursor."""
    schema = (await world.http.get("/v1/openapi.json")).json()
    takes = [
        re.sub(r"\{\w+\}", "{}", path)
        for path, ways in schema["paths"].items()
        if any(each["name"] == "cursor" for each in ways.get("get", {}).get("parameters", ()))
    ]
    found = [path for method, path, _, _ in ROUTES if method == "GET" and blank(path) in takes]
    assert len(found) == len(takes) > 10
    return [url_of(world.people["tina"], path) for path in found]


async def test_no_address_is_a_server_error(world: ApiWorld) -> None:
    """Every parameter of every route: half a character, NUL, and a number beyond 64 bits."""
    for method, path, body, _ in ROUTES:
        for odd in ("a%00b", "%ED%A0%80", str(2**80)):
            url = re.sub(r"\{\w+\}|\w{3}_\w{26}|two-step", odd, path)
            answer = await world.ask("admin", method, url, body)
            assert answer.status_code < 500, (url, answer.text)
            more = await world.http.request(
                method, f"{url}{'&' if '?' in url else '?'}after={odd}&limit={odd}&q={odd}&state={odd}&trader={odd}",
                headers={"Authorization": f"Bearer {world.people['admin'].token}"},
            )  # fmt: skip
            assert more.status_code < 500, (url, more.text)


async def test_no_address_of_the_console_is_a_server_error(console: ConsoleWorld) -> None:
    routes = [route for route in console.app.routes if isinstance(route, APIRoute)]
    assert routes
    async with console.browser("ana@firm.example") as browser:
        for route in routes:
            names = [each.alias for each in route.dependant.query_params] + ["q", "state", "next", "kind"]
            for odd in ("a%00b", "%ED%A0%80"):
                path = re.sub(r"\{[^}]+\}", odd, route.path)
                query = "&".join(f"{name}={odd}" for name in names)
                answer = await browser.http.get(f"{path}?{query}")
                assert answer.status_code < 500, (path, answer.text[:200])
