"""The reference of the API: for anybody, from this server alone, small pages, and every operation has one."""

import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from api.app import create_app
from tests.api_description import described_app, operations
from tests.api_world import ApiWorld, api_world


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[ApiWorld]:
    async with api_world(database_url) as made:
        yield made


@pytest.fixture
async def reader(world: ApiWorld) -> AsyncIterator[httpx.AsyncClient]:
    """A browser of somebody who is not signed in."""
    transport = httpx.ASGITransport(app=create_app(world.deps))
    async with httpx.AsyncClient(transport=transport, base_url="http://firm.test") as http:
        yield http


async def test_every_operation_has_a_page_that_needs_nothing_from_elsewhere(reader: httpx.AsyncClient) -> None:
    contents = await reader.get("/docs")
    assert contents.status_code == 200
    assert contents.headers["Content-Security-Policy"].startswith("default-src 'self'")
    for method, path, operation in operations():
        assert f"<code>{method} {path}</code>" in contents.text
        page = await reader.get(f"/docs/{operation['operationId']}")
        assert page.status_code == 200, path
        _check(page.text)
    _check(contents.text)
    assert (await reader.get("/docs/no_such_operation")).status_code == 404


def _check(page: str) -> None:
    assert len(page.encode()) < 150_000
    assert not re.search(r'(src|href)="(https?:)?//', page)


async def test_a_page_says_right_fields_units_refusals_and_a_request_that_works(
    world: ApiWorld, reader: httpx.AsyncClient
) -> None:
    page = (await reader.get("/docs/request_payout")).text
    for words in (
        "Right: payouts.request (trader). An API key may do it.",
        "<code>trader_minor</code>",
        "In minor units of its currency",
        "<code>payout-refused</code>",
        "The payout is not eligible; carries the reasons",
        "Idempotency-Key: ",
    ):
        assert words in page, words
    listed = (await reader.get("/docs/list_accounts")).text
    assert "<code>items[].equity_minor</code>" in listed
    asked = re.search(r"<pre>curl &#39;http://firm.test(/v1/\S+)&#39;", listed)
    assert asked is not None
    assert (await world.ask("support", "GET", asked[1])).status_code == 200


def test_the_description_is_made_once() -> None:
    first: dict[str, Any] = described_app().openapi()
    assert described_app().openapi() is first
