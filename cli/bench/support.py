"""`propos bench support`: lists and pages of a desk with many tickets, an answer, and mail that comes in.

The requests go through the whole application in this process, with its real database, one after another; there is no
network between. Mails go to a process of their own (`cli/bench/support_mail.py`).
"""

import asyncio
import base64
import os
import time
from collections.abc import Awaitable, Callable, Iterator
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
_OPEN: Final = 10  # one of so many tickets waits for an answer
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
        await payout_firm.open_firm(db)
        await payout_firm.add_traders(db, 1, min(_TRADERS, tickets // _OPEN))
        async with db.transaction() as session:
            await policies.publish(session, policies.load_policy())
            sue = await add_user(
                session, login="sue", name="Sue", password_hash="-", role="support", person_id="person-sue"
            )
            signed_in = await open_session(session, sue)
        step(f"making {tickets} tickets")
        await _fill(db, tickets)
        app = create_app(ApiDeps(db=db, temporal=_no_temporal, payments=payments(), public_url="http://bench"))
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://bench", timeout=60) as http:
            http.cookies.set(COOKIE, signed_in.token)
            figures = await _requests(http, tickets, requests, step)
        step("mails")
        with door(folder, url, keys) as opened:
            figures |= await measure_inbound(db, opened, await _writers(db, tickets), requests)
        machine = {"cpus": os.cpu_count(), "load_before": rounded(load_before), "load_after": os.getloadavg()[0]}
        return {"tickets": tickets, "messages": tickets * _MESSAGES, "at_once": 1, **figures, "machine": machine}
    finally:
        await db.close()


async def _writers(db: Database, tickets: int) -> list[Writer]:
    """The traders, each with their newest ticket that waits. From now on the record finds them by their address."""
    newest = {_whose(number, tickets): number for number in range(0, tickets, _OPEN)}
    writers = []
    async with db.transaction() as session:
        for number, ticket in newest.items():
            trader = await session.get_one(Trader, derived_id("trd", number))
            trader.email_index = crypto.keys().blind_index(trader.email)
            writers.append(Writer(trader.email, _id(ticket)))
    return writers


async def _no_temporal() -> Any:
    raise RuntimeError("The benchmark of support has no workflows.")


async def _requests(http: httpx.AsyncClient, tickets: int, requests: int, step: Step) -> dict[str, Any]:
    numbers = [(index * 7919) % tickets for index in range(requests + _WARM)]
    waiting = [number - number % _OPEN for number in numbers]
    step("lists")
    figures = {
        "list_open_ms": await _timed(lambda _: http.get("/tickets?state=open"), waiting),
        "list_by_deadline_ms": await _timed(lambda _: http.get("/tickets?state=late"), waiting),
        "list_all_ms": await _timed(lambda _: http.get("/tickets"), waiting),
        "api_list_ms": await _timed(lambda _: http.get("/v1/tickets?state=open"), waiting),
    }
    step("pages")
    figures["page_ms"] = await _timed(lambda number: http.get(f"/tickets/{_id(number)}"), waiting)
    figures["page_solved_ms"] = await _timed(lambda number: http.get(f"/tickets/{_id(number | 1)}"), numbers)
    step("answers")
    page = (await http.get("/tickets")).text
    csrf = page.partition('name="csrf" value="')[2].partition('"')[0]

    async def answer(number: int) -> httpx.Response:
        headers = {"X-CSRF-Token": csrf, "Idempotency-Key": uuid4().hex}
        body = {"body": "It is decided today."}
        return await http.post(f"/v1/tickets/{_id(number)}/messages", json=body, headers=headers)

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


def _id(number: int) -> str:
    return derived_id("tkt", "bench", number)


def _whose(number: int, tickets: int) -> int:
    """The number of the trader whose ticket it is: each has some that wait."""
    return number // _OPEN % min(_TRADERS, tickets // _OPEN) + 1


async def _fill(db: Database, tickets: int) -> None:
    now = datetime.now(UTC)
    for first in range(0, tickets, _AT_ONCE):
        numbers = range(first, min(first + _AT_ONCE, tickets))
        async with db.transaction() as session:
            for model, rows in _rows(numbers, now, tickets):
                await session.execute(insert(model), rows)
    async with db.transaction() as session:
        connection = await session.connection()
        await connection.execute(text("ANALYZE"))


def _rows(numbers: range, now: datetime, tickets: int) -> Iterator[tuple[type[Base], list[dict[str, Any]]]]:
    """Yields the rows of these tickets, table by table. One of ten waits for an answer, the others are solved."""

    def opened(number: int) -> datetime:
        return now - timedelta(minutes=tickets - number)

    def trader(number: int) -> str:
        return derived_id("trd", _whose(number, tickets))

    def waits(number: int) -> bool:
        return number % _OPEN == 0

    yield Ticket, [
        {
            "id": _id(number), "trader_id": trader(number), "subject": f"Payout {number}",
            "account_id": derived_id("acc", _whose(number, tickets)), "state": "open" if waits(number) else "solved",
            "opened_at": opened(number), "changed_at": opened(number), "recorded_at": opened(number),
            "due_at": opened(number) + timedelta(days=2) if waits(number) else None,
            "solved_times": int(not waits(number)), "snoozes": 0,
        }
        for number in numbers
    ]  # fmt: skip
    yield TicketMessage, [
        {
            "id": derived_id("msg", number, part), "ticket_id": _id(number), "body": _QUESTION,
            "author_id": derived_id("usr", _whose(number, tickets)), "occurred_at": opened(number), "kind": "public",
            "automatic": False, "recorded_at": opened(number) + timedelta(seconds=part),
        }
        for number in numbers
        for part in range(_MESSAGES)
    ]  # fmt: skip
    of_ticket = [(number, name) for number in numbers for name in ("first_answer", "resolution")]
    yield TicketClockEvent, [
        {
            "ticket_id": _id(number), "trader_id": trader(number), "clock": name, "kind": "activate",
            "cause": "opened", "target_minutes": 240, "at": opened(number),
        }
        for number, name in of_ticket
    ]  # fmt: skip
    yield TicketClock, [
        {
            "ticket_id": _id(number), "trader_id": trader(number), "clock": name, "generation": 1,
            "status": "running" if waits(number) else "stopped", "policy_number": 1, "breached_at": None,
            "due_at": opened(number) + timedelta(days=2) if waits(number) else None,
        }
        for number, name in of_ticket
    ]  # fmt: skip
    yield TicketTimer, [
        {
            "ticket_id": _id(number), "trader_id": trader(number), "clock": name, "generation": 1,
            "due_at": opened(number) + timedelta(days=2), "fired_at": None if waits(number) else now, "outcome": None,
        }
        for number, name in of_ticket
    ]  # fmt: skip
