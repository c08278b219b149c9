"""The price of a purchase through the API, and the order of exactly that price and those terms."""

from collections.abc import AsyncIterator

import pytest

from firm.selling import coupons
from store.models import Sale
from tests.api_world import ApiWorld, api_world


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[ApiWorld]:
    async with api_world(database_url) as made:
        async with made.db.transaction() as session:
            await coupons.add(session, coupons.read({"code": "TEN", "pct": "10"}), by="command-line")
            first = {"code": "FIRST", "pct": "10", "first_purchase": True}
            await coupons.add(session, coupons.read(first), by="command-line")
        yield made


async def test_what_was_previewed_is_what_is_ordered(world: ApiWorld) -> None:
    wanted = {"product": "two-step", "coupons": ["ten"]}
    offer = (await world.ask("tina", "POST", "/v1/checkout/preview", wanted)).json()
    assert [line["amount_minor"] for line in offer["lines"]] == [54_000, -5_400]
    order = wanted | {"quote": offer["quote"], "accepted_terms": offer["terms_hash"]}
    bought = (await world.ask("tina", "POST", "/v1/challenges", order, key="order-one")).json()
    assert bought["fee_minor"] == offer["total_minor"] == 48_600
    again = (await world.ask("tina", "POST", "/v1/challenges", order, key="order-one")).json()
    assert again == bought
    async with world.db.transaction() as session:
        sale = await session.get_one(Sale, bought["id"])
    assert (sale.terms_hash, sale.accepted_by) == (offer["terms_hash"], world.people["tina"].actor.user_id)


@pytest.mark.parametrize(
    ("changes", "status", "kind"),
    [
        ({"coupons": ["FIRST"]}, 409, "coupon-refused"),
        ({"coupons": ["TEN", "FIRST"]}, 409, "coupon-refused"),
        ({"coupons": ["NOPE"]}, 409, "coupon-refused"),
        ({"coupons": ["no coupon"]}, 422, "bad-input"),
        ({"add_ons": ["pony"]}, 422, "bad-input"),
        ({"product": "no-such"}, 422, "bad-input"),
    ],
)
async def test_what_cannot_be_ordered_has_no_price(
    world: ApiWorld, changes: dict[str, object], status: int, kind: str
) -> None:
    for path in ("/v1/checkout/preview", "/v1/challenges"):
        answer = await world.ask("tina", "POST", path, {"product": "two-step"} | changes)
        assert (answer.status_code, answer.json()["type"]) == (status, kind), path


async def test_a_price_of_another_time_is_refused(world: ApiWorld) -> None:
    for stale in ({"quote": "0" * 64}, {"accepted_terms": "0" * 64}):
        answer = await world.ask("tina", "POST", "/v1/challenges", {"product": "two-step"} | stale)
        assert (answer.status_code, answer.json()["type"]) == (409, "changed-meanwhile")
