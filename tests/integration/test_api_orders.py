"""`POST /v1/orders/check`: for venues that ask first, for the trader's own account, for the firm."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from domain.keys import derived_id
from tests.api_world import ApiWorld, api_world
from tests.integration.recorded_feed import opened, two_step
from tests.integration.scripted_venue import ScriptedVenue, judge, on_record

ACCOUNT = derived_id("acc", "checked")
ORDER: dict[str, Any] = {
    "platform": "sandbox",
    "login": 1,
    "kind": "market",
    "symbol": "EURUSD",
    "side": "buy",
    "lots": "1",
}


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[ApiWorld]:
    """The people of the API, and account 1 of another trader, judged by a monitor."""
    async with api_world(database_url) as made:
        on_record(database_url, {1: (two_step(), 1)})
        judge(database_url, ScriptedVenue(opened().batches))
        yield made


async def test_a_venue_names_platform_and_login(world: ApiWorld) -> None:
    answer = await world.ask("venue", "POST", "/v1/orders/check", ORDER | {"stop": "1.37500"}, headers={})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["verdict"], body["login"], body["risk_minor"], body["currency"]) == ("allowed", 1, 50_000, "USD")
    assert body["as_of"]["batch"] == 1
    assert {room["rule_id"] for room in body["rooms"]} == {"daily_loss", "max_loss"}


async def test_it_needs_no_idempotency_key(world: ApiWorld) -> None:
    headers = {"Authorization": f"Bearer {world.people['venue'].token}"}
    answer = await world.http.post("/v1/orders/check", json=ORDER, headers=headers)
    assert answer.status_code == 200, answer.text


async def test_a_venue_sees_nothing_else(world: ApiWorld) -> None:
    for path in ("/v1/accounts", "/v1/payouts", "/v1/summary", "/v1/products", "/v1/search?q=A-10001"):
        assert (await world.ask("venue", "GET", path)).status_code == 403, path


async def test_a_trader_checks_own_accounts_only(world: ApiWorld) -> None:
    assert (await world.ask("eve", "POST", "/v1/orders/check", ORDER)).status_code == 404
    bare = {name: ORDER[name] for name in ("kind", "symbol", "side", "lots")}
    own = bare | {"account_id": world.people["eve"].has("acc")}
    assert (await world.ask("eve", "POST", "/v1/orders/check", own)).status_code == 200
    others = bare | {"account_id": world.people["tina"].has("acc")}
    assert (await world.ask("eve", "POST", "/v1/orders/check", others)).status_code == 404


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"lots": "0"}, "lots"),
        ({"lots": 1}, "lots"),
        ({"lots": "NaN"}, "lots"),
        ({"lots": "1e999999"}, "lots"),
        ({"lots": "1000001"}, "lots"),
        ({"price": "1e10"}, "price"),
        ({"kind": "pending"}, "price"),
        ({"kind": "close"}, "position_id"),
        ({"symbol": None}, "symbol"),
        ({"login": None}, "account_id"),
        ({"account_id": ACCOUNT}, "account_id"),
        ({"stop": "-1"}, "stop"),
        ({"stop": "1.5"}, "stop"),
        ({"kind": "close", "position_id": "p1", "lots": "1", "stop": "1.3"}, "stop"),
        ({"kind": "close", "position_id": "p9"}, "position_id"),
        ({"side": "long"}, "side"),
        ({"size": "1"}, "size"),
    ],
)
async def test_a_wrong_order_names_its_field(world: ApiWorld, change: dict[str, Any], field: str) -> None:
    answer = await world.ask("venue", "POST", "/v1/orders/check", ORDER | change)
    assert (answer.status_code, answer.json()["field"]) == (422, field), answer.text


async def test_the_largest_order_is_judged(world: ApiWorld) -> None:
    most = ORDER | {"lots": "1000000", "price": "999999999", "stop": "0.0000000001"}
    answer = await world.ask("venue", "POST", "/v1/orders/check", most)
    assert answer.status_code == 200, answer.text
    assert answer.json()["verdict"] == "not_allowed"
