"""Lets a firm trade day after day, and measures after each day what its work costs on the record so far.

Trading is judged by a real shard and stored by its checkpoints; the other tables are filled (`others.py`). What is
measured is the code of the processes themselves. Kept days are a third of the days that are run, so that from then on
each pass of the keeper removes as much as a day brings.
"""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, cast

import httpx
import uvloop
from sqlalchemy import text

from cli.bench import outside, payout_firm
from cli.bench.console import bench_settings, sign_in
from cli.bench.console_fill import LOGIN, PASSWORD
from cli.bench.history.costs import Cost, Meter
from cli.bench.history.others import Others
from cli.bench.history.sizes import sizes
from cli.bench.history.trading import FIRST_DAY, Trading, trading
from cli.bench.servers import database
from cli.bench.timing import median, rounded
from cli.compose import build_database
from cli.run.api import build_api
from cli.stack import logs
from domain.approvals import Actor
from domain.keys import derived_id
from domain.money import Money
from firm.payouts import requests as payouts
from relay.keeper import Keeper
from relay.outbox import Connect, OutboxDispatcher
from settings import Settings
from store.db import Database
from store.identity import add_user, hash_password
from store.keeping import Policy
from store.models import Shard

Step = Callable[[str], None]
STEPS: Final = 3
WEEK: Final = 7
_TICKS: Final = 200
_PAGES: Final = 4  # pages, and checks of payouts, of a day
_MESSAGES: Final = 64
_AT_ONCE: Final = 500
_WORKS: Final = ("tick", "close", "page", "payout", "relay", "keep", "restart")


class _Handle:
    async def signal(self, _name: str, _payload: object, **_: object) -> None:
        """Is there at once."""


class _Workflows:
    """A client of Temporal whose workflows take every signal."""

    def get_workflow_handle(self, _target: str) -> _Handle:
        return _Handle()


async def _connect() -> _Workflows:
    return _Workflows()


@dataclass(frozen=True, slots=True)
class _Bench:
    """One firm and those who look at it. `kept`: days that are kept of what is removed."""

    db: Database
    browser: httpx.AsyncClient
    trading: Trading
    others: Others
    meter: Meter
    traders: Sequence[Actor]
    days: int

    @property
    def kept(self) -> int:
        return max(1, self.days // 3)

    async def day(self, day: int) -> dict[str, Cost]:
        """Lets a day pass. Returns what each work cost."""
        market, costs = self.trading, dict[str, Cost]()
        market.open_positions(day)
        market.quotes()
        with self.meter.here() as tick:
            for _ in range(_TICKS):
                market.tick()
        costs["tick"] = tick.each(_TICKS)
        market.close_positions()
        self.others.fill(day)
        with self.meter.here() as costs["close"]:
            market.reset(day)
        numbers = [(day * 97 + n * 31) % len(self.traders) for n in range(_PAGES)]
        await self._page(numbers[0])  # connections and plans are warm in a process that serves
        costs["page"] = (await self.meter.of(lambda: _each(self._page, numbers))).each(_PAGES)
        costs["payout"] = (await self.meter.of(lambda: _each(self._payout, numbers))).each(_PAGES)
        self.others.clean()
        self.others.due(day, min(_MESSAGES, len(self.traders)))
        relay = OutboxDispatcher(self.db, cast("Connect", _connect), outside.platforms())
        costs["relay"] = await self.meter.of(relay.step)
        keeper = Keeper(self.db, self._policy(day))
        costs["keep"] = await self.meter.of(lambda: _until_done(keeper))
        if day < WEEK or day >= self.days - WEEK:
            with self.meter.here() as costs["restart"]:
                market.restart()
        return costs

    async def _page(self, number: int) -> None:
        answer = await self.browser.get(f"/accounts/A-{10_001 + number}")
        if answer.status_code != 200:
            raise RuntimeError(f"An account's page: {answer.status_code} {answer.text[:400]}")

    async def _payout(self, number: int) -> None:
        """Checks a request for a payout, and takes it back."""
        actor = self.traders[number]
        async with self.db.transaction() as session:
            await payouts.request_payout(
                session,
                account_id=derived_id("acc", number + 1),
                actor=actor,
                gross=Money(minor=payout_firm.AUTOMATIC, currency="USD"),
                rail=outside.RAIL,
                payable=lambda *_: None,
            )
            await session.rollback()

    def _policy(self, day: int) -> Policy:
        """The policy of that day: its own `now` is as many days before the real one as days are left."""
        wall = self.kept + self.days - 1 - day
        return Policy(
            minute_bars=self.kept, exposure=self.kept, inbox=wall, outbox=wall, idempotency_keys=wall, events=wall
        )


async def _each(work: Callable[[int], Awaitable[None]], numbers: Sequence[int]) -> None:
    for number in numbers:
        await work(number)


async def _until_done(keeper: Keeper) -> None:
    while await keeper.step():
        pass


def measure(days: int, accounts: int, step: Step) -> dict[str, Any]:
    """Returns what works cost in the first and in the last week, the ratio of both, and the sizes of tables."""
    logs.configure("bench", "warning")
    with (
        database() as (owner_url, url),
        TemporaryDirectory(prefix="propos-bench-") as folder,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        return runner.run(_measure(bench_settings(Path(folder), url), owner_url, days, accounts, step))


async def _measure(settings: Settings, owner_url: str, days: int, accounts: int, step: Step) -> dict[str, Any]:
    load_before, started = os.getloadavg()[0], time.perf_counter()
    step(f"making a firm of {accounts} accounts")
    db = build_database(settings)
    app = build_api(settings)
    others = Others(owner_url, accounts, datetime.now(UTC) - timedelta(days=days), FIRST_DAY)
    try:
        traders = await _firm(db, accounts)
        await _until_done(Keeper(db, Policy()))
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://bench", timeout=120) as browser:
            await sign_in(browser)
            with trading(db.url, accounts) as market:
                meter = Meter(owner_url, (db, app.state.deps.db), market.connection)
                bench = _Bench(db, browser, market, others, meter, traders, days)
                per_day = list[dict[str, Cost]]()
                for day in range(days):
                    step(f"day {day + 1} of {days}")
                    per_day.append(await bench.day(day))
                    if day < WEEK or day % WEEK == 0:
                        others.look()
                meter.close()
        step("measuring the tables")
        tables = sizes(owner_url)
    finally:
        others.close()
        await db.close()
        await app.state.deps.db.close()
    return {
        "days": days,
        "accounts": accounts,
        "kept_days": bench.kept,
        **{name: _weeks(name, per_day, bench.kept) for name in _WORKS},
        "tables": tables,
        **_together(tables),
        "seconds": rounded(time.perf_counter() - started),
        "machine": {
            "cpus": os.cpu_count(),
            "load_before": rounded(load_before),
            "load_after": rounded(os.getloadavg()[0]),
        },
    }


async def _firm(db: Database, accounts: int) -> list[Actor]:
    await payout_firm.open_firm(db)
    async with db.transaction() as session:
        hashed = await hash_password(PASSWORD)
        await add_user(
            session, login=LOGIN, name="Ana Ruiz", password_hash=hashed, role="admin", person_id="person-ana"
        )
        await session.execute(text("DELETE FROM shards"))
        session.add(Shard(id=0, platform=outside.VENUE))
    traders = list[Actor]()
    for first in range(1, accounts + 1, _AT_ONCE):
        traders += await payout_firm.add_traders(db, first, min(_AT_ONCE, accounts + 1 - first))
    async with db.transaction() as session:
        await session.execute(text("DELETE FROM account_live"))  # the shard writes them
    return traders


def _weeks(work: str, per_day: Sequence[dict[str, Cost]], kept: int) -> dict[str, Any]:
    """The median day of the first week and of the last one. The keeper's first week is the first one in which it has
    something to remove."""
    first = kept + 1 if work == "keep" else 0
    before = [day[work] for day in per_day[first : first + WEEK] if work in day]
    after = [day[work] for day in per_day[-WEEK:] if work in day]

    def middle(costs: Sequence[Cost]) -> Cost:
        return Cost(*(median([getattr(cost, name) for cost in costs]) for name in ("ms", "cpu_ms", "rows")))

    if not before or not after:
        return {"first_week": None, "last_week": None, "ratio": None}
    old, new = middle(before), middle(after)
    return {
        "first_week": old.figures(),
        "last_week": new.figures(),
        "ratio": {
            "cpu": rounded(new.cpu_ms / old.cpu_ms) if old.cpu_ms else None,
            "rows": rounded(new.rows / old.rows) if old.rows else None,
        },
    }


def _together(tables: dict[str, dict[str, Any]]) -> dict[str, Any]:
    megabytes = sum(each["mb_a_day_at_50000"] or 0 for each in tables.values())
    return {
        "bytes_a_day_and_account": round(megabytes * 1e6 / 50_000),
        "gb_a_day_at_50000": rounded(megabytes / 1000),
    }
