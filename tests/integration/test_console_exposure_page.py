"""The exposure page and its API over a desk that runs: figures, what-ifs, limits that open reviews, stops."""

import time
from collections.abc import AsyncIterator, Iterator

import pytest
from sqlalchemy import text

from domain.exposure.policy import ExposurePolicy
from firm.exposure import policy
from monitor.exposure.desk import ExposureDesk
from monitor.exposure.frozen import freeze
from monitor.shard import Shard
from ports.capabilities import PlatformCapabilities, PlatformFeatures
from tests.console_world import Browser, ConsoleWorld, console_world
from tests.integration.console_page import Page
from tests.integration.exposure_world import SECONDS, desk_over
from tests.integration.scripted_venue import rows
from tests.unit.exposure.shelf_shard import shelf_shard

VENUE = PlatformFeatures("sandbox", "sandbox", True, PlatformCapabilities(close_only=True, cancels_orders=True))


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[ConsoleWorld]:
    async with console_world(database_url, platforms=(VENUE,)) as made:
        yield made


@pytest.fixture
def shard() -> Shard:
    return shelf_shard(200, 3)[1]


@pytest.fixture
def desk(database_url: str, world: ConsoleWorld, shard: Shard) -> Iterator[ExposureDesk]:
    with desk_over(database_url, shard) as made:
        yield made


def wait_for(database_url: str, query: str, wanted: list[tuple[object, ...]]) -> None:
    until = time.monotonic() + SECONDS
    while (found := rows(database_url, query)) != wanted:
        assert time.monotonic() < until, found
        time.sleep(0.05)


async def test_programs_read_the_figures_and_ask_what_if(world: ConsoleWorld, desk: ExposureDesk) -> None:
    async with world.browser("finn@firm.example") as browser:
        firm = (await browser.get("/v1/exposure")).json()["firm"]
        assert (firm["shards"], firm["accounts"], firm["currency"]) == (1, 200, "USD")
        assert {"EUR", "XAU", "JPY"} <= {line["currency"] for line in firm["currencies"]}
        [point] = (await browser.get("/v1/exposure/history")).json()["items"]
        assert point["gross_minor"] == firm["gross_minor"]
        asked = {"shock": "EURUSD -8 %, XAUUSD +12 %", "stops": "walk"}
        answer = await browser.http.post("/v1/exposure/what-if", json=asked, headers=await _keyed(browser))
        assert answer.status_code == 200, answer.text
        found = answer.json()["answer"]
        [outcome] = found["outcomes"]
        assert (found["accounts"], found["missing"]) == (200, [])
        assert outcome["breaches"] == len(outcome["breached"]) > 0
        assert outcome["owed_minor"] != found["owed_minor"]
        refused = await browser.http.post(
            "/v1/exposure/what-if", json={"shock": "TSLA 5"}, headers=await _keyed(browser)
        )
        assert (refused.status_code, refused.json()["field"]) == (422, "shock")
        ladder = await browser.http.post("/v1/exposure/what-if", json={"ladder": True}, headers=await _keyed(browser))
        steps = ladder.json()["answer"]["outcomes"]
        assert len(steps) == 11
        assert (steps[5]["breaches"], steps[5]["owed_minor"]) == (0, found["owed_minor"]), (
            "nothing moves, nothing changes"
        )
        assert steps[0]["floating_minor"] * steps[10]["floating_minor"] < 0


async def _keyed(browser: Browser) -> dict[str, str]:
    return {"X-CSRF-Token": await browser.csrf(), "Idempotency-Key": f"key-{time.monotonic_ns()}"}


async def test_the_page_works_without_script_and_breaks_no_policy(world: ConsoleWorld, desk: ExposureDesk) -> None:
    async with world.browser("finn@firm.example") as browser:
        page = await browser.get("/exposure?shock=EURUSD+-8&crosses=named")
        assert page.status_code == 200
        assert Page(page.text).forbidden == []
        for said in ("Accounts that breach", "Net currency position", "XAUUSD", "Nearest to a limit", "History"):
            assert said in page.text, said
        assert "Request, or confirm a request" not in page.text, "finance stops no platform"
        assert "is no symbol with a percentage" in (await browser.get("/exposure?shock=up")).text
        assert "Bars: accounts that breach." in (await browser.get("/exposure?shock=&ladder=1")).text
        assert "Nothing is stopped" in page.text
    async with world.browser("mara@example.org") as trader:
        assert (await trader.get("/exposure")).status_code == 403


async def test_a_limit_opens_a_review_and_closes_it_when_the_exposure_is_gone(
    database_url: str, world: ConsoleWorld, desk: ExposureDesk, shard: Shard
) -> None:
    limit = {"id": "gold", "of": "symbol", "name": "XAUUSD", "measure": "gross", "soft": "1000", "hard": "100000"}
    async with world.db.transaction() as session:
        await policy.publish(session, ExposurePolicy.model_validate({"limits": [limit]}))
    reviews = "SELECT status, detail->>'level', closed_by FROM reviews WHERE kind = 'exposure_limit'"
    wait_for(database_url, reviews, [("open", "hard", None)])
    async with world.browser("rosa@firm.example") as browser:
        assert "exposure beyond a limit" in (await browser.get("/queue?kind=review")).text
        [shown] = (await browser.get("/v1/exposure/limits")).json()["items"]
        assert (shown["name"], shown["level"]) == ("XAUUSD", "hard")
    for account in shard.state.accounts:
        account.ended = True
    desk.give(freeze(shard.state, 2))
    wait_for(database_url, reviews, [("closed", "inside", "system")])
    assert rows(database_url, "SELECT level, times FROM exposure_standings") == [("inside", 1)]


async def test_two_persons_stop_the_firm_from_the_page(world: ConsoleWorld) -> None:
    form = {"platform": "*", "action": "close_only", "reason": "Prices are wrong."}
    async with world.browser("rosa@firm.example") as rosa, world.browser("ana@firm.example") as ana:
        assert (await rosa.post("/exposure/stops", **form)).status_code == 303
        page = (await rosa.get("/exposure")).text
        assert "waits for a second person" in page and "every platform" in page
        assert (await ana.post("/exposure/stops", **form)).status_code == 303
        assert "being carried out" in (await ana.get("/exposure")).text
        refused = await ana.post("/exposure/stops", **{**form, "action": "cancel_orders", "symbol": "EURUSD"})
        assert refused.status_code == 422
    async with world.db.transaction() as session:
        found = (await session.execute(text("SELECT platform, action, state FROM platform_stops"))).all()
    assert [tuple(row) for row in found] == [("*", "close_only", "approved")]
