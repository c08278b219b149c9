"""The stream of deals on a real PostgreSQL: how many a second are judged, and how soon an alert is stored.

A process of its own stores deals as the monitor does, in blocks of a twentieth of a second, at 5,000 a second; the loop
of the worker follows them, woken by the database. The latency of an alert runs from the commit of the last deal of its
accounts before it to its row. Afterwards the rest is stored at once, and the loop judges it as fast as it can.
"""

import asyncio
import multiprocessing
import secrets
import time
from bisect import bisect_left
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from typing import Any, Final

import numpy as np
import psycopg
import uvloop
from sqlalchemy import select

from activities.surveillance import SurveillanceLoop
from cli.bench.servers import database
from cli.bench.surveillance.memory import Peak
from cli.bench.surveillance.population import made_up_book
from cli.bench.timing import rounded, spread
from firm.products.shelf import load_products
from store import crypto, products, surveillance
from store.db import Database, connect
from store.models import Alert
from store.notifications import DEALS, told
from surveillance.book import NEVER, Book, Ints

Step = Callable[[str], None]

STEPS: Final = 4
RATE: Final = 5_000  # deals a second
_BLOCK: Final = 250
_AT_ONCE: Final = 20_000  # deals that are stored at full speed
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_COLUMNS: Final = (
    *("account_id", "deal_id", "seq", "at", "position_id", "symbol", "side", "entry", "lots", "price"),
    *("profit_minor", "commission_minor", "swap_minor", "balance_minor", "reason"),
)


@dataclass(frozen=True)
class Told:
    """Deals in the order of time, as the monitor stores them. `account`: the number of the account."""

    rows: list[tuple[Any, ...]]
    account: Ints


def measure(accounts: int, deals: int, seconds: int, seed: int, step: Step) -> dict[str, Any]:
    """Returns the figures as JSON data. `deals`: trades of 22 days, the last of which are streamed for so many
    seconds."""
    crypto.install(crypto.FieldKeys({"bench": secrets.token_bytes(32)}))
    step("making a firm")
    told_deals = _deals(made_up_book(accounts, deals, seed))
    with database() as (owner_url, app_url), Peak() as peak:
        step("storing its past")
        _store_accounts(owner_url, accounts)
        figures = uvloop.run(_measure(app_url, told_deals, seconds, step))
    return {
        "accounts": accounts,
        "stored_deals": len(told_deals.rows),
        **figures,
        "stream_peak_mb": round(peak.megabytes),
    }


def _deals(book: Book) -> Told:
    trades = book.trades
    closed = np.flatnonzero(trades.closed != NEVER)
    count = len(trades)
    row = np.concatenate([np.arange(count), closed])
    is_out = np.concatenate([np.zeros(count, dtype=bool), np.ones(len(closed), dtype=bool)])
    at = np.where(is_out, trades.closed[row], trades.opened[row])
    order = np.lexsort((is_out, at))
    rows = []
    for seq, (n, out) in enumerate(zip(row[order].tolist(), is_out[order].tolist(), strict=True)):
        buys = (trades.side[n] > 0) != out
        price = trades.close_price[n] if out else trades.open_price[n]
        moment = _EPOCH + timedelta(microseconds=int(trades.closed[n] if out else trades.opened[n]))
        result = int(trades.profit_minor[n]) if out else 0
        rows.append(
            (
                *(_id("acc", int(trades.account[n])), f"d{seq}", seq, moment, f"p{n}"),
                *(str(book.symbols.name[trades.symbol[n]]), "buy" if buys else "sell", "out" if out else "in"),
                *(max(round(float(trades.lots[n]), 4), 0.0001), round(float(price), 8), result, 0, 0, 0, "client"),
            )
        )
    return Told(rows, trades.account[row[order]].astype(np.int64))


def _id(noun: str, number: int) -> str:
    return f"{noun}_{number:06d}"


def _store_accounts(owner_url: str, accounts: int) -> None:
    """Stores traders, challenges and accounts; the shelf's products are published first."""

    async def publish() -> None:
        db = Database(owner_url)
        async with db.transaction() as session:
            for product in load_products():
                await products.publish(session, product)
        await db.close()

    asyncio.run(publish())
    with connect(owner_url) as connection:
        numbers = {"last": accounts - 1}
        connection.execute(_TRADERS, numbers)
        connection.execute(_CHALLENGES, numbers)
        connection.execute(_ACCOUNTS, numbers)
        connection.execute("ANALYZE accounts")


_TRADERS: Final = """
    INSERT INTO traders (id, name, email, email_index, country, identity, created_at)
    SELECT 'trd_' || lpad(n::text, 6, '0'), '\\x00', '\\x00', n::text, 'DE', 'verified', '2014-01-01Z'
      FROM generate_series(0, %(last)s) n
"""
_CHALLENGES: Final = """
    INSERT INTO challenges (id, trader_id, product, version, state, phase_index, fee_minor, currency, bought_at,
                            changed_at)
    SELECT 'chl_' || lpad(n::text, 6, '0'), 'trd_' || lpad(n::text, 6, '0'), 'two-step', 1, 'funded', 3, 54000, 'USD',
           '2014-01-01Z', '2014-01-01Z' FROM generate_series(0, %(last)s) n
"""
_ACCOUNTS: Final = """
    INSERT INTO accounts (id, challenge_id, trader_id, phase_index, product, version, platform, login, shard, marks,
                          clock_group, currency, initial_minor, status, opened_at)
    SELECT 'acc_' || lpad(n::text, 6, '0'), 'chl_' || lpad(n::text, 6, '0'), 'trd_' || lpad(n::text, 6, '0'), 3,
           'two-step', 1, 'bench', n + 1, 0, 'quotes', 'UTC@00:00', 'USD', 10000000, 'active', '2014-01-01Z'
      FROM generate_series(0, %(last)s) n
"""


async def _measure(url: str, deals: Told, seconds: int, step: Step) -> dict[str, Any]:
    paced = min(RATE * seconds, len(deals.rows) // 4)
    past = len(deals.rows) - paced - _AT_ONCE
    with connect(url, autocommit=True) as connection:
        for start in range(0, past, 20_000):
            _store(connection, deals.rows[start : min(start + 20_000, past)])
        (first,) = connection.execute("SELECT min(id) FROM deals").fetchone() or (0,)
    db = Database(url)
    async with db.transaction() as session:
        await surveillance.cursor(session)
        (await surveillance.lock_cursor(session)).last_deal = int(first) + past - 1  # the past was judged
    loop = SurveillanceLoop(db)
    began = time.perf_counter()
    await loop.step()
    loaded = time.perf_counter() - began
    step(f"following {paced:,} deals at {RATE:,} a second")
    commits = await _paced(url, loop, deals.rows[past : past + paced])
    alerts = await _latencies(db, deals.account[past:], commits)
    step(f"judging {_AT_ONCE:,} deals at full speed")
    with connect(url, autocommit=True) as connection:
        _store(connection, deals.rows[past + paced :])
    began = time.perf_counter()
    while loop.read_to < int(first) + len(deals.rows) - 1:
        await loop.step()
    fast = time.perf_counter() - began
    await db.close()
    return {
        "load_seconds": rounded(loaded),
        "streamed_deals": paced,
        "streamed_deals_per_second": rounded(paced / (commits[-1][1] - commits[0][1])),
        "behind_seconds": rounded(commits.behind),
        "stream_deals_per_second": rounded(_AT_ONCE / fast),
        "stream_alerts": len(alerts),
        "alert_ms": spread(alerts),
    }


class Commits(list[tuple[int, float]]):
    """(deals stored in all, time of the commit) of each block. `behind`: how long the loop needed after the last."""

    behind = 0.0


async def _paced(url: str, loop: SurveillanceLoop, rows: list[tuple[Any, ...]]) -> Commits:
    """Follows deals that another process stores; returns its commits."""
    here, there = multiprocessing.Pipe()
    last = loop.read_to + len(rows)
    process = multiprocessing.get_context("spawn").Process(target=write_paced, args=(url, rows, there))
    process.start()
    commits = Commits()
    async with told(url, DEALS) as new_deals:
        while loop.read_to < last:
            new_deals.clear()
            if not await loop.step():
                with suppress(TimeoutError):
                    async with asyncio.timeout(1.0):
                        await new_deals.wait()
    ended = time.time()
    commits += await asyncio.to_thread(here.recv)
    process.join()
    commits.behind = max(0.0, ended - commits[-1][1])
    return commits


def write_paced(url: str, rows: list[tuple[Any, ...]], answer: Connection) -> None:
    """Runs in a process of its own: stores the rows in blocks, and answers when each was committed."""
    commits = []
    with connect(url, autocommit=True) as connection:
        began = time.perf_counter()
        for start in range(0, len(rows), _BLOCK):
            due = began + start / RATE
            time.sleep(max(0.0, due - time.perf_counter()))
            block = rows[start : start + _BLOCK]
            _store(connection, block)
            commits.append((start + len(block), time.time()))
    answer.send(commits)


def _store(connection: psycopg.Connection[Any], rows: list[tuple[Any, ...]]) -> None:
    """Stores deals in one transaction."""
    copying = f"COPY deals ({', '.join(_COLUMNS)}) FROM STDIN"
    with connection.transaction(), connection.cursor() as cursor, cursor.copy(copying.encode()) as copy:
        for row in rows:
            copy.write_row(row)


async def _latencies(db: Database, account: Ints, commits: Commits) -> list[float]:
    """Returns for each alert the milliseconds since the commit of the last deal of its accounts before it."""
    counts, times = [count for count, _ in commits], [at for _, at in commits]
    found = []
    async with db.transaction() as session:
        alerts = (await session.scalars(select(Alert).order_by(Alert.recorded_at))).all()
    for alert in alerts:
        stored = alert.recorded_at.timestamp()
        named = [int(each.account_id.split("_")[1]) for each in surveillance.finding(alert).accounts]
        deals = np.flatnonzero(np.isin(account[: counts[-1]], named))
        committed = [times[bisect_left(counts, int(deal) + 1)] for deal in deals.tolist()]
        before = [at for at in committed if at <= stored]
        if before:
            found.append((stored - max(before)) * 1000)
    return found
