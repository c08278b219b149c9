"""A trader's room to every limit is one statement; what a payout leaves is said before and at the request."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import event, update

from store.models import AccountLive, WarningRow
from store.read import room
from store.scope import FIRM
from tests.api_world import ApiWorld, api_world
from tests.rule_states import standing


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[ApiWorld]:
    async with api_world(database_url) as made:
        yield made


async def test_the_room_to_every_limit_and_the_next_reset_is_one_statement(world: ApiWorld) -> None:
    said: list[str] = []

    def heard(_conn: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        said.append(statement)

    account = world.people["tina"].has("acc")
    async with world.db.transaction() as session:
        await session.connection()
        event.listen(world.db.engine.sync_engine, "before_cursor_execute", heard)
        view = await room.one(session, FIRM, account)
        event.remove(world.db.engine.sync_engine, "before_cursor_execute", heard)
    assert len(said) == 1
    assert (view.equity_minor, view.seconds_to_reset) == (10_300_000, 3600)
    daily = next(limit for limit in view.limits if limit.rule_id == "daily_loss")
    assert (daily.floor_minor, daily.room_minor) == (9_700_000, 600_000)
    assert len(view.limits) >= 2
    assert view.tightest.room_minor == min(limit.room_minor for limit in view.limits)


async def test_only_the_owner_and_the_firm_see_it(world: ApiWorld) -> None:
    path = f"/v1/accounts/{world.people['tina'].has('acc')}"
    for what in ("room", "warnings"):
        assert (await world.ask("tina", "GET", f"{path}/{what}")).status_code == 200
        assert (await world.ask("eve", "GET", f"{path}/{what}")).status_code == 404
    assert (await world.ask("eve", "GET", f"{path}/payouts/preview?amount=100")).status_code == 404
    old = await world.ask("tina", "GET", f"{path}/payouts/preview?amount=100")
    assert old.headers["Deprecation"] == "@1796083200"
    assert old.headers["Sunset"] == "Wed, 01 Dec 2027 00:00:00 GMT"
    assert old.headers["Link"] == '</docs/simulate_payout>; rel="successor-version"'


async def test_a_payout_that_leaves_no_room_is_said_before_at_and_after_the_request(world: ApiWorld) -> None:
    account = world.people["tina"].has("acc")
    async with world.db.transaction() as session:
        # the daily floor stands at 102,500.00: 500.00 can leave and nothing is left
        await session.execute(
            update(AccountLive)
            .where(AccountLive.account_id == account)
            .values(rule_state=standing("two-step", 3, {"daily_loss": 10_250_000}))
        )
    path = f"/v1/accounts/{account}/payouts"
    ahead = (await world.ask("tina", "GET", f"{path}/preview?amount=500.00")).json()
    said = "After this payout the room is 0.00 USD under daily loss: the next spread would breach it."
    assert (ahead["least_room_minor"], ahead["warnings"], ahead["refusals"]) == (0, [said], [])
    assert {row["rule_id"]: row["room_after_minor"] for row in ahead["rooms"]}["daily_loss"] == 0
    too_much = (await world.ask("tina", "GET", f"{path}/preview?amount=500.01")).json()
    assert "would break daily loss by itself" in too_much["refusals"][0]

    asked = await world.ask("tina", "POST", path, {"amount": "500.00"})
    assert asked.status_code == 201, asked.text
    assert asked.json()["warnings"] == [said]
    told = (await world.ask("tina", "GET", f"/v1/accounts/{account}/warnings")).json()["items"]
    assert [row["kind"] for row in told] == ["payout_leaves_no_room"]
    assert told[0]["words"] == (
        "After the payout of 500.00 USD your room under daily loss is 0.00 USD: the next spread would breach it."
    )
    payout = (await world.ask("finance", "GET", f"/v1/payouts/{asked.json()['id']}")).json()
    assert payout["checks"]["room:daily_loss"]["words"] == said


async def test_warnings_are_words_with_the_exact_figures(world: ApiWorld) -> None:
    account = world.people["tina"].has("acc")
    figures = {
        "floor_minor": 9_500_000, "equity_minor": 9_600_000, "room_minor": 100_000, "allowance_minor": 500_000,
        "used_pct": "80.00", "operator": "equity < floor", "direction": "floor",
    }  # fmt: skip
    async with world.db.transaction() as session:
        at = (await room.one(session, FIRM, account)).market_time
        session.add(
            WarningRow(
                account_id=account, kind="limit_used", rule_id="daily_loss", period="2014-05-02", at=at, figures=figures
            )
        )
    (row,) = (await world.ask("tina", "GET", f"/v1/accounts/{account}/warnings")).json()["items"]
    assert row["words"] == (
        "80.00 % of daily loss is used: equity 96,000.00 USD, floor 95,000.00 USD, room 1,000.00 USD."
    )
    timeline = (await world.ask("tina", "GET", f"/v1/accounts/{account}/timeline?kind=rules")).json()["items"]
    assert row["words"] in [entry["words"] for entry in timeline]
