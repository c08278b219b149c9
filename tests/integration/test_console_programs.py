"""The pages of API keys and webhooks: made in a form, shown once, changed; only for those who may."""

import re
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import func, select

from store.models import ApiKey, WebhookEndpoint
from tests.console_world import ConsoleWorld, console_world
from tests.integration.console_page import Page

TOKEN = re.compile(r"<pre[^>]*data-secret>(propos_[^<]+|whsec_[^<]+)</pre>")


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[ConsoleWorld]:
    async with console_world(database_url) as made:
        yield made


async def test_a_key_is_made_rotated_and_revoked_on_the_page(world: ConsoleWorld) -> None:
    async with world.browser("ana@firm.example") as browser:
        page = await browser.get("/api-keys")
        assert page.status_code == 200 and Page(page.text).forbidden == []
        sent = {"name": "The CRM", "days": "30", "scope": "accounts.read"}
        made = await browser.post("/api-keys", key="a-key-of-one-form", **sent)
        token = TOKEN.findall(made.text)[0]
        again = await browser.post("/api-keys", key="a-key-of-one-form", **sent)
        assert (again.status_code, TOKEN.findall(again.text)) == (200, [])
        async with world.db.transaction() as session:
            [key] = list(await session.scalars(select(ApiKey)))
        rotated = await browser.post(f"/api-keys/{key.id}/rotate", overlap_hours="1")
        assert TOKEN.findall(rotated.text) not in ([], [token])
        assert (await browser.post(f"/api-keys/{key.id}/revoke")).status_code == 303
        shown = (await browser.get("/api-keys")).text
        assert token not in shown and "revoked" in shown
        wrong = await browser.post("/api-keys", name="x", days="many", scope="accounts.read")
        assert wrong.status_code == 422


async def test_an_endpoint_is_made_tried_and_switched_off_on_the_page(world: ConsoleWorld) -> None:
    async with world.browser("ana@firm.example") as browser:
        assert Page((await browser.get("/webhook-endpoints")).text).forbidden == []
        made = await browser.post("/webhook-endpoints", url="https://hooks.example.com/crm", kind="ticket.opened")
        assert made.status_code == 200 and TOKEN.findall(made.text)[0].startswith("whsec_")
        assert (await browser.post("/webhook-endpoints", url="https://10.0.0.1/")).status_code == 422
        async with world.db.transaction() as session:
            [row] = list(await session.scalars(select(WebhookEndpoint)))
        path = f"/webhook-endpoints/{row.id}"
        assert (await browser.post(f"{path}/test")).status_code == 303
        page = (await browser.get(path)).text
        assert Page(page).forbidden == [] and "webhook.test" in page
        times = {"since": "2020-01-01T00:00", "until": "2020-01-02T00:00"}
        assert (await browser.post(f"{path}/replay", **times)).status_code == 303
        assert (await browser.post(f"{path}/switch?to=disabled")).status_code == 303
        assert (await browser.post(f"{path}/test")).status_code == 409
        assert TOKEN.findall((await browser.post(f"{path}/rotate", overlap_hours="24")).text)


async def test_each_secret_on_the_pages_needs_a_proof(world: ConsoleWorld) -> None:
    async with world.browser("ana@firm.example") as browser:
        await browser.post("/api-keys", name="The CRM", days="30", scope="accounts.read")
        await browser.post("/webhook-endpoints", url="https://hooks.example.com/crm", kind="ticket.opened")
        async with world.db.transaction() as session:
            [key] = list(await session.scalars(select(ApiKey)))
            [row] = list(await session.scalars(select(WebhookEndpoint)))
        for path, fields in (
            ("/api-keys", {"name": "Another", "days": "30", "scope": "accounts.read"}),
            (f"/api-keys/{key.id}/rotate", {"overlap_hours": "1"}),
            ("/webhook-endpoints", {"url": "https://hooks.example.com/other", "kind": "ticket.opened"}),
            (f"/webhook-endpoints/{row.id}/rotate", {"overlap_hours": "1"}),
        ):
            sent = {"csrf": await browser.csrf(), "key": f"a-form-of-{path}", **fields}
            asked = await browser.http.post(path, data=sent)
            assert (asked.status_code, "changes keys" in asked.text) == (403, True), path
            assert TOKEN.findall(asked.text) == []
        async with world.db.transaction() as session:
            made = [await session.scalar(select(func.count()).select_from(kind)) for kind in (ApiKey, WebhookEndpoint)]
        assert made == [1, 1]


async def test_the_pages_are_for_those_who_may(world: ConsoleWorld) -> None:
    async with world.browser(None) as browser:
        assert (await browser.get("/api-keys")).status_code == 303
    async with world.browser("finn@firm.example") as browser:
        assert (await browser.get("/webhook-endpoints")).status_code == 403
