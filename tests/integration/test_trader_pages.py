"""The pages of a trader: what they say of the trader's own account, and what they never say."""

import re
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy import update

from front.certificates import OPENED
from store.models import Payout
from tests.console_history import NOW
from tests.console_world import ConsoleWorld, console_world, feed_heard
from tests.integration.console_page import Page


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[ConsoleWorld]:
    async with console_world(database_url) as made:
        yield made


async def test_every_page_of_an_account(world: ConsoleWorld) -> None:
    await feed_heard(world, timedelta(0))
    async with world.browser("mara@example.org") as browser:
        for number in (world.firm.active, world.firm.funded):
            for part in ("", "/days", "/trades", "/terms", "/room"):
                answer = await browser.get(f"/accounts/{number}{part}")
                assert answer.status_code == 200, (part, answer.text[:800])
                assert Page(answer.text).forbidden == [] and len(answer.content) < 150_000


_LINK = re.compile(r"http://firm\.test(/c/[\w-]{43})<")


async def test_a_certificate_is_shown_while_its_link_works(world: ConsoleWorld) -> None:
    await _arrived(world)
    async with world.browser("mara@example.org") as mara, world.browser(None) as anybody:
        page = (await mara.get("/certificates")).text
        (of,) = set(re.findall(r'value="(payout/pay_\w+)"', page))
        made = await mara.post("/certificates", key="k" * 20, of=of, name="initials")
        link = _LINK.search(made.text)
        assert link is not None and made.status_code == 200
        again = await mara.post("/certificates", key="k" * 20, of=of, name="initials")
        assert _LINK.search(again.text) is None and "the link was shown then" in again.text
        assert (await mara.post("/certificates", of=of, name="full")).status_code == 409

        shown = await anybody.get(link[1])
        assert shown.status_code == 200 and shown.headers["X-Robots-Tag"] == "noindex, nofollow, noarchive"
        assert '<meta name="robots" content="noindex, nofollow, noarchive">' in shown.text
        assert "M. L." in shown.text and "Lindqvist" not in shown.text and "1,116.00" not in shown.text
        assert world.firm.funded not in shown.text and Page(shown.text).forbidden == []

        (certificate,) = set(re.findall(r"/certificates/(crt_\w+)/renew", again.text))
        renewed = await mara.post(f"/certificates/{certificate}/renew", name="full", amount="yes")
        second = _LINK.search(renewed.text)
        assert second is not None and second[1] != link[1]
        new, old = await anybody.get(second[1]), await anybody.get(link[1])
        assert "Mara Lindqvist" in new.text and "1,116.00" in new.text
        assert (await mara.post(f"/certificates/{certificate}/revoke")).status_code == 303
        revoked, unknown = await anybody.get(second[1]), await anybody.get(f"/c/{'x' * 43}")
        answers = [old, revoked, unknown, await anybody.get("/c/short")]
        assert [each.status_code for each in answers] == [404] * 4 and len({each.text for each in answers}) == 1

        third = _LINK.search((await mara.post(f"/certificates/{certificate}/renew", name="none")).text)
        assert third is not None and (await anybody.get(third[1])).status_code == 200
        async with world.db.transaction() as session:  # the money came back
            await session.execute(update(Payout).where(Payout.id == world.firm.payout).values(state="returned"))
        assert (await anybody.get(third[1])).text == unknown.text
    async with world.browser("otto@example.org") as otto:
        assert certificate not in (await otto.get("/certificates")).text
        assert (await otto.post(f"/certificates/{certificate}/revoke")).status_code == 404
        assert (await otto.post("/certificates", of=of)).status_code == 404


async def test_nobody_tries_many_links(world: ConsoleWorld) -> None:
    async with world.browser(None) as anybody:
        answers = [(await anybody.get(f"/c/{number:043}")).status_code for number in range(OPENED + 20)]
    assert answers[:20] == [404] * 20 and 429 in answers


async def _arrived(world: ConsoleWorld) -> None:
    async with world.db.transaction() as session:
        paid = update(Payout).where(Payout.id == world.firm.payout)
        await session.execute(paid.values(state="paid", closed_at=NOW))
