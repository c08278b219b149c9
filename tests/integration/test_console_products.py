"""Products in the console: two people put a version on sale and move accounts, each seeing what it changes."""

import re
from collections.abc import AsyncIterator
from typing import Final

import pytest

from domain.products.product import Product
from firm.products import proposals
from firm.products import version_moves as moves
from firm.products.shelf import SHELF, load_product
from store import products
from tests.console_world import ConsoleWorld, console_world
from tests.integration.console_page import Page, actor

WHY: Final = "A tighter day for new customers"


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[ConsoleWorld]:
    async with console_world(database_url) as made:
        yield made


def tighter() -> Product:
    terms = load_product(SHELF / "two-step.v1.yaml").model_dump(mode="json")
    del terms["payout"]["bands"]
    terms |= {"version": 2, "fee": "600", "name": "<b>Two-step</b> 100k"}
    terms["phases"][0]["rules"][0]["allowance"]["value"] = "4"
    return Product.model_validate(terms)


async def proposed(world: ConsoleWorld) -> str:
    risk = await actor(world, "risk")
    async with world.db.transaction() as session:
        row = await proposals.propose(session, tighter(), source="two-step.v2.yaml", actor=risk, reason=WHY)
        return row.id


async def moving(world: ConsoleWorld) -> str:
    risk = await actor(world, "risk")
    async with world.db.transaction() as session:
        await products.publish(session, tighter())
        row = await moves.propose(
            session, product="two-step", from_version=1, to_version=2, numbers=None, actor=risk, reason=WHY
        )
        return row.id


def buttons(html: str) -> list[str]:
    return re.findall(r'name="decision" value="(\w+)"', html)


async def test_a_second_person_sees_the_differences_approves_and_puts_it_on_sale(world: ConsoleWorld) -> None:
    path = f"/proposals/{await proposed(world)}"
    async with world.browser("rosa@firm.example") as browser:
        mine = (await browser.get(path)).text
        assert buttons(mine) == ["withdraw"]
        answer = await browser.post(f"{path}/decision", decision="approve", reason="I like it")
        assert answer.status_code == 403 and "somebody else must decide it" in answer.text
    async with world.browser("ana@firm.example") as browser:
        html = (await browser.get(path)).text
        assert Page(html).forbidden == [] and "<b>Two-step</b>" not in html
        for shown in ("<del>540.00 USD</del>", "<ins>600.00 USD</ins>", "Challenge · daily loss · allowance"):
            assert shown in html
        assert buttons(html) == ["approve", "reject"]
        assert (await browser.post(f"{path}/decision", decision="approve", reason="Agreed")).status_code == 303
        assert buttons((await browser.get(path)).text) == ["publish"]
        assert (await browser.post(f"{path}/decision", decision="publish", reason="From Monday")).status_code == 303
        html = (await browser.get("/products")).text
        assert Page(html).forbidden == [] and "two people" in html and "installation" in html
        assert buttons((await browser.get(path)).text) == []
    async with world.db.transaction() as session:
        assert (await products.newest(session, "two-step")).fee_minor == 60_000


async def test_a_move_names_its_accounts_and_waits_for_their_reset(world: ConsoleWorld) -> None:
    path = f"/moves/{await moving(world)}"
    async with world.browser("ana@firm.example") as browser:
        html = (await browser.get(path)).text
        assert world.firm.active in html and buttons(html) == ["approve", "reject"]
        assert world.firm.breached not in html, "an account that has ended does not move"
        assert (await browser.post(f"{path}/decision", decision="approve", reason="Agreed")).status_code == 303
        html = (await browser.get(path)).text
        assert buttons(html) == [] and "approved" in html
        assert "Waiting" in html


async def test_a_move_is_proposed_on_the_page_of_products(world: ConsoleWorld) -> None:
    async with world.db.transaction() as session:
        await products.publish(session, tighter())
    sent = {"from": "two-step@1", "to_version": "2", "accounts": world.firm.active, "reason": WHY}
    async with world.browser("rosa@firm.example") as browser:
        page = (await browser.get("/products")).text
        assert Page(page).forbidden == [] and 'value="two-step@1"' in page and 'value="two-step@2"' not in page
        for wrong in ({"from": "two-step"}, {"to_version": "x"}, {"accounts": "Mara"}, {"reason": ""}):
            assert (await browser.post("/moves", **{**sent, **wrong})).status_code == 422, wrong
        made = await browser.post("/moves", **sent)
        assert made.status_code == 303, made.text
        assert world.firm.active in (await browser.get(made.headers["location"])).text
    async with world.browser("sam@firm.example") as browser:
        assert 'action="/moves"' not in (await browser.get("/products")).text
        assert (await browser.post("/moves", **sent)).status_code == 403


async def test_what_waits_for_a_second_person_stands_in_the_queue(world: ConsoleWorld) -> None:
    proposal = await proposed(world)
    async with world.browser("ana@firm.example") as browser:
        listed, item = "/queue?kind=product_version", f"/queue/product_version/{proposal}?kind=product_version"
        html = (await browser.get(item)).text
        assert Page(html).forbidden == [] and "New terms: two-step version 2" in html
        assert f"/proposals/{proposal}" in html and "<ins>600.00 USD</ins>" in html, (
            "what changes is seen before deciding"
        )
        answer = await browser.post(
            f"/proposals/{proposal}/decision", decision="approve", reason="Agreed", tab="product_version"
        )
        assert answer.headers["location"] == listed, "nothing else of this kind waits"
        assert "New terms: two-step version 2" in (await browser.get(listed)).text, "agreed to, and not yet on sale"
        await browser.post(f"/proposals/{proposal}/decision", decision="publish", reason="From Monday")
        assert "New terms" not in (await browser.get(listed)).text
        html = (await browser.get(f"/queue/product_version/{proposal}")).text
        assert "Approved by Ana Ruiz (admin)" in html and 'name="decision"' not in html


async def test_an_account_says_that_it_waits_for_a_move(world: ConsoleWorld) -> None:
    move, account = await moving(world), f"/accounts/{world.firm.active}"
    goes_on = "this account continues on version 2"
    async with world.browser("ana@firm.example") as browser, world.browser("mara@example.org") as trader:
        html = (await browser.get(f"/queue/account_move/{move}?kind=account_move")).text
        assert Page(html).forbidden == [] and "Move of accounts: two-step to version 2" in html
        assert buttons(html) == ["approve", "reject"]
        html = (await browser.get(account)).text
        assert "until a second person approves it" in html and f'href="/moves/{move}"' in html
        assert "version 2" not in (await trader.get(account)).text, "nothing is agreed to yet"
        await browser.post(f"/moves/{move}/decision", decision="approve", reason="Agreed")
        assert goes_on in (await browser.get(account)).text
        html = (await trader.get(account)).text
        assert goes_on in html and "/moves/" not in html
        assert "Move of accounts" not in (await browser.get("/queue?kind=account_move")).text


async def test_who_may_only_read_is_offered_nothing(world: ConsoleWorld) -> None:
    path = f"/proposals/{await proposed(world)}"
    async with world.browser("uma@firm.example") as browser:
        html = (await browser.get(path)).text
        assert buttons(html) == [] and "Only admin or risk may decide this; your role is auditor." in html
        assert (await browser.post(f"{path}/decision", decision="approve", reason="I like it")).status_code == 403
        assert (await browser.get("/products")).status_code == 200
    async with world.browser("mara@example.org") as browser:
        for place in ("/products", path):
            assert (await browser.get(place)).status_code == 403
