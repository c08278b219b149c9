"""`propos bench console`: the pages of a large firm, asked of the whole application in this process.

The application is the one that `propos run api` serves (`cli/run/api.build_to_stay`), with its real database. People
sign in by its form. First every page is asked alone, for statements and time of the processor; then while viewers poll
and live figures are written, in turns with `SELECT 1` on a connection of the application's pool.
"""

import asyncio
import base64
import os
import re
import secrets
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import httpx
import uvloop
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import text

from cli.bench.console_crowd import Crowd
from cli.bench.console_fill import BUSIEST, FIRST_NUMBER, LOGIN, PASSWORD, WITH_BARS, Size, fill, name_of
from cli.bench.reading import caught, rows_read
from cli.bench.servers import database
from cli.bench.timing import percentile, rounded
from cli.compose import build_database
from cli.run.api import build_to_stay
from cli.stack import logs
from settings import Settings
from store.db import Database

Step = Callable[[str], None]
STEPS: Final = 4
PAGES: Final = 39
_WARM: Final = 3
_AT_ONCE: Final = 8  # of `requests_per_second`
_PAYOUT: Final = re.compile(r'href="(/queue/payout/[^"?&]+)')


def measure(size: Size, requests: int, viewers: int, step: Step) -> dict[str, Any]:
    """Returns milliseconds of the server, by page, and what else a page takes."""
    logs.configure("bench", "warning")
    with (
        database() as (owner_url, url),
        TemporaryDirectory(prefix="propos-bench-") as folder,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,  # the loop of the API's process
    ):
        return runner.run(_measure(bench_settings(Path(folder), url), owner_url, size, requests, viewers, step))


def bench_settings(folder: Path, database_url: str) -> Settings:
    """Of a firm whose platform, acquirer and rail are the sandbox. No page that is measured asks it, or Temporal."""
    secret = SecretStr(secrets.token_urlsafe(16))
    return Settings(
        data_dir=folder,
        database_url=database_url,
        payload_keys=SecretStr("k1:" + base64.b64encode(os.urandom(32)).decode()),
        temporal_address="127.0.0.1:9",
        sandbox_token=secret,
        webhook_secret=secret,
        platforms={"sandbox": {}},
        acquirers={"sandbox": {}},
        rails={"sandbox": {}},
        statements={"sandbox": {}},
        identity={"manual": {}},
    )


async def _measure(
    settings: Settings, owner_url: str, size: Size, requests: int, viewers: int, step: Step
) -> dict[str, Any]:
    load_before, started = os.getloadavg()[0], time.perf_counter()
    step(f"making a firm of {size.accounts} accounts")
    db = build_database(settings)
    try:
        await fill(db, owner_url, size)
    finally:
        await db.close()
    filled = time.perf_counter() - started
    app = build_to_stay(settings)
    try:
        figures = await _pages(app, size, requests, viewers, step)
    finally:
        await app.state.deps.db.close()
    machine = {"cpus": os.cpu_count(), "load_before": rounded(load_before), "load_after": rounded(os.getloadavg()[0])}
    made = {"accounts": size.accounts, "deals": size.deals, "messages": size.messages, "ledger_entries": size.ledger}
    seconds = {"fill_seconds": rounded(filled), "seconds": rounded(time.perf_counter() - started)}
    return {**made, "busiest_account_deals": size.of_busiest, **seconds, **figures, "machine": machine}


async def _pages(app: FastAPI, size: Size, requests: int, viewers: int, step: Step) -> dict[str, Any]:
    deps, crowd = app.state.deps, Crowd(app, size)
    async with crowd.browser() as http:
        await sign_in(http)
        asked = await addresses(http, size)
        step("each page alone")
        found = {name: await _alone(http, deps.db, of, requests) for name, of in asked.items()}
        step("account pages at once")
        rate = await _at_once(http, asked["account"], requests)
        step(f"{viewers} viewers sign in")
        async with crowd.looking(viewers, deps.db.url) as busy:
            base = list[float]()
            for name, of in asked.items():
                step(f"{name} among {viewers} viewers")
                found[name] |= await _among_others(http, deps.db, of, requests, base)
        busy.raise_errors()
    bare = spread_of(base)
    for figures in found.values():
        figures["ratio"] = rounded(figures["p50"] / bare["p50"])
    return {
        "pages": found,
        "select_1_ms": bare,
        "requests_per_second": rate,
        "viewers": viewers,
        **busy.figures(),
        "most_rows_read": max(each["rows_read"] for each in found.values()),
        "largest_page_bytes": max(each["bytes"] for each in found.values()),
        "slowest_p95_ms": max(each["p95"] for each in found.values()),
    }


async def sign_in(http: httpx.AsyncClient) -> None:
    answer = await http.post("/sign-in", data={"login": LOGIN, "password": PASSWORD, "next": "/"})
    if answer.status_code != 303:
        raise RuntimeError(f"Nobody could sign in: {answer.status_code} {answer.text[:300]}")


Address = Callable[[int], str]


async def addresses(http: httpx.AsyncClient, size: Size) -> dict[str, Address]:
    """Returns the pages that are measured: name -> the address of the nth request."""
    busiest = f"/accounts/A-{FIRST_NUMBER - 1 + BUSIEST}"
    found = _PAYOUT.search((await http.get("/queue?kind=payout")).text)

    def account(number: int) -> str:
        return f"/accounts/A-{FIRST_NUMBER + 1 + number % min(WITH_BARS - 2, size.accounts - 2)}"

    def name(number: int) -> str:
        return name_of(1 + number * 7919 % size.traders).replace(" ", "+")

    def always(path: str) -> Address:
        return lambda _: path

    several: dict[str, Address] = {
        "account": account,
        "account_live": lambda number: f"{account(number)}/live",
        "accounts_by_name": lambda number: f"/accounts?q={name(number)}",
        "traders_by_name": lambda number: f"/traders?q={name(number)}",
        "search_by_name": lambda number: f"/search?q={name(number)}",
        "search_by_common_name": lambda number: f"/search?q={name(number).split('+')[0]}",
    }
    fixed = {
        "overview": "/",
        "overview_poll": "/overview",
        "queue": "/queue",
        "queue_payouts": "/queue?kind=payout",
        "queue_item": found.group(1) if found else "/queue?kind=payout",
        "queue_poll": "/queue/changes",
        "live_poll": "/live",
        "busiest_account": busiest,
        "busiest_account_curve": f"{busiest}/curve.json?range=all",
        "timeline": f"{busiest}?show=venue",
        "timeline_rules": f"{busiest}?show=rules",
        "accounts": "/accounts",
        "accounts_active": "/accounts?status=active",
        "accounts_breached": "/accounts?state=breached",
        "accounts_by_equity": "/accounts?sort=-equity",
        "accounts_by_room": "/accounts?sort=closest",
        "challenges": "/challenges",
        "challenges_funded": "/challenges?state=funded",
        "traders": "/traders",
        "payouts": "/payouts",
        "payouts_paid": "/payouts?state=paid",
        "payouts_by_amount": "/payouts?sort=-amount",
        "deals": "/deals",
        "deals_of_account": f"/deals?account=A-{FIRST_NUMBER - 1 + BUSIEST}",
        "ledger": "/ledger",
        "ledger_fees": "/ledger?account=fees",
        "breaches": "/breaches",
        "cases": "/cases",
        "cases_open": "/cases?state=open",
        "tickets_open": "/tickets?state=open",
        "risk": "/risk",
        "audit": "/audit",
        "search_account": f"/search?q=A-{FIRST_NUMBER + 3}",
    }
    return {**{each: always(path) for each, path in fixed.items()}, **several}


async def _asked(http: httpx.AsyncClient, path: str) -> httpx.Response:
    """A search that finds one thing opens it (303); what it opens is a page of its own here."""
    answer = await http.get(path)
    if answer.status_code not in (200, 204, 303):
        raise RuntimeError(f"{path}: {answer.status_code} {answer.text[:400]}")
    return answer


async def _alone(http: httpx.AsyncClient, db: Database, of: Address, requests: int) -> dict[str, Any]:
    """Asks one after another with nobody else there. `cpu`: milliseconds of the processor that a request takes in this
    process on average; those of PostgreSQL are not in it. `statements`, `bytes`: the most of a request. `rows_read`: by
    the last one."""
    for number in range(_WARM):
        await _asked(http, of(number))
    most, longest, worked, html = 0, 0, time.process_time(), False
    started = time.perf_counter()
    for number in range(requests):
        with caught(db) as statements:
            answer = await _asked(http, of(number))
        most, longest = max(most, len(statements)), max(longest, len(answer.content))
        html = html or answer.headers.get("content-type", "").startswith("text/html")
    cpu, took = time.process_time() - worked, time.perf_counter() - started
    return {
        "cpu": rounded(cpu / requests * 1000),
        "alone_ms": rounded(took / requests * 1000),
        "statements": most,
        "rows_read": await rows_read(db.url, statements),
        "bytes": longest if html else 0,
    }


async def _among_others(
    http: httpx.AsyncClient, db: Database, of: Address, requests: int, base: list[float]
) -> dict[str, float]:
    """Milliseconds from asking to the whole answer, of `requests` one after another. `base` gets those of as many
    `SELECT 1` on connections of the same pool, asked in turns with the page."""
    taken = list[float]()
    for number in range(requests):
        started = time.perf_counter()
        await _asked(http, of(number))
        between = time.perf_counter()
        async with db.transaction() as session:
            await session.execute(text("SELECT 1"))
        taken.append((between - started) * 1000)
        base.append((time.perf_counter() - between) * 1000)
    return spread_of(taken)


def spread_of(taken: Sequence[float]) -> dict[str, float]:
    return {"p50": rounded(percentile(taken, 0.5)), "p95": rounded(percentile(taken, 0.95))}


async def _at_once(http: httpx.AsyncClient, of: Address, requests: int) -> float:
    """Account pages a second that this process answers, of which eight are asked at once."""

    async def ask(first: int) -> None:
        for number in range(first, requests, _AT_ONCE):
            await _asked(http, of(number))

    started = time.perf_counter()
    await asyncio.gather(*(ask(first) for first in range(_AT_ONCE)))
    return rounded(requests / (time.perf_counter() - started))
