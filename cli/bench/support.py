"""`propos bench support`: lists and pages of a desk with many tickets, an answer, and mail that comes in.

The requests go through the whole application in this process, with its real database, one after another; there is no
network between. Mails go to a process of their own (`cli/bench/support_mail.py`).
"""

import asyncio
import base64
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final
from uuid import uuid4

import httpx
import uvloop
from sqlalchemy import insert, text

from api.app import create_app
from cli.bench import payout_firm
from cli.bench.outside import payments
from cli.bench.servers import database
from cli.bench.support_mail import Writer, door, measure_inbound
from cli.bench.timing import percentile, rounded
from cli.stack import logs
from domain.keys import derived_id
from firm.service import policy as policies
from front.auth import COOKIE
from front.deps import ApiDeps
from store import crypto
from store.db import Database
from store.identity import add_user, open_session
from store.models import Ticket, TicketClock, TicketClockEvent, TicketMessage, TicketTimer, Trader
from store.models.base import Base

Step = Callable[[str], None]
STEPS: Final = 6
_TRADERS: Final = 500
_AT_ONCE: Final = 5_000
_MESSAGES: Final = 3  # of each ticket
OPEN: Final = 10  # one of so many tickets waits for an answer
_WARM: Final = 5
_QUESTION: Final = "I asked for a payout on Monday and it has not arrived. Which step is it in, and when is it decided?"


def measure(tickets: int, requests: int, step: Step) -> dict[str, Any]:
    """Returns milliseconds of the server, by what was asked for."""
    logs.configure("bench", "warning")
    keys = "k1:" + base64.b64encode(os.urandom(32)).decode()
    crypto.install(crypto.FieldKeys.parse(keys))
    with (
        database() as (_, url),
        TemporaryDirectory(prefix="propos-bench-") as folder,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,  # the loop of the API's process
    ):
        return runner.run(_measure(url, keys, Path(folder), tickets, requests, step))


async def _measure(url: str, keys: str, folder: Path, tickets: int, requests: int, step: Step) -> dict[str, Any]:
    db, load_before = Database(url), os.getloadavg()[0]
    try:
        step("making traders")
        traders = min(_TRADERS, tickets // OPEN)
        signed_in = await open_desk(db, traders)
        step(f"making {tickets} tickets")
        await fill(db, range(tickets), datetime.now(UTC) - timedelta(minutes=tickets), traders)
        async with signed_in_browser(db, signed_in) as http:
            figures = await _requests(http, tickets, requests, step)
        step("mails")
        with door(folder, url, keys) as opened:
            figures |= await measure_inbound(db, opened, await writers(db, tickets, traders), requests)
        machine = {"cpus": os.cpu_count(), "load_before": rounded(load_before), "load_after": os.getloadavg()[0]}
        return {"tickets": tickets, "messages": tickets * _MESSAGES, "at_once": 1, **figures, "machine": machine}
    finally:
        await db.close()


async def open_desk(db: Database, traders: int) -> str:
    """Makes the firm, its traders with an account each, and a person of support; returns the token of her session."""
    await payout_firm.open_firm(db)
    await payout_firm.add_traders(db, 1, traders)
    async with db.transaction() as session:
        await policies.publish(session, policies.load_policy())
        sue = await add_user(
            session, login="sue", name="Sue", password_hash="-", role="support", person_id="person-sue"
        )
        return (await open_session(session, sue)).token


@asynccontextmanager
async def signed_in_browser(db: Database, token: str) -> AsyncIterator[httpx.AsyncClient]:
    """A browser of the whole application in this process."""
    app = create_app(ApiDeps(db=db, temporal=_no_temporal, payments=payments(), public_url="http://bench"))
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://bench", timeout=60) as http:
        http.cookies.set(COOKIE, token)
        yield http


async def writers(db: Database, tickets: int, traders: int) -> list[Writer]:
    """The traders, each with their newest ticket that waits. From now on the record finds them by their address."""
    newest = {_whose(number, traders): number for number in range(0, tickets, OPEN)}
    found = []
    async with db.transaction() as session:
        for number, ticket in newest.items():
            trader = await session.get_one(Trader, derived_id("trd", number))
            trader.email_index = crypto.keys().blind_index(trader.email)
            found.append(Writer(trader.email, ticket_id(ticket)))
    return found


async def _no_temporal() -> Any:
    raise RuntimeError("The benchmark of support has no workflows.")


async def _requests(http: httpx.AsyncClient, tickets: int, requests: int, step: Step) -> dict[str, Any]:
    numbers = [(index * 7919) % tickets for index in range(requests + _WARM)]
    waiting = [number - number % OPEN for number in numbers]
    step("lists")
    figures = {
        "list_open_ms": await _timed(lambda _: http.get("/tickets?state=open"), waiting),
        "list_by_deadline_ms": await _timed(lambda _: http.get("/tickets?state=late"), waiting),
        "list_all_ms": await _timed(lambda _: http.get("/tickets"), waiting),
        "api_list_ms": await _timed(lambda _: http.get("/v1/tickets?state=open"), waiting),
    }
    step("pages")
    figures["page_ms"] = await _timed(lambda number: http.get(f"/tickets/{ticket_id(number)}"), waiting)
    figures["page_solved_ms"] = await _timed(lambda number: http.get(f"/tickets/{ticket_id(number | 1)}"), numbers)
    step("answers")
    page = (await http.get("/tickets")).text
    csrf = page.partition('name="csrf" value="')[2].partition('"')[0]

    async def answer(number: int) -> httpx.Response:
        headers = {"X-CSRF-Token": csrf, "Idempotency-Key": uuid4().hex}
        body = {"body": "It is decided today."}
        return await http.post(f"/v1/tickets/{ticket_id(number)}/messages", json=body, headers=headers)

    figures["answer_ms"] = await _timed(answer, waiting)
    return figures


async def _timed(ask: Callable[[int], Awaitable[httpx.Response]], numbers: list[int]) -> dict[str, float]:
    """Asks one after another. `cpu`: milliseconds of the processor that a request takes in this process on average;
    those of PostgreSQL are not in it."""
    taken, cpu = list[float](), list[float]()
    for number in numbers:
        started, worked = time.perf_counter(), time.process_time()
        answer = await ask(number)
        taken.append((time.perf_counter() - started) * 1000)
        cpu.append((time.process_time() - worked) * 1000)
        if answer.status_code >= 400:
            raise RuntimeError(f"{answer.request.url}: {answer.status_code} {answer.text[:300]}")
    kept, busy = taken[_WARM:], cpu[_WARM:]
    return {
        "p50": rounded(percentile(kept, 0.5)),
        "p95": rounded(percentile(kept, 0.95)),
        "cpu": rounded(sum(busy) / len(busy)),
    }


def ticket_id(number: int) -> str:
    return derived_id("tkt", "bench", number)


def _whose(number: int, traders: int) -> int:
    """The number of the trader whose ticket it is: each has some that wait."""
    return number // OPEN % traders + 1


async def fill(db: Database, numbers: range, since: datetime, traders: int, *, open_each: int = OPEN) -> None:
    """Makes tickets, one a minute from `since` on. One of `open_each` waits for an answer, the others are solved."""
    for first in range(numbers.start, numbers.stop, _AT_ONCE):
        some = range(first, min(first + _AT_ONCE, numbers.stop))
        async with db.transaction() as session:
            for model, rows in _rows(some, since, traders, open_each):
                await session.execute(insert(model), rows)
    async with db.transaction() as session:
        connection = await session.connection()
        await connection.execute(text("ANALYZE"))


def _rows(
    numbers: range, since: datetime, traders: int, open_each: int
) -> Iterator[tuple[type[Base], list[dict[str, Any]]]]:
    """Yields the rows of these tickets, table by table."""

    def opened(number: int) -> datetime:
        return since + timedelta(minutes=number)

    def trader(number: int) -> str:
        return derived_id("trd", _whose(number, traders))

    def waits(number: int) -> bool:
        return number % open_each == 0

    yield Ticket, [
        {
            "id": ticket_id(number), "trader_id": trader(number), "subject": f"Payout {number}",
            "account_id": derived_id("acc", _whose(number, traders)), "state": "open" if waits(number) else "solved",
            "opened_at": opened(number), "changed_at": opened(number), "recorded_at": opened(number),
            "due_at": opened(number) + timedelta(days=2) if waits(number) else None,
            "solved_times": int(not waits(number)), "snoozes": 0,
        }
        for number in numbers
    ]  # fmt: skip
    yield TicketMessage, [
        {
            "id": derived_id("msg", number, part), "ticket_id": ticket_id(number), "body": _QUESTION,
            "author_id": derived_id("usr", _whose(number, traders)), "occurred_at": opened(number), "kind": "public",
            "automatic": False, "recorded_at": opened(number) + timedelta(seconds=part),
        }
        for number in numbers
        for part in range(_MESSAGES)
    ]  # fmt: skip
    of_ticket = [(number, name) for number in numbers for name in ("first_answer", "resolution")]
    yield TicketClockEvent, [
        {
            "ticket_id": ticket_id(number), "trader_id": trader(number), "clock": name, "kind": "activate",
            "cause": "opened", "target_minutes": 240, "at": opened(number),
        }
        for number, name in of_ticket
    ]  # fmt: skip
    yield TicketClock, [
        {
            "ticket_id": ticket_id(number), "trader_id": trader(number), "clock": name, "generation": 1,
            "status": "running" if waits(number) else "stopped", "policy_number": 1, "breached_at": None,
            "due_at": opened(number) + timedelta(days=2) if waits(number) else None,
        }
        for number, name in of_ticket
    ]  # fmt: skip
    yield TicketTimer, [
        {
            "ticket_id": ticket_id(number), "trader_id": trader(number), "clock": name, "generation": 1,
            "due_at": opened(number) + timedelta(days=2), "fired_at": None if waits(number) else since, "outcome": None,
        }
        for number, name in of_ticket
    ]  # fmt: skip
