"""The checkout page of a trader: choices, the live price, the order, the way to the acquirer and back."""

import re
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from adapters.taxes.flat import FlatTaxes, TaxTable
from domain.lifecycle import Paid
from domain.products.product import Product
from firm import challenges, fees
from firm.selling import coupons
from store import products
from store.models import Challenge, MarketClock, Sale
from tests.console_world import Browser, ConsoleWorld, console_world
from tests.integration.console_page import Page

TABLE = TaxTable.model_validate(
    {
        "seller": {"name": "Example Trading", "address": ["Main Street 1"], "tax_id": "DE123"},
        "countries": {"DE": [{"name": "VAT", "pct": "19"}]},
        "elsewhere": [{"name": "Levy", "pct": "10"}],
    }
)
FIELDS = re.compile(r'<input type="hidden" name="(add_ons|coupons|quote|terms)" value="([^"]*)"')


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[ConsoleWorld]:
    async with console_world(database_url, taxes=FlatTaxes(TABLE)) as made:
        async with made.db.transaction() as session:
            body = (await products.newest(session, "two-step")).model_dump(mode="json")
            split = {"id": "split_90", "name": "90% split", "price": "100"}
            body |= {"product": "add-ons", "add_ons": [split | {"changes": {"payout.split_pct": "90"}}]}
            await products.publish(session, Product.model_validate(body))
            await coupons.add(session, coupons.read({"code": "TEN", "pct": "10"}), by="command-line")
        yield made


async def _order(browser: Browser, query: str = "add_on=split_90&coupon=ten", **changes: str) -> str:
    """Sends the form of the page with these choices. Returns where it leads."""
    page = (await browser.get(f"/buy/add-ons?{query}")).text
    fields = dict(FIELDS.findall(page)) | {"accept": "yes"} | changes
    answer = await browser.post("/buy/add-ons", **fields)
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])


async def test_the_price_follows_the_choices(world: ConsoleWorld) -> None:
    async with world.browser("mara@example.org") as browser:
        assert "/buy/add-ons" in (await browser.get("/buy")).text
        plain = (await browser.get("/buy/add-ons")).text
        part = (await browser.part("/buy/add-ons?add_on=split_90&coupon=ten", "section#price")).text
        refused = (await browser.part("/buy/add-ons?coupon=NONE", "section#price")).text
    assert not Page(plain).forbidden and "540.00" in plain
    assert "<html" not in part and part.strip().startswith("<section")
    for words in ("90% split", "100.00", "Coupon TEN", "64.00", "Your share is 90", "Order for"):
        assert words in part, words
    assert "There is no coupon NONE" in refused and "Order for" not in refused


async def test_an_order_needs_the_terms_accepted_and_leads_to_the_acquirer_and_back(world: ConsoleWorld) -> None:
    async with world.browser("mara@example.org") as browser:
        page = (await browser.get("/buy/add-ons?add_on=split_90&coupon=ten")).text
        fields = dict(FIELDS.findall(page))
        assert (await browser.post("/buy/add-ons", **fields)).status_code == 422, "the box was not ticked"
        stale = await browser.post("/buy/add-ons", **(fields | {"accept": "yes", "quote": "0" * 64}))
        assert (stale.status_code, "The price has changed" in stale.text) == (409, True)
        place = await _order(browser)
        waiting = (await browser.get(place)).text
        assert "Waiting for your payment" in waiting and 'href="https://pay.example/1"' in waiting
        challenge_id = place.removeprefix("/checkout/")
        async with world.db.transaction() as session:
            sale = await session.get_one(Sale, challenge_id)
            row = await challenges.lock(session, challenge_id)
            paid = Paid(minor=row.fee_minor, currency="USD")
            assert not await fees.receive(session, row, paid=paid, reference=row.id, provider=row.provider)
            await session.execute(update(Challenge).where(Challenge.id == row.id).values(state="active"))
        assert sale.accepted_at is not None and sale.terms_hash == fields["terms"]
        back = (await browser.get(place)).text
        assert "Thank you" in back and 'data-poll hx-get="/checkout' not in back
        receipt = re.search(r"/receipts/rcp_\w+", back)
        assert receipt is not None
        shown = (await browser.get(receipt.group())).text
        for words in ("Receipt 2014-000001", "Example Trading", "DE123", "Main Street 1", "Coupon TEN", "Total"):
            assert words in shown, words
        assert not Page(shown).forbidden
        assert receipt.group() in (await browser.get("/receipts")).text
        told = (await browser.get(f"/v1{receipt.group()}")).json()
        assert told["total_minor"] == paid.minor == told["net_minor"] + told["tax_minor"]
    async with world.browser("otto@example.org") as browser:
        for other in (receipt.group(), f"/v1{receipt.group()}", place):
            assert (await browser.get(other)).status_code == 404
    async with world.browser("finn@firm.example") as browser:
        assert (await browser.get(receipt.group())).status_code == 200


async def test_an_order_that_is_not_paid_says_so(world: ConsoleWorld) -> None:
    async with world.browser("mara@example.org") as browser:
        place = await _order(browser)
        async with world.db.transaction() as session:
            clock = (await session.scalars(select(MarketClock))).first()
            assert clock is not None
            clock.watermark += timedelta(hours=25)
        late = (await browser.get(place)).text
        assert "The time to pay has passed" in late and "pay.example" not in late
        for state, words in {
            "cancelled": "Not paid in time",
            "payment_review": "being checked",
            "refunded": "went back",
        }.items():
            async with world.db.transaction() as session:
                await session.execute(
                    update(Challenge).where(Challenge.id == place.removeprefix("/checkout/")).values(state=state)
                )
            assert words in (await browser.get(place)).text


async def test_staff_buy_nothing(world: ConsoleWorld) -> None:
    async with world.browser("finn@firm.example") as browser:
        for page in ("/buy", "/buy/add-ons"):
            assert (await browser.get(page)).status_code == 403
