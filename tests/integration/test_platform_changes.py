"""An account goes from one sandbox to another in the middle of a phase, beside a twin that stays where it is.

Both sandboxes play the same prices, and both accounts make the same trades at the same times. So whatever the first
account is after the change must be what its twin is, to the cent.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import select
from temporalio.testing import ActivityEnvironment

from activities.deps import Deps
from activities.platform_changes import PlatformChangeActivities
from activities.platform_reading import PlatformReading
from cli.compose import dependencies
from cli.proof import chain
from contracts.messages import PlatformChangeStart
from domain.approvals import Actor
from domain.products.product import Product
from domain.proofs.check import check
from firm import platform_changes
from monitor.departures import Departures
from monitor.shard import Shard
from store import platform_changes as store_changes
from store import products, shards
from store.models import (
    Account,
    AccountLive,
    AccountPlace,
    Breach,
    Credential,
    DailySnapshot,
    DealRow,
    PlatformChange,
    Proof,
    ReconciliationBreak,
    Review,
)
from tests.contract.sandbox_process import SECRET, at, running_sandbox, write_recording
from tests.integration.sandbox_firm import a_trader, an_account, judged
from tests.integration.scripted_venue import Killed
from tests.integration.staff import person
from tests.integration.two_sandboxes import NAMES, Two

LACKS: Final = dict.fromkeys(NAMES, ())
TRAILING: Final[dict[str, Any]] = {
    "product": "trailing",
    "version": 1,
    "name": "Trailing 50k",
    "family": "one-step",
    "currency": "USD",
    "initial_balance": "50000",
    "fee": "100",
    "leverage": 100,
    "clock": {"zone": "Europe/Prague", "reset": "00:00"},
    "dispute_days": 14,
    "phases": [
        {
            "name": "Evaluation",
            "target": {"type": "pct_of_initial", "value": "10"},
            "min_trading_days": 3,
            "rules": [
                {
                    "type": "daily_loss",
                    "anchor": "max(balance,equity)",
                    "allowance": {"type": "amount", "value": "400"},
                    "breach_when": "equity < floor",
                },
                {
                    "type": "max_loss_trailing",
                    "peak_basis": "intraday_equity_peak",
                    "allowance": {"type": "amount", "value": "300.01"},
                    "breach_when": "equity < floor",
                },
                {
                    "type": "lot_size_band",
                    "reference": "first_trade",
                    "min_multiple": "0.1",
                    "max_multiple": "3",
                    "consequences": [{"kind": "warn"}],
                },
                {
                    "type": "best_day_ratio",
                    "id": "best_day",
                    "limit_pct": "90",
                    "compare": "<=",
                    "blocks": ["pass"],
                    "effect": "excess_added_to_target",
                },
            ],
        }
    ],
    "funded": {
        "name": "Funded",
        "rules": [
            {
                "type": "max_loss_static",
                "allowance": {"type": "amount", "value": "1000"},
                "breach_when": "equity < floor",
            }
        ],
    },
    "payout": {"first_after_days": 0, "every_days": 1, "split_pct": "80", "min_request": "1"},
}
# From when on the price is which, as (bid, ask). Prague's day ends at 23:00 UTC.
PRICES: Final = (
    (at(22, 55), "20000.00", "20000.10"),
    (at(22, 57), "20050.00", "20050.10"),
    (at(23, 2), "20039.10", "20039.20"),
    (at(23, 8), "20020.20", "20020.30"),
    (at(23, 9), "20020.19", "20020.29"),
)


def recording() -> list[str]:
    lines, midnight = [], at(0)
    for second in range(16 * 60):
        now = at(22, 55) + timedelta(seconds=second)
        _, bid, ask = max(price for price in PRICES if price[0] <= now)
        lines.append(f"{int((now - midnight).total_seconds()) * 1000},{bid},{ask}")
    return lines


@pytest.fixture
def two(database_url: str, tmp_path: Path) -> Iterator[Two]:
    write_recording(tmp_path / "prices", "NAS100", recording())
    market: dict[str, Any] = {"market_dir": tmp_path / "prices", "symbols": ("NAS100",), "start": at(22, 55)}
    with (
        running_sandbox(tmp_path / "east", **market, webhook_secret=f"{SECRET}-east") as east,
        running_sandbox(tmp_path / "west", **market, webhook_secret=f"{SECRET}-west") as west,
    ):
        yield Two(east, west, tmp_path, database_url)


@dataclass
class Story:
    """`moved` and `twin` trade at `east`; later `moved` trades at `west`. `other` is the first account at `west`."""

    two: Two
    deps: Deps
    moved: Account
    twin: Account
    rosa: Actor
    ria: Actor

    async def advance(self, until: datetime, *names: str) -> None:
        for name in names or NAMES:
            body = {"until": until.isoformat()}
            answer = await asyncio.to_thread(self.two.by_name[name].post, "/market/advance", body)
            assert answer.status_code == 200, answer.text

    async def buy(self, key: str, lots: str) -> None:
        """Both accounts, each where it is."""
        await self._order(key, symbol="NAS100", side="buy", lots=lots)

    async def close(self, key: str) -> None:
        for account in await self.accounts():
            sandbox = self.two.by_name[account.platform]
            found = await self.deps.platforms.of(account.platform).snapshot(account.login or 0)
            for held in found.positions:
                closing = {
                    "symbol": held.symbol,
                    "side": "sell",
                    "lots": str(held.lots),
                    "position_id": held.position_id,
                }
                sandbox.order(account.login or 0, f"{key}/{held.position_id}", **closing).raise_for_status()

    async def _order(self, key: str, **order: str) -> None:
        for account in await self.accounts():
            self.two.by_name[account.platform].order(account.login or 0, key, **order).raise_for_status()

    async def accounts(self) -> list[Account]:
        async with self.deps.db.transaction() as session:
            ids = [self.moved.id, self.twin.id]
            rows = {row.id: row for row in await session.scalars(select(Account).where(Account.id.in_(ids)))}
            return [rows[each] for each in ids]

    async def live(self) -> list[AccountLive]:
        async with self.deps.db.transaction() as session:
            return [await session.get_one(AccountLive, each.id) for each in (self.moved, self.twin)]

    async def propose(self, *, close_positions: bool = False) -> str:
        async with self.deps.db.transaction() as session:
            change = await platform_changes.propose(
                session,
                account_id=self.moved.id,
                to_platform="west",
                close_positions=close_positions,
                lacks=LACKS,
                actor=self.rosa,
                reason="East is closing.",
            )
            return change.id

    async def approve(self, change_id: str) -> None:
        async with self.deps.db.transaction() as session:
            seen = await platform_changes.seen(session, await session.get_one(PlatformChange, change_id))
        async with self.deps.db.transaction() as session:
            await platform_changes.decide(
                session, change_id, verdict="approve", actor=self.ria, reason="Agreed.", key="a", digest_seen=seen
            )

    async def step(self, change_id: str) -> str:
        acts = PlatformChangeActivities(self.deps)
        return (await ActivityEnvironment().run(acts.take_step, PlatformChangeStart(change_id=change_id))).state

    async def compare(self, why_it_differs: str) -> None:
        """The daily comparison of both platforms finds nothing, though the accounts differ on purpose."""
        for name in NAMES:
            for request in ("once", f"again: {why_it_differs}"):
                await PlatformReading(self.deps.db, self.deps.platforms, name, lambda *_: None).round(request)
        async with self.deps.db.transaction() as session:
            found = {row.kind for row in await session.scalars(select(ReconciliationBreak))}
        assert not found & {"venue_account_unknown", "venue_trade_disabled", "venue_still_trades"}

    async def state(self, change_id: str) -> str:
        async with self.deps.db.transaction() as session:
            return (await session.get_one(PlatformChange, change_id)).state


@asynccontextmanager
async def story(two: Two) -> AsyncIterator[Story]:
    async with dependencies(two.settings("east")) as east, dependencies(two.settings("west")) as west:
        trader = await a_trader(east)
        async with east.db.transaction() as session:
            await products.publish(session, Product.model_validate(TRAILING))
            assert await shards.ensure(session, 1, NAMES) == [0, 1]
        await an_account(west, east, two.west, trader)  # the logins of the two sandboxes differ from here on
        moved = await an_account(east, west, two.east, trader, "trailing")
        twin = await an_account(east, west, two.east, trader, "trailing")
        rosa, ria = [await person(east.db, name, "risk") for name in ("rosa", "ria")]
        yield Story(two, east, moved, twin, rosa, ria)


def of_rules(live: AccountLive) -> dict[str, Any]:
    """The state of the levels without the numbers of events, which are those of a venue."""
    return {
        key: {name: value for name, value in state.items() if name != "seq"}
        for key, state in live.rule_state["rules"].items()
    }


async def two_days(the: Story) -> None:
    """A profit on the first day, whose end both accounts see, and a loss on the second."""
    await the.advance(at(22, 55, 30))
    await the.buy("o1", "10")
    await the.advance(at(22, 58))
    await the.close("c1")
    await the.advance(at(23, 1))
    await the.buy("o2", "10")
    await the.advance(at(23, 2, 30))
    await the.close("c2")
    await the.advance(at(23, 3))


@pytest.mark.timeout(300)
async def test_the_account_goes_on_as_if_it_had_stayed(two: Two, database_url: str) -> None:
    async with story(two) as the, judged(the.deps, [0, 1]):
        await two_days(the)
        change = await the.propose()
        await the.approve(change)
        assert await the.step(change) == "shut"
        assert await the.step(change) == "leaving"
        await the.compare("both venues have an account, and neither may trade")
        before = (await the.live())[0]
        await the.advance(at(23, 4), "east")
        assert await the.state(change) == "switched"
        await the.advance(at(23, 5), "west")
        assert await the.step(change) == "done"
        await the.compare("the old venue keeps its account")
        async with the.deps.db.transaction() as session:
            made = await session.scalars(
                select(Credential).where(Credential.account_id == the.moved.id).order_by(Credential.number)
            )
            assert [(each.kind, each.left_venue, each.password is None) for each in made] == [
                ("create", True, True),
                ("create", False, False),
            ]
        (moved, _), (own, theirs) = await the.accounts(), await the.live()
        assert (moved.platform, moved.shard, moved.status) == ("west", 1, "active")
        assert moved.login != the.moved.login
        assert of_rules(own) == of_rules(theirs) == of_rules(before)
        assert own.floors == theirs.floors
        assert (own.balance_minor, own.trading_days) == (5_038_900, 2)
        old = await the.deps.platforms.of("east").snapshot(the.moved.login or 0)
        assert (old.trading_enabled, old.balance_minor) == (False, 5_038_900)

        # one cent above the floor, and then below it
        await the.advance(at(23, 6))
        await the.buy("o3", "10")
        await the.advance(at(23, 8, 30))
        own, theirs = await the.live()
        assert own.floors["trailing_loss"] == theirs.floors["trailing_loss"]
        assert (own.floors["trailing_loss"]["room_minor"], own.equity_minor) == (1, 5_019_900)
        async with the.deps.db.transaction() as session:
            assert (await session.scalars(select(Breach))).all() == []
        await the.advance(at(23, 9, 30))
    async with dependencies(two.settings("east")) as deps, deps.db.transaction() as session:
        found = (await session.scalars(select(Breach).order_by(Breach.account_id))).all()
        assert {each.account_id for each in found} == {the.moved.id, the.twin.id}
        assert {(each.rule_id, each.floor_minor, each.equity_minor) for each in found} == {
            ("trailing_loss", 5_019_899, 5_019_890)
        }
        days = await session.execute(select(DailySnapshot.day, DailySnapshot.balance_minor, DailySnapshot.account_id))
        ours = (the.moved.id, the.twin.id)
        each_day = {(day, balance) for day, balance, account_id in days if account_id in ours}
        assert len(each_day) == 1, "both accounts have the same"
        places = (await session.scalars(select(AccountPlace).order_by(AccountPlace.number))).all()
        assert [(place.platform, place.login) for place in places] == [
            ("east", the.moved.login),
            ("west", moved.login),
        ]
        assert places[0].until == places[1].since
        deals = (
            await session.scalars(select(DealRow).where(DealRow.account_id == moved.id).order_by(DealRow.seq))
        ).all()
        assert [deal.at for deal in deals] == sorted(deal.at for deal in deals)
        assert len({deal.deal_id for deal in deals}) == len(deals) == 6
        assert (await session.scalars(select(Review))).all() == []

        # both proofs hold, and the second names the first
        sheets = {
            proof.kind: proof.body for proof in await session.scalars(select(Proof).where(Proof.account_id == moved.id))
        }
        departure, breach = sheets["departure"], sheets["breach"]
        assert check(departure) == check(breach) == []
        assert breach["account"]["continues"]["proof_id"] == departure["proof_id"]
        assert breach["account"]["continues"]["hash"] == departure["hash"]
        assert breach["rule"]["floor"]["basis"]["value_minor"] == 5_049_900
    assert chain(moved.id, two.settings("east"))


@dataclass
class Deaths:
    """Kills a shard's process around the commit of a step, once for each."""

    waiting: list[tuple[str, str]]
    happened: asyncio.Event

    def patch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        step = store_changes._step

        def mortal(connection: Any, change_id: str, trigger: str, *rest: Any) -> bool:
            done = step(connection, change_id, trigger, *rest)
            self.die(trigger, "before")
            return done

        monkeypatch.setattr(store_changes, "_step", mortal)
        committed = Departures.committed

        def mortal_after(departures: Departures, shard: Shard) -> None:
            self.die("record_switched" if departures._going else "", "after")
            committed(departures, shard)

        monkeypatch.setattr(Departures, "committed", mortal_after)

    def die(self, trigger: str, when: str) -> None:
        if (trigger, when) in self.waiting:
            self.waiting.remove((trigger, when))
            self.happened.set()
            raise Killed(f"{when} the commit of {trigger}")


async def through(the: Story, deaths: Deaths, until: datetime, name: str) -> None:
    """Advances one venue while the processes of its shard are killed as often as they are to be."""
    advancing = asyncio.ensure_future(the.advance(until, name))
    while not advancing.done():
        deaths.happened.clear()
        async with judged(the.deps, [0, 1]):
            dying = asyncio.ensure_future(deaths.happened.wait())
            await asyncio.wait((advancing, dying), return_when=asyncio.FIRST_COMPLETED)
            dying.cancel()
    await advancing


@pytest.mark.timeout(300)
async def test_killed_at_every_commit_and_a_day_that_ends_between_the_two(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The account leaves before Prague's day ends, and is taken when the other platform is in the next one."""
    deaths = Deaths([], asyncio.Event())
    deaths.patch(monkeypatch)
    async with story(two) as the:
        async with judged(the.deps, [0, 1]):
            await the.advance(at(22, 55, 30))
            await the.buy("o1", "10")
            await the.advance(at(22, 58))
            await the.close("c1")
            await the.advance(at(22, 59))
            change = await the.propose()
            await the.approve(change)
            assert (await the.step(change), await the.step(change)) == ("shut", "leaving")
            await the.advance(at(23, 1), "west")  # its day ends, and the account is not there yet
        deaths.waiting = [("record_switched", "before"), ("record_switched", "after"), ("account_taken", "before")]
        await through(the, deaths, at(22, 59, 30), "east")
        assert await the.state(change) in ("switched", "taken")
        await through(the, deaths, at(23, 1, 30), "west")
        assert deaths.waiting == []
        async with judged(the.deps, [0, 1]):
            assert await the.step(change) == "done"
            await the.advance(at(23, 1, 30), "east")
            own, theirs = await the.live()
            assert of_rules(own) == of_rules(theirs)
            assert own.floors == theirs.floors
            assert own.floors["daily_loss"]["floor_minor"] == 5_009_900, "the anchor of the new day"
            await the.buy("o2", "10")
            await the.advance(at(23, 2, 30))
            await the.close("c2")
            await the.advance(at(23, 3))
            own, theirs = await the.live()
            assert (of_rules(own), own.balance_minor) == (of_rules(theirs), theirs.balance_minor)
            assert own.trading_days == theirs.trading_days == 2
        async with the.deps.db.transaction() as session:
            days = (await session.scalars(select(DailySnapshot).order_by(DailySnapshot.account_id))).all()
            mine = [each for each in days if each.account_id in (the.moved.id, the.twin.id)]
            assert len({(each.day, each.reset_at, each.balance_minor) for each in mine}) == 1
            assert len(mine) == 2
            assert (await session.scalars(select(Review))).all() == []
            assert len((await session.scalars(select(AccountPlace))).all()) == 2
