"""A sandbox against the record: what differs is a break once it is certain, and closes by itself."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update
from temporalio.testing import ActivityEnvironment

from activities.deps import Deps
from activities.reconciliation import ReconciliationActivities
from cli.compose import dependencies
from contracts.operations import ComparisonReport, ComparisonRequest, SourceRef
from domain.approvals import Actor
from domain.errors import BadInput, Conflict, NotAllowed
from domain.reconciliation import Again
from firm.reconciliation import again as ordered
from relay.outbox import OutboxDispatcher
from settings import load
from store import shards
from store.models import Account, AccountLive, ReconciliationBreak, Review, VenueCheck
from tests.challenge_world import KEYS
from tests.contract.sandbox_process import SECRET, TOKEN, SandboxProcess, at, running_sandbox, write_recording
from tests.integration.sandbox_firm import a_trader, advance, an_account, judged, no_temporal
from tests.integration.shard_work import falling_prices

RISK = Actor(user_id="usr_risk", person_id="person-risk", role="risk")


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[SandboxProcess]:
    write_recording(tmp_path / "prices", "EURUSD", falling_prices())
    with running_sandbox(tmp_path / "sandbox", market_dir=tmp_path / "prices", symbols=("EURUSD",)) as running:
        yield running


@asynccontextmanager
async def firm_of(sandbox: SandboxProcess, database_url: str, folder: Path) -> AsyncIterator[Deps]:
    fields: dict[str, Any] = {"adapter": "sandbox", "url": sandbox.url, "token": TOKEN}
    paid = {"sandbox": fields | {"webhook_secret": SECRET}}
    settings = load(
        data_dir=folder,
        database_url=database_url,
        payload_keys=KEYS,
        platforms={"sandbox": fields},
        acquirers=paid,
        rails=paid,
        statements=paid,
    )
    async with dependencies(settings) as deps:
        yield deps


class Comparing:
    def __init__(self, deps: Deps, sandbox: SandboxProcess) -> None:
        self.deps, self.sandbox = deps, sandbox
        self.activities = ReconciliationActivities(deps, pause=0)
        self.minute, self.asked = 1, 0
        self._relay = OutboxDispatcher(deps.db, no_temporal, deps.platforms)

    async def compare(self) -> ComparisonReport:
        """A person asks for a comparison."""
        self.asked += 1
        request = ComparisonRequest(key=f"asked/{self.asked}", platform="sandbox")
        return await ActivityEnvironment().run(self.activities.compare_platform, request)

    async def read_on(self) -> None:
        """The shard reads a minute of the market, and stores what it read."""
        self.minute += 1
        async with judged(self.deps, [0]):
            await advance(self.sandbox, self.minute)

    async def breaks(self) -> list[ReconciliationBreak]:
        async with self.deps.db.transaction() as session:
            found = select(ReconciliationBreak).where(ReconciliationBreak.state == "open")
            return list(await session.scalars(found.order_by(ReconciliationBreak.kind)))

    async def order(self, kind: str, what: Again, actor: Actor = RISK, reason: str = "Seen.") -> None:
        [row] = [each for each in await self.breaks() if each.kind == kind]
        async with self.deps.db.transaction() as session:
            await ordered.again(session, break_id=row.id, what=what, actor=actor, reason=reason)
        await self._relay.release()
        while await self._relay.step():
            pass

    async def change(self, account: Account, **values: Any) -> None:
        async with self.deps.db.transaction() as session:
            await session.execute(update(Account).where(Account.id == account.id).values(**values))


@pytest.mark.timeout(300)
async def test_every_kind_of_difference(sandbox: SandboxProcess, database_url: str, tmp_path: Path) -> None:
    async with firm_of(sandbox, database_url, tmp_path) as deps:
        trader = await a_trader(deps)
        async with deps.db.transaction() as session:
            await shards.ensure(session, 1, ["sandbox"])
        first, second = [await an_account(deps, deps, sandbox, trader) for _ in range(2)]
        here = Comparing(deps, sandbox)
        await here.read_on()
        report = await here.compare()
        assert (report.compared, report.breaks, report.suspected) == (2, {}, 0)

        await _a_trade_that_the_record_has_not_read_yet_is_no_break(here, first)
        await _rights_are_certain_at_the_second_look(here, first, second)
        await _an_account_that_only_one_side_has(here, second)
        await _a_balance_of_which_the_record_never_hears(here, first)
        await _the_daily_round(here)


async def _a_trade_that_the_record_has_not_read_yet_is_no_break(here: Comparing, account: Account) -> None:
    here.sandbox.order(account.login or 0, "o", symbol="EURUSD", side="buy", lots="0.5").raise_for_status()
    report = await here.compare()
    assert (report.breaks, report.suspected) == ({}, 2), "its position and its costs: nobody reads"
    await here.read_on()
    report = await here.compare()
    assert (report.breaks, report.suspected) == ({}, 0)


async def _rights_are_certain_at_the_second_look(here: Comparing, first: Account, second: Account) -> None:
    def trading(account: Account, key: str, enabled: bool) -> None:
        body = {"key": key, "enabled": enabled}
        here.sandbox.post(f"/venue/accounts/{account.login}/trading", body).raise_for_status()

    trading(first, "by hand", False)
    await here.change(second, status="locked", ended_at=at(0, 3))
    assert (await here.compare()).breaks == {"venue_trade_disabled": 1, "venue_still_trades": 1}
    with pytest.raises(Conflict):
        await here.order("venue_still_trades", "enable_again")
    with pytest.raises(BadInput):
        await here.order("venue_still_trades", "lock_again", reason=" ")
    support = Actor(user_id="usr_sue", person_id="person-sue", role="support")
    with pytest.raises(NotAllowed):
        await here.order("venue_still_trades", "lock_again", actor=support)
    await here.order("venue_still_trades", "lock_again")
    await here.order("venue_trade_disabled", "enable_again")
    assert (await here.compare()).breaks == {}
    shown = [await here.deps.platforms.of("sandbox").snapshot(each.login or 0) for each in (first, second)]
    assert [each.trading_enabled for each in shown] == [True, False]

    trading(first, "once more by hand", False)
    async with here.deps.db.transaction() as session:
        values: dict[str, Any] = {"kind": "venue_locked", "account_id": first.id, "detail": {}, "occurred_at": at(0, 3)}
        session.add(Review(id="rev_1", key="venue_locked/1", **values))
    assert (await here.compare()).breaks == {}, "a review asks about it"
    async with here.deps.db.transaction() as session:
        (await session.get_one(Review, "rev_1")).status = "closed"
    trading(first, "again by hand", True)
    await here.change(second, status="active", ended_at=None)
    trading(second, "again by hand", True)


async def _an_account_that_only_one_side_has(here: Comparing, second: Account) -> None:
    stranger = here.sandbox.funded("stranger")
    await here.change(second, login=999)
    found = await here.compare()
    assert found.breaks == {"venue_account_missing": 1, "venue_account_unknown": 2}
    assert {row.subject for row in await here.breaks()} == {"", str(stranger), str(second.login)}
    await here.change(second, login=second.login)
    async with here.deps.db.transaction() as session:
        [row] = [each for each in await here.breaks() if each.subject == str(stranger)]
        kept = await session.get_one(ReconciliationBreak, row.id)
        kept.state, kept.resolution = "closed", "explain"
    assert (await here.compare()).breaks == {}, "one was accepted, and of the other two both sides agree again"


async def _a_balance_of_which_the_record_never_hears(here: Comparing, first: Account) -> None:
    async with here.deps.db.transaction() as session:
        live = await session.get_one(AccountLive, first.id)
        live.balance_minor += 70
    report = await here.compare()
    assert (report.breaks, report.suspected) == ({}, 1)
    while report.suspected:
        await here.read_on()
        report = await here.compare()
    assert (report.breaks, report.suspected) == ({"venue_balance_differs": 1}, 0)
    [row] = await here.breaks()
    assert (row.amount_minor, row.account_id, row.detail["shown"]) == (-70, first.id, row.detail["expected"] - 70)
    async with here.deps.db.transaction() as session:
        live = await session.get_one(AccountLive, first.id)
        live.balance_minor -= 70
    assert (await here.compare()).breaks == {}


async def _the_daily_round(here: Comparing) -> None:
    """All accounts are compared once a market day; what differs is looked at in every round."""

    async def round_of_today() -> int:
        return (await ActivityEnvironment().run(here.activities.read_platform, SourceRef(name="sandbox"))).entries

    assert await round_of_today() == 0, "a person asked for it today"
    async with here.deps.db.transaction() as session:
        check = await session.get_one(VenueCheck, "sandbox")
        check.day -= timedelta(days=1)
    assert await round_of_today() == 3
    assert await round_of_today() == 0
