"""A change of platform in the console and the API: proposed on the account page, approved by a second person on the
figures of the page, and told to the trader."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from sqlalchemy import delete, select, update

from ports.capabilities import PlatformCapabilities, PlatformFeatures
from store.models import Account, AccountLive, AccountPlace, OutboxMessage, PlatformChange, Review, Shard
from tests.console_history import NOW
from tests.console_world import ConsoleWorld, console_world
from tests.integration.console_page import Page

_ABLE = PlatformCapabilities(
    creates_accounts=True, sets_trading=True, moves_balances=True, finds_balance_operations=True
)
PLATFORMS = (
    PlatformFeatures("sandbox", "sandbox", True, _ABLE),
    PlatformFeatures("west", "sandbox", False, _ABLE),
    PlatformFeatures("watched", "toy", False, PlatformCapabilities(pushes_events=True)),
)


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[ConsoleWorld]:
    async with console_world(database_url, platforms=PLATFORMS) as made:
        async with made.db.transaction() as session:
            await session.execute(delete(Shard))
            feed = {"instruments": {"EURUSD": ["100000", "USD"], "XAUUSD": ["100", "USD"]}}
            session.add_all(
                Shard(id=number, platform=name, feed=feed, watermark=NOW)
                for number, name in enumerate(("sandbox", "west"))
            )
            account_id = select(Account.id).where(Account.number == int(made.firm.active[2:])).scalar_subquery()
            await session.execute(
                update(Review).where(Review.account_id == account_id).values(status="closed", close_reason="Looked.")
            )
            await session.execute(update(AccountLive).where(AccountLive.account_id == account_id).values(positions=[]))
        yield made


async def the_change(world: ConsoleWorld) -> PlatformChange:
    async with world.db.transaction() as session:
        return (await session.scalars(select(PlatformChange))).one()


async def test_two_people_agree_and_the_trader_sees_it(world: ConsoleWorld) -> None:
    page = f"/accounts/{world.firm.active}"
    async with world.browser("rosa@firm.example") as rosa:
        shown = (await rosa.get(page)).text
        assert f"{page}/platform-change" in Page(shown).actions
        assert Page(shown).forbidden == []
        assert "<option>west</option>" in shown and "<option>watched</option>" not in shown
        sent = {"to_platform": "west", "close_positions": "no", "reason": "The venue closes."}
        key = uuid4().hex
        answers = [await rosa.post(f"{page}/platform-change", key=key, **sent) for _ in range(2)]
        change = await the_change(world)
        assert [answer.headers["location"] for answer in answers] == [f"/platform-changes/{change.id}"] * 2
        own = (await rosa.get(f"/platform-changes/{change.id}")).text
        assert "You proposed this; somebody else must decide it." in own and "Balance" in own
        refused = await rosa.post(f"/platform-changes/{change.id}/decision", decision="approve", reason="Mine.")
        assert refused.status_code == 403
    async with world.browser("mara@example.org") as mara:
        assert "Propose another platform" not in (await mara.get(page)).text
        assert "is proposed" not in (await mara.get(page)).text
        assert (await mara.get(f"/v1/platform-changes/{change.id}")).status_code == 403
    async with world.browser("ana@firm.example") as ana:
        assert f"/platform-changes/{change.id}" in (await ana.get(f"/queue/platform_change/{change.id}")).text
        item = (await ana.get(f"/v1/platform-changes/{change.id}")).json()
        assert (item["from_platform"], item["to_platform"], item["state"]) == ("sandbox", "west", "proposed")
        body = {"reason": "Agreed.", "seen": "0" * 64}
        stale = await ana.http.post(
            f"/v1/platform-changes/{change.id}/approve",
            json=body,
            headers={"Idempotency-Key": uuid4().hex, "X-CSRF-Token": await ana.csrf()},
        )
        assert (stale.status_code, stale.json()["type"]) == (409, "stale-decision")
        agreed = await ana.post(f"/platform-changes/{change.id}/decision", decision="approve", reason="Agreed.")
        assert agreed.status_code == 303
        assert "Give the account back" in (await ana.get(f"/platform-changes/{change.id}")).text
    async with world.db.transaction() as session:
        assert (await session.get_one(PlatformChange, change.id)).state == "approved"
        started = select(OutboxMessage.name).where(OutboxMessage.target == f"platform_change/{change.id}")
        assert (await session.scalars(started)).all() == ["PlatformChange"]
        # what the shards write
        account = await session.get_one(Account, change.account_id)
        row = await session.get_one(PlatformChange, change.id)
        row.state = "done"
        session.add_all(
            [
                AccountPlace(account_id=account.id, number=1, platform="sandbox", login=account.login, until=NOW),
                AccountPlace(
                    account_id=account.id, number=2, platform="west", login=77, since=NOW, change_id=change.id
                ),
            ]
        )
        account.platform, account.login = "west", 77
    async with world.browser("mara@example.org") as mara:
        told = (await mara.get(page)).text
        assert "west, login 77" in told and "with the same balance, limits and days" in told
        assert "sandbox, login" in told
        assert "The account goes on at west with login 77" in told
