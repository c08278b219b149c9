"""The console and the API show what the configured platforms can do."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import select

from firm import stops
from firm.people import current_actor
from ports.capabilities import PlatformCapabilities, PlatformFeatures
from store.models import User
from tests.console_world import ConsoleWorld, console_world

WATCHED = PlatformFeatures("watched", "toy", False, PlatformCapabilities(pushes_events=True, keeps_deals_days=90))

SELLING = PlatformFeatures("sandbox", "sandbox", True, PlatformCapabilities(), ("instant",))


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[ConsoleWorld]:
    async with console_world(database_url, platforms=(WATCHED,)) as made:
        yield made


async def test_staff_read_what_a_platform_can_do(world: ConsoleWorld) -> None:
    async with world.browser("finn@firm.example") as browser:
        assert "/platforms" in (await browser.get("/")).text
        page = (await browser.get("/platforms")).text
        for said in ("watched", "This venue cannot create accounts.", "This venue keeps 90 days of deals."):
            assert said in page, said
        assert "new accounts open here" not in page
        (item,) = (await browser.get("/v1/platforms")).json()["items"]
    assert (item["name"], item["adapter"], item["default"]) == ("watched", "toy", False)
    assert item["capabilities"]["pushes_events"] is True and item["capabilities"]["creates_accounts"] is False
    assert "This venue can send fills without being asked." in item["words"]


async def test_a_stop_is_shown_until_its_end_is_agreed_to(world: ConsoleWorld) -> None:
    async with world.db.transaction() as session:
        rosa, ana = [
            await current_actor(session, user_id)
            for user_id in (await session.scalars(select(User.id).where(User.role.in_(("risk", "admin"))))).all()
        ]
    for lifts, shown in ((False, True), (True, False)):
        for actor in (rosa, ana):
            async with world.db.transaction() as session:
                row = await stops.ask(
                    session,
                    platform="watched",
                    symbol=None,
                    lifts=lifts,
                    whole=True,
                    actor=actor,
                    reason="Prices are wrong.",
                )
                assert row.state == ("proposed" if actor is rosa else "approved")
        async with world.db.transaction() as session:
            await stops.carried_out(session, row.id, everywhere=True)
        async with world.browser("finn@firm.example") as browser:
            page = (await browser.get("/platforms")).text
            (item,) = (await browser.get("/v1/platforms")).json()["items"]
        assert ("Trading is stopped since" in page and "Prices are wrong." in page) == shown
        assert [each["reason"] for each in item["stops"]] == ["Prices are wrong."] * shown


async def test_a_trader_does_not(world: ConsoleWorld) -> None:
    async with world.browser("mara@example.org") as browser:
        assert (await browser.get("/platforms")).status_code == 403


@pytest.fixture
async def both(database_url: str) -> AsyncIterator[ConsoleWorld]:
    async with console_world(database_url, platforms=(SELLING, WATCHED)) as made:
        yield made


async def test_pages_say_the_platform_of_an_account_when_there_are_several(both: ConsoleWorld) -> None:
    payout = both.firm.payout
    async with both.browser("ana@firm.example") as browser:
        account = (await browser.get(f"/v1/payouts/{payout}")).json()
        assert account["platform"] == "sandbox"
        for path, said in (
            ("/accounts", '<span class="muted small">sandbox</span>'),
            ("/payouts", "<td>sandbox</td>"),
            ("/queue", '<span class="muted small">sandbox</span>'),
            (f"/queue/payout/{payout}", "on sandbox"),
            (f"/payouts/{payout}", "on sandbox"),
            (f"/challenges/{account['challenge_id']}", "on sandbox"),
            ("/platforms", "accounts of instant open here"),
        ):
            assert said in (await browser.get(path)).text, path
        assert "No accounts match" in (await browser.get("/accounts?platform=watched")).text
        queue = (await browser.get("/v1/queue")).json()["items"]
        assert {item["platform"] for item in queue if item["account_id"]} == {"sandbox"}
    async with both.browser("mara@example.org") as browser:
        assert "Two-step 100k · Verification · sandbox" in (await browser.get("/")).text
        assert "traded on sandbox" in (await browser.get("/buy")).text


async def test_pages_of_one_platform_do_not_repeat_its_name(world: ConsoleWorld) -> None:
    async with world.browser("ana@firm.example") as browser:
        for path in ("/accounts", "/payouts", "/queue", "/"):
            page = (await browser.get(path)).text
            assert "<td>sandbox</td>" not in page and 'small">sandbox<' not in page, path


async def test_exposure_is_of_a_platform(both: ConsoleWorld) -> None:
    async with both.browser("ana@firm.example") as browser:
        rows = (await browser.get("/v1/exposure")).json()["items"]
        assert {(row["platform"], row["symbol"]) for row in rows} == {("sandbox", "EURUSD"), ("sandbox", "XAUUSD")}
        assert (await browser.get("/v1/exposure?platform=watched")).json()["items"] == []
        assert "XAUUSD" in (await browser.get("/?platform=sandbox")).text
        assert "No open positions" in (await browser.get("/overview?platform=watched")).text
        assert (await browser.get("/v1/exposure?platform=%3C")).status_code == 422
