"""A firm with a second venue, two people of risk, and accounts that change their platform."""

from dataclasses import dataclass, field
from typing import Any, cast

from sqlalchemy import delete

from activities.deps import Deps
from activities.platform_changes import PlatformChangeActivities
from contracts.messages import PlatformChangeStart
from domain.approvals import Actor
from firm import platform_changes
from store.db import Database
from store.models import (
    Account,
    AccountLive,
    PlatformChange,
    Shard,
)
from tests.adapters import platforms, providers
from tests.challenge_world import START, Seat, Venue
from tests.integration.kill_bench import Bench, Killed, Mortal

LACKS = {"fake": (), "other": (), "poor": ("This venue cannot create accounts.",)}
INSTRUMENTS = {"EURUSD": ["100000", "USD"]}


@dataclass
class Firm:
    """A challenge world with a second venue, and two people of risk."""

    bench: Bench
    rosa: Actor
    ria: Actor
    other: Venue = field(default_factory=lambda: Venue(name="other"))

    @property
    def db(self) -> Database:
        return self.bench.firm.db

    def activities(self, at: int = -1, when: Any = "before") -> PlatformChangeActivities:
        life = [0]
        mortal = [cast("Any", Mortal(venue, life, at, when)) for venue in (self.bench.firm.venue, self.other)]
        return PlatformChangeActivities(self.deps(*mortal))

    def deps(self, *venues: Any) -> Deps:
        """`venues`: both, where they are not the healthy ones."""
        both = venues or (self.bench.firm.venue, self.other)
        return Deps(db=self.db, platforms=platforms(*both), payments=providers(self.bench.firm.provider))

    async def account(self, name: str) -> Account:
        challenge_id, _ = await self.bench.active(name)
        account = await self.bench.firm.account(challenge_id)
        async with self.db.transaction() as session:
            session.add(live_row(account, 10_000_000))
        return account

    async def propose(self, account: Account, **asked: Any) -> str:
        given = {"to_platform": "other", "close_positions": False, **asked}
        async with self.db.transaction() as session:
            change = await platform_changes.propose(
                session, account_id=account.id, lacks=LACKS, actor=self.rosa, reason="It closes.", **given
            )
            return change.id

    async def decide(self, change_id: str, actor: Actor | None = None, seen: str | None = None) -> None:
        async with self.db.transaction() as session:
            row = await session.get_one(PlatformChange, change_id)
            seen = await platform_changes.seen(session, row) if seen is None else seen
            await platform_changes.decide(
                session,
                change_id,
                verdict="approve",
                actor=actor or self.ria,
                reason="Yes.",
                key=f"k-{change_id}",
                digest_seen=seen,
            )

    async def approved(self, account: Account, **asked: Any) -> str:
        change_id = await self.propose(account, **asked)
        await self.decide(change_id)
        return change_id

    async def step(self, change_id: str, at: int = -1, when: Any = "before") -> str:
        start = PlatformChangeStart(change_id=change_id)
        return (await self.activities(at, when).take_step(start)).state

    async def survives(self, change_id: str, at: int, when: Any) -> tuple[bool, str]:
        """Takes a step, killed at one call, then again in good health."""
        try:
            await self.step(change_id, at, when)
            died = False
        except Killed:
            died = True
        return died, await self.step(change_id) if died else await self.state(change_id)

    async def state(self, change_id: str) -> str:
        async with self.db.transaction() as session:
            return (await session.get_one(PlatformChange, change_id)).state

    async def change(self, change_id: str) -> PlatformChange:
        async with self.db.transaction() as session:
            return await session.get_one(PlatformChange, change_id)

    async def switched(self, change_id: str) -> None:
        """What the two shards do."""
        async with self.db.transaction() as session:
            row = await session.get_one(PlatformChange, change_id)
            row.state, row.switched_at = "taken", START
            account = await session.get_one(Account, row.account_id)
            account.platform, account.login, account.shard = row.to_platform, row.to_login, row.to_shard

    def old(self, account: Account) -> Seat:
        return self.bench.firm.venue.seats[account.login or 0]


def live_row(account: Account, balance_minor: int) -> AccountLive:
    floors = {"daily_loss": {"floor_minor": balance_minor - 1000, "operator": "equity < floor", "room_minor": 1000}}
    return AccountLive(
        account_id=account.id,
        batch=1,
        at=START,
        balance_minor=balance_minor,
        equity_minor=balance_minor,
        trading_days=2,
        positions=[],
        floors=floors,
        rule_state={},
    )


async def two_shards(db: Database) -> None:
    """A shard of each venue, which has read the symbols."""
    async with db.transaction() as session:
        await session.execute(delete(Shard))
        for number, name in enumerate(("fake", "other")):
            feed = {"instruments": INSTRUMENTS}
            session.add(Shard(id=number, platform=name, feed=feed, watermark=START))
