"""The second wall on the real path: a fake Tradovate and a gateway as processes, a shard, a relay and Postgres."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import select

from activities.platform_reading import PlatformReading
from adapters.tradovate.platform import TradovatePlatform
from cli.chaos.venue.firm import VenueFirm, product_of_chaos, venue_firm
from cli.chaos.venue.tradovate import Tradovate
from domain.approvals import Actor
from domain.errors import Conflict
from domain.products.second_wall import VenueFloors
from domain.reconciliation import Again
from firm import messages
from firm.reconciliation.again import again
from ports.platform import Platforms
from store import venue_limits as kept
from store.db import Database
from store.models import ReconciliationBreak, Review, VenueLimits
from store.read.venue_limits import of_account
from store.reconciliation import venue

SHARD, SIZE, FLOOR = 0, 10_000_000, 9_000_000
RISK = Actor(user_id="usr_risk", person_id="person-risk", role="risk")
PATIENCE = 240.0


class Wall:
    """The firm, and its accounts of 100,000.00 with a floor at 90,000.00."""

    def __init__(self, firm: VenueFirm, db: Database) -> None:
        self.firm, self.db = firm, db
        assert isinstance(firm.platform, TradovatePlatform)
        self.platform: TradovatePlatform = firm.platform
        self.clock = datetime.now(UTC)
        self.last_bid = 5000
        self.reading = PlatformReading(db, Platforms({"tradovate": firm.platform}, "tradovate"), "tradovate", _beat)

    async def account(self, number: int) -> int:
        platform, key = self.platform, f"wall/{number}"
        login = await platform.create_account(key=key, group="chaos/1", currency="USD", leverage=100)
        self.firm.record(login, product_of_chaos(), self.clock, SHARD)
        await platform.balance_operation(login, key=f"{id_of(login)}/initial", operation="deposit", amount_minor=SIZE)
        await platform.set_trading(login, key=f"{key}/on", enabled=True)
        async with self.db.transaction() as session:
            await kept.begin(session, id_of(login))
            await messages.send_limits(session, [id_of(login)], "opened")
        await self.until(lambda: self.sent(login))
        await self.until(lambda: self.trades(login))
        return login

    async def trades(self, login: int) -> bool:
        """Whether the shard hears that the account may trade: before that it is not judged."""
        return login in self.firm.witness.trading

    async def sent(self, login: int) -> bool:
        async with self.db.transaction() as session:
            row = await session.get(VenueLimits, id_of(login))
            return row is not None and row.sent is not None

    async def price(self, bid: int, minutes: float = 0.1) -> None:
        self.clock += timedelta(minutes=minutes)
        self.last_bid = bid
        await self.firm.control.clock(self.clock)
        await self.firm.control.quote({"MESZ6": (Decimal(bid), Decimal(bid) + Decimal("0.25"))})

    async def until(self, enough: Callable[[], Awaitable[bool]]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not await enough():
            assert time.monotonic() < deadline, (await self.firm.gateway.status(), self.firm.shard.done)
            self.firm.check()
            await asyncio.sleep(0.1)

    async def caught_up(self) -> None:
        async def is_so() -> bool:
            status = await self.firm.gateway.status()
            return status is not None and bool(status["caught_up"])

        await self.until(is_so)

    async def judged(self) -> None:
        """Until the shard has stored everything that the gateway has told so far."""
        status = await self.firm.gateway.status()
        assert status is not None
        last = int(status["batch"])

        async def is_so() -> bool:
            return self.firm.shard.done >= last

        await self.until(is_so)

    async def compare(self) -> list[tuple[str, str]]:
        """Compares, and looks again until everything is certain. Returns the open breaks: kind and account."""
        await self.reading.round(f"{time.monotonic()}")

        async def certain() -> bool:
            async with self.db.transaction() as session:
                if not (await venue.open_breaks(session, "tradovate")).get("suspected"):
                    return True
            await self.price(self.last_bid)
            await self.reading.look_again()
            return False

        await self.until(certain)
        async with self.db.transaction() as session:
            rows = await session.scalars(select(ReconciliationBreak).where(ReconciliationBreak.state == "open"))
            return sorted((row.kind, row.account_id or row.subject) for row in rows)

    async def order(self, kind: str, what: Again) -> None:
        async with self.db.transaction() as session:
            found = select(ReconciliationBreak.id).where(
                ReconciliationBreak.kind == kind, ReconciliationBreak.state == "open"
            )
            break_id = (await session.scalars(found)).one()
            await again(session, break_id=break_id, what=what, actor=RISK, reason="Seen.")

    async def breaks(self) -> list[ReconciliationBreak]:
        async with self.db.transaction() as session:
            return list(await session.scalars(select(ReconciliationBreak).order_by(ReconciliationBreak.first_seen_at)))

    async def reviews(self) -> list[Review]:
        async with self.db.transaction() as session:
            return list(await session.scalars(select(Review).where(Review.kind == "venue_locked")))


def id_of(login: int) -> str:
    return f"acc_tradovate_{login}"


def _beat(*_: object) -> None:
    return


@pytest.fixture
async def wall(database_url: str, tmp_path: Path) -> AsyncIterator[Wall]:
    async with venue_firm(Tradovate(), tmp_path / "firm", database_url, SHARD) as firm:
        db = Database(database_url, pool_size=4)
        found = Wall(firm, db)
        await found.price(5000)
        await found.caught_up()
        firm.witness.start()
        firm.shard.start()
        try:
            yield found
        finally:
            await db.close()


@pytest.mark.timeout(900)
async def test_the_venue_holds_the_wall_while_the_firm_is_down_and_both_agree_afterwards(wall: Wall) -> None:
    login = await wall.account(1)
    held = VenueFloors(trailing_loss_minor=SIZE - FLOOR + 1, trailing_stop_minor=FLOOR - 1)
    assert await wall.platform.floors(login) == held
    assert await wall.firm.control.open(login, "MESZ6", "buy", 20) is not None
    await wall.judged()
    assert await wall.compare() == []

    wall.firm.gateway.kill()
    await wall.price(4901)
    assert (await wall.platform.snapshot(login)).trading_enabled, "100 points of 20 contracts are 10,000.00"
    await wall.price(4899)
    shown = await wall.platform.snapshot(login)
    assert (shown.trading_enabled, shown.positions) == (False, ())
    wall.firm.gateway.start()
    await wall.caught_up()

    async def breached() -> bool:
        await wall.price(4899, minutes=1)
        return wall.firm.breached() == {login}

    await wall.until(breached)
    for _ in range(3):
        await wall.price(4899, minutes=1)
    await wall.judged()
    assert await wall.reviews() == []
    assert await wall.compare() == []


@pytest.mark.timeout(900)
async def test_a_limit_that_somebody_changed_is_a_break_and_what_it_locks_is_a_review(wall: Wall) -> None:
    login = await wall.account(1)
    assert await wall.compare() == []
    async with wall.db.transaction() as session:
        view = await of_account(session, id_of(login))
    assert view is not None and view.agrees and view.compared_at is not None
    assert [(each.rule_id, each.holds) for each in view.levels] == [("max_loss", "exact")]

    await wall.platform.set_floors(login, key="by hand", floors=VenueFloors(daily_loss_minor=100_000))
    assert await wall.compare() == [("venue_limits_differ", id_of(login))]
    [row] = await wall.breaks()
    assert "daily loss 1,000.00 USD" in row.detail["theirs"] and "daily loss" not in row.detail["ours"]

    assert await wall.firm.control.open(login, "MESZ6", "buy", 10) is not None
    await wall.price(4978)
    assert not (await wall.platform.snapshot(login)).trading_enabled

    async def reviewed() -> bool:
        await wall.price(4978, minutes=1)
        return bool(await wall.reviews())

    await wall.until(reviewed)
    [review] = await wall.reviews()
    assert review.account_id == id_of(login) and review.detail["floors"] == {"max_loss": FLOOR}
    assert wall.firm.breached() == set()
    assert await wall.compare() == [("venue_limits_differ", id_of(login))], "the review is about the lock"

    # a person sends the limits again, and once the review is closed lets the account trade again
    await wall.order("venue_limits_differ", "push_again")

    async def pushed() -> bool:
        return (await wall.platform.floors(login)).daily_loss_minor == SIZE * 100  # no account reaches it

    await wall.until(pushed)
    assert await wall.compare() == []
    async with wall.db.transaction() as session:
        (await session.get_one(Review, review.id)).status = "closed"
    assert await wall.compare() == [("venue_trade_disabled", id_of(login))]
    with pytest.raises(Conflict):
        await wall.order("venue_trade_disabled", "lock_again")
    await wall.order("venue_trade_disabled", "enable_again")

    async def trades() -> bool:
        return (await wall.platform.snapshot(login)).trading_enabled

    await wall.until(trades)
    assert await wall.compare() == []
    assert wall.firm.breached() == set()
