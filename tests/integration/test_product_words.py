"""The words of a product are shown to whoever may buy it, and to whoever decides on it."""

from collections.abc import AsyncIterator

import pytest

from domain.products.product import Product
from domain.products.words import describe
from firm.products import proposals
from firm.products.shelf import SHELF, load_product
from tests.api_world import api_world
from tests.console_world import ConsoleWorld, console_world
from tests.integration.console_page import Page, actor
from tests.shelf import shipped

FUTURES = load_product(SHELF / "futures-eod.v1.yaml")
PATH = "/v1/products/futures-eod/1/words"


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[ConsoleWorld]:
    async with console_world(database_url) as made:
        yield made


async def test_the_api_gives_the_words_that_were_made_from_the_terms(database_url: str) -> None:
    async with api_world(database_url) as firm:
        assert (await firm.ask(None, "GET", PATH)).status_code == 401
        answer = await firm.ask("tina", "GET", PATH)
        assert answer.json() == describe(FUTURES).model_dump(mode="json")
        assert answer.json()["content_hash"] == FUTURES.content_hash
        assert (await firm.ask("tina", "GET", PATH.replace("/1/", "/2/"))).status_code == 404
        assert (await firm.ask("tina", "GET", PATH.replace("/1/", "/0/"))).status_code == 422


async def test_a_trader_finds_every_rule_book_from_the_first_page(world: ConsoleWorld) -> None:
    async with world.browser("mara@example.org") as browser:
        html = (await browser.get("/")).text
        for product in shipped():
            assert f'href="/products/{product.product}/{product.version}"' in html
        page = await browser.get("/products/futures-eod/1")
        assert page.status_code == 200 and Page(page.text).forbidden == []
        for section in describe(FUTURES).sections:
            assert section.title in page.text
        assert "50,000.00 USD" in page.text and FUTURES.content_hash[:16] in page.text
        assert (await browser.get("/products/futures-eod/9")).status_code == 404
        assert (await browser.get("/products/futures-eod/x")).status_code == 404
        assert (await browser.get("/products")).status_code == 403


async def test_whoever_approves_a_version_reads_what_traders_will_read(world: ConsoleWorld) -> None:
    terms = FUTURES.model_dump(mode="json") | {"version": 2, "name": "<b>Futures</b>"}
    terms["payout"].pop("bands")  # no new version may have them
    risk = await actor(world, "risk")
    async with world.db.transaction() as session:
        row = await proposals.propose(session, Product.model_validate(terms), source="file", actor=risk, reason="new")
    async with world.browser("ana@firm.example") as browser:
        assert f"/proposals/{row.id}/words" in (await browser.get(f"/proposals/{row.id}")).text
        html = (await browser.get(f"/proposals/{row.id}/words")).text
        assert "&lt;b&gt;Futures&lt;/b&gt;" in html and "<b>Futures</b>" not in html
        assert 'href="/products/futures-eod/1"' in (await browser.get("/products")).text
    async with world.browser("mara@example.org") as browser:
        assert (await browser.get(f"/proposals/{row.id}/words")).status_code == 403


async def test_a_proposed_definition_with_an_unknown_venue_is_refused(database_url: str) -> None:
    text = (SHELF / "futures-eod.v1.yaml").read_text().replace("version: 1", "version: 2").replace("CMES", "CMEX")
    async with api_world(database_url) as firm:
        path = "/v1/products/futures-eod/versions?reason=because"
        answer = await firm.ask("risk", "POST", path, content=text)
        assert answer.status_code == 422
        assert answer.json()["field"].endswith("flat_by.calendar")
        assert "there is no venue calendar 'CMEX'; use a name such as" in answer.text
