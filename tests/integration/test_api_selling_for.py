"""A shop with an API key signs a trader up and orders for them; the trader pays, confirms the address, gets in."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from firm.selling import coupons
from store.models import AuditEntry, Challenge, Sale
from tests.api_world import ApiWorld, api_world
from tests.mailed import token_of

NILS = {"name": "Nils Ekman", "email": "nils@example.org", "country": "SE"}


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[ApiWorld]:
    async with api_world(database_url) as made:
        async with made.db.transaction() as session:
            first = {"code": "FIRST", "pct": "10", "first_purchase": True}
            await coupons.add(session, coupons.read(first), by="command-line")
        yield made


async def _shop(world: ApiWorld, *scopes: str) -> str:
    wanted = list(scopes or ("traders.register", "challenges.buy_for", "challenges.read", "traders.list"))
    answer = await world.ask("support", "POST", "/v1/api-keys", {"name": "The shop", "scopes": wanted})
    return str(answer.json()["token"])


async def _by(world: ApiWorld, token: str, path: str, body: Any, key: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": key}
    return await world.http.post(path, json=body, headers=headers)


async def test_a_shop_registers_orders_and_gets_the_checkout_and_nothing_happens_twice(world: ApiWorld) -> None:
    shop = await _shop(world)
    made, again = [await _by(world, shop, "/v1/trader-registrations", NILS, "shop-nils-1") for _ in range(2)]
    assert (made.status_code, again.json()) == (201, made.json())
    trader_id = made.json()["trader_id"]
    taken = await _by(world, shop, "/v1/trader-registrations", NILS, "shop-nils-2")
    assert (taken.status_code, taken.json()["field"]) == (422, "email")
    listed = await world.http.get("/v1/traders?q=nils@example.org", headers={"Authorization": f"Bearer {shop}"})
    assert [each["id"] for each in listed.json()["items"]] == [trader_id]

    wanted = {"product": "two-step", "coupons": ["FIRST"]}
    preview = (await _by(world, shop, f"/v1/traders/{trader_id}/checkout/preview", wanted, "none-needed")).json()
    order = wanted | {"quote": preview["quote"], "accepted_terms": preview["terms_hash"]}
    ordered, same = [await _by(world, shop, f"/v1/traders/{trader_id}/challenges", order, "shop-order-1") for _ in "ab"]
    assert (ordered.status_code, same.json()) == (201, ordered.json())
    assert ordered.json()["checkout_url"].startswith("https://pay.example/")
    assert ordered.json()["fee_minor"] == preview["total_minor"] == 48_600
    async with world.db.transaction() as session:
        [challenge] = (await session.scalars(select(Challenge).where(Challenge.trader_id == trader_id))).all()
        sale = await session.get_one(Sale, challenge.id)
        noted = await session.scalars(select(AuditEntry).where(AuditEntry.subject_id.in_((trader_id, challenge.id))))
        by = {entry.action: (entry.actor, "api_key" in entry.evidence) for entry in noted}
    support = world.people["support"].actor.user_id
    assert (challenge.state, sale.terms_hash) == ("awaiting_payment", preview["terms_hash"])
    assert world.payments.calls == 1
    assert by["trader.registered"] == by["challenge.bought"] == (support, True)


async def test_the_trader_confirms_the_address_and_chooses_a_password(world: ApiWorld) -> None:
    shop = await _shop(world)
    await _by(world, shop, "/v1/trader-registrations", NILS, "shop-nils-1")
    token = await token_of(world.db, "nils@example.org", "confirmation")
    assert (await world.http.put("/v1/email-confirmation", json={"token": token})).status_code == 204
    asked = await world.ask(None, "POST", "/v1/password-recovery", {"login": "nils@example.org"})
    assert asked.status_code == 202
    new = {"token": await token_of(world.db, "nils@example.org", "recovery"), "new": "a brand new pass phrase"}
    assert (await world.http.put("/v1/password-recovery", json=new)).status_code == 204
    login = {"login": "nils@example.org", "password": new["new"]}
    assert (await world.http.post("/v1/sessions", json=login)).json()["role"] == "trader"


@pytest.mark.parametrize(
    ("scope", "path", "kind"),
    [
        ("traders.register", "/v1/traders/{}/challenges", "out-of-scope"),
        ("challenges.buy_for", "/v1/trader-registrations", "out-of-scope"),
        ("challenges.buy_for", "/v1/traders/trd_00000000000000000000000000/challenges", "not-found"),
        ("challenges.buy_for", "/v1/traders/{}/challenges", "changed-meanwhile"),
    ],
)
async def test_what_a_shop_may_not_is_refused(world: ApiWorld, scope: str, path: str, kind: str) -> None:
    shop = await _shop(world, scope)
    body = NILS if path.endswith("registrations") else {"product": "two-step", "accepted_terms": "0" * 64}
    refused = await _by(world, shop, path.format(world.people["tina"].trader_id), body, "shop-order-2")
    assert refused.json()["type"] == kind
