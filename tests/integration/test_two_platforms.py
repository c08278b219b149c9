"""Two platforms and two payment providers side by side: two sandboxes on ports of their own, `east` and `west`.

They give out the same ids: the first login, checkout and transfer of both are equal.
"""

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select
from temporalio.testing import ActivityEnvironment

from activities.deps import Deps
from activities.payouts import PayoutActivities
from activities.reconciliation import ReconciliationActivities
from api.json_api import create_json_api
from cli.compose import dependencies
from contracts.messages import ReconciliationStart
from domain import keys
from domain.errors import BadInput, BadSignature, Unavailable
from front.deps import ApiDeps
from relay.inbox import EventSweep, InboxDispatcher
from relay.outbox import OutboxDispatcher
from relay.singletons import Singletons
from store import ledger, outbox, shards
from store.clock import market_now, watermark
from store.models import (
    Breach,
    Challenge,
    Chargeback,
    InboxEvent,
    Payout,
    ProviderEntryRow,
    Shard,
)
from tests.adapters import platforms
from tests.contract.sandbox_process import SECRET, at, running_sandbox, write_recording
from tests.integration.sandbox_firm import a_trader, advance, an_account, judged, no_temporal
from tests.integration.shard_work import falling_prices
from tests.integration.two_sandboxes import NAMES, Two
from tests.payout_world import World, a_firm, ref


@pytest.fixture
def two(database_url: str, tmp_path: Path) -> Iterator[Two]:
    write_recording(tmp_path / "prices", "EURUSD", falling_prices())
    market: dict[str, Any] = {"market_dir": tmp_path / "prices", "symbols": ("EURUSD",)}
    with (
        running_sandbox(tmp_path / "east", **market, webhook_secret=f"{SECRET}-east") as east,
        running_sandbox(tmp_path / "west", **market, webhook_secret=f"{SECRET}-west") as west,
    ):
        yield Two(east, west, tmp_path, database_url)


@pytest.mark.timeout(300)
async def test_each_account_is_judged_and_locked_where_it_is(two: Two) -> None:
    async with dependencies(two.settings("east")) as east, dependencies(two.settings("west")) as west:
        trader = await a_trader(east)
        async with east.db.transaction() as session:
            assert await shards.ensure(session, 1, NAMES) == [0, 1]
        safe = await an_account(east, west, two.east, trader)
        broken = await an_account(west, east, two.west, trader)
        assert (safe.platform, safe.shard, broken.platform, broken.shard) == ("east", 0, "west", 1)
        assert safe.login == broken.login, "the two are told apart by their platform alone"
        for sandbox in (two.east, two.west):
            sandbox.advance(at(0, 5))
        two.east.order(safe.login or 0, "o", symbol="EURUSD", side="buy", lots="0.01").raise_for_status()
        two.west.order(broken.login or 0, "o", symbol="EURUSD", side="buy", lots="10").raise_for_status()
        async with judged(east, [0, 1]):
            advanced = {"until": at(0, 11).isoformat()}
            for sandbox in (two.east, two.west):
                (await asyncio.to_thread(sandbox.post, "/market/advance", advanced)).raise_for_status()
        async with east.db.transaction() as session:
            assert list(await session.scalars(select(Breach.account_id))) == [broken.id]
            readers = await session.execute(select(Shard.platform, Shard.batch > 0).order_by(Shard.id))
            assert [tuple(row) for row in readers] == [("east", True), ("west", True)]
        at_east = await east.platforms.of("east").snapshot(safe.login or 0)
        at_west = await east.platforms.of("west").snapshot(broken.login or 0)
        assert (at_east.trading_enabled, len(at_east.positions)) == (True, 1)
        assert (at_west.trading_enabled, len(at_west.positions)) == (False, 0)

        # what a person confirms is locked by the relay, which finds the platform by the account
        payload = {"key": "lock/by-hand", "login": safe.login, "account_id": safe.id}
        async with east.db.transaction() as session:
            await outbox.enqueue(
                session, key="lock/by-hand", topic="venue.lock", target=str(safe.login), payload=payload
            )
        relay = OutboxDispatcher(west.db, no_temporal, west.platforms)
        await relay.release()
        await relay.step()
        await relay.step()
        assert not (await east.platforms.of("east").snapshot(safe.login or 0)).trading_enabled
        async with east.db.transaction() as session:
            with pytest.raises(BadInput, match="'east', and shard 1 reads 'west'"):
                await shards.request_move(session, accounts=[safe.id], to=1, actor="usr_1", reason="test")


@pytest.mark.timeout(300)
async def test_market_time_goes_on_while_another_platform_is_silent_or_retired(two: Two) -> None:
    async with dependencies(two.settings("east")) as east, dependencies(two.settings("west")) as west:
        trader = await a_trader(east)
        relay = Singletons(east.db, no_temporal, 1, NAMES)
        with pytest.raises(Unavailable):  # the shards are on the record before Temporal is asked
            await relay.step()
        opened = await an_account(east, west, two.east, trader)
        assert opened.shard == 0

        async def now_is(minute: int) -> bool:
            async with east.db.transaction() as session:
                assert await watermark(session) is not None, "no platform has a market time"
                return await market_now(session) >= at(0, minute)

        async with judged(east, [0]):  # nobody reads the other platform, which has delivered nothing
            await advance(two.east, 3)
        assert await now_is(2)
        async with judged(east, [0, 1]):
            await advance(two.west, 2)
            await advance(two.east, 5)
        assert not await now_is(4), "the firm goes by the slowest platform"
        with pytest.raises(Unavailable):
            await Singletons(east.db, no_temporal, 1, ["east"]).step()
        async with judged(east, [0]):
            await advance(two.east, 9)
        assert await now_is(8), "a retired platform does not hold it back"


@pytest.mark.timeout(300)
async def test_fees_are_booked_and_reconciled_at_the_provider_that_took_them(two: Two) -> None:
    async with dependencies(two.settings("east")) as east, dependencies(two.settings("west")) as west:
        trader = await a_trader(east)
        first = await an_account(east, west, two.east, trader)
        second = await an_account(west, east, two.west, trader)
        async with east.db.transaction() as session:
            rows = await session.execute(select(Challenge.provider, Challenge.checkout_id).order_by(Challenge.provider))
            (name, checkout), (other_name, other_checkout) = rows.tuples()
            assert (name, other_name, checkout) == ("east", "west", other_checkout)
            fees = [await ledger.balance(session, f"provider:{name}", "USD") for name in NAMES]
            assert fees[0] == fees[1] > 0
        report = await ActivityEnvironment().run(ReconciliationActivities(east).reconcile, ReconciliationStart())
        assert (report.entries, report.tied, report.unreconciled) == (2, 2, 0)

        # one provider is away: the other is reconciled all the same, and the activity runs again
        two.east.kill()
        two.west.post(f"/provider/checkouts/{other_checkout}/dispute", {}).raise_for_status()
        with pytest.raises(Unavailable):
            await ActivityEnvironment().run(ReconciliationActivities(east).reconcile, ReconciliationStart())
        async with east.db.transaction() as session:
            entries = await session.scalars(select(ProviderEntryRow.provider).order_by(ProviderEntryRow.provider))
            assert list(entries) == ["east", "west", "west", "west"], "what was taken, and its fee"
        await EventSweep(east.db, east.payments.acquirers.of("west")).step()
        await InboxDispatcher(east.db, east.payments).step()
        async with east.db.transaction() as session:
            heard = await session.scalars(select(Chargeback.challenge_id))
            assert set(heard) == {second.challenge_id}, "and not the one whose checkout has the same id"
        assert first.challenge_id != second.challenge_id


@pytest.fixture
async def firm(database_url: str) -> AsyncIterator[World]:
    async with a_firm(database_url) as found:
        yield found


@pytest.mark.timeout(300)
async def test_a_payout_leaves_by_its_rail(two: Two, firm: World) -> None:
    async with dependencies(two.settings("east")) as configured:
        deps = Deps(db=firm.db, platforms=platforms(firm.venue), payments=configured.payments)
        firm.payments, firm.activities = configured.payments, PayoutActivities(deps)
        fay = await firm.add_user("fay", "finance")
        by_west = await firm.awaiting(await firm.add_trader("tina"), 100_000, rail="west")
        by_east = await firm.awaiting(await firm.add_trader("eve"), 100_000, rail="east")
        for payout_id in (by_west, by_east):
            await firm.decide(payout_id, fay)
            assert (await firm.activities.send_money(ref(payout_id))).state == "sent"
        async with firm.db.transaction() as session:
            sent = {row.id: row for row in await session.scalars(select(Payout))}
            assert sent[by_west].transfer_id == sent[by_east].transfer_id, "each rail counts for itself"
            for name, payout_id in (("west", by_west), ("east", by_east)):
                left = await ledger.balance(session, f"in-transit:{name}", "USD")
                assert left == -(sent[payout_id].trader_minor + sent[payout_id].refund_minor)
        for name, sandbox, payout_id in (("west", two.west, by_west), ("east", two.east, by_east)):
            found = await configured.payments.rails.of(name).find_transfer(keys.transfer(payout_id, 1))
            assert found is not None
            assert found.reference == payout_id
            assert len(sandbox.http.get("/provider/transfers", params={"key": keys.transfer(payout_id, 1)}).json()) == 1
        assert await configured.payments.rails.of("east").find_transfer(keys.transfer(by_west, 1)) is None
        report = await ActivityEnvironment().run(ReconciliationActivities(deps).reconcile, ReconciliationStart())
        assert (report.tied, report.unreconciled) == (2, 0)
        async with firm.db.transaction() as session:
            for name, payout_id in (("west", by_west), ("east", by_east)):
                assert await ledger.balance(session, f"in-transit:{name}", "USD") == 0, "the statement shows it"
                left = await ledger.balance(session, f"provider:{name}", "USD")
                assert left == -(sent[payout_id].trader_minor + sent[payout_id].refund_minor)


async def test_a_webhook_is_verified_by_the_provider_of_its_address(two: Two) -> None:
    async with dependencies(two.settings("east")) as configured:
        nobody: Any = no_temporal
        api = create_json_api(
            ApiDeps(db=configured.db, temporal=nobody, payments=configured.payments, public_url="http://firm.test")
        )
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=api), base_url="http://firm.test") as http:

            async def post(provider: str, secret: str) -> tuple[int, str]:
                body = json.dumps({"id": "ev_1", "kind": "checkout.paid", "object_id": "co_1", "created_at": None})
                unix = str(int(time.time()))
                digest = hmac.new(secret.encode(), f"{unix}.{body}".encode(), hashlib.sha256).hexdigest()
                headers = {"propos-signature": f"t={unix},v1={digest}"}
                answer = await http.post(f"/webhooks/payments/{provider}", content=body, headers=headers)
                return answer.status_code, str(answer.json().get("type", ""))

            assert await post("west", f"{SECRET}-east") == (400, BadSignature.type)
            assert await post("north", f"{SECRET}-east") == (404, "not-found")
            assert (await post("west", f"{SECRET}-west"))[0] == 202
            assert (await post("east", f"{SECRET}-east"))[0] == 202
        async with configured.db.transaction() as session:
            kept = await session.execute(
                select(InboxEvent.provider, func.count()).group_by(InboxEvent.provider).order_by(InboxEvent.provider)
            )
            assert [tuple(row) for row in kept] == [("east", 1), ("west", 1)]
