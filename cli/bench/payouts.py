"""`propos bench payouts`: whole payouts, from the request through the firm's code to the reconciled statement.

Beside them run bare workflows on the same server and in the same worker, in turns, so that a busy moment of the machine
slows both. docs/benchmarks.md explains each figure.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import uuid4

import uvloop
from sqlalchemy import func, select
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client

from cli.bench import payout_firm as firm
from cli.bench.approvals import approve_all
from cli.bench.bare import BareWorkflow
from cli.bench.outside import RAIL, payments
from cli.bench.payout_history import fill
from cli.bench.servers import PayoutServers, payout_servers
from cli.bench.timing import rounded, spread
from cli.bench.webhooks import webhooks
from cli.compose import build_database, temporal
from cli.stack import logs
from contracts.ids import CORE_QUEUE, RECONCILIATION_WORKFLOW, payout_workflow
from contracts.messages import ReconciliationStart
from domain.errors import Unavailable
from ports.platform import Platforms
from relay.outbox import OutboxDispatcher
from settings import Settings, load
from store.db import Database, connect_async
from store.models import Payout, ProviderEntryRow

Step = Callable[[str], None]

STEPS: Final = 12
_ROUNDS: Final = 3
_AT_ONCE: Final = 16
_APPROVED: Final = 40
_WEBHOOKS: Final = 3_000
_PATIENCE_SECONDS: Final = 600.0
_POLL_SECONDS: Final = 0.1  # to ask more often would take more of the processor than what is measured
_RELAY_SECONDS: Final = 0.5  # when no notification came, as in the relay


@dataclass
class Bench:
    """What a run has: the database under the application's role, Temporal, and the traders that have asked."""

    servers: PayoutServers
    settings: Settings
    db: Database
    client: Client
    traders: int = 0
    payouts: list[str] = field(default_factory=list)

    async def request(self, count: int, gross_minor: int) -> list[str]:
        """Asks for payouts of new traders, several at once; returns the ids."""
        first = self.traders + 1
        self.traders += count
        actors = await firm.add_traders(self.db, first, count)
        return await self.ask(list(enumerate(actors, start=first)), gross_minor)

    async def ask(self, traders: list[tuple[int, Any]], gross_minor: int) -> list[str]:
        gate = asyncio.Semaphore(_AT_ONCE)

        payable = payments().rails.check

        async def one(number: int, actor: Any) -> str:
            async with gate:
                return await firm.request(self.db, payable, actor, number, gross_minor)

        return await asyncio.gather(*(one(number, actor) for number, actor in traders))


def measure(count: int, history: bool, step: Step) -> dict[str, Any]:
    """`count`: payouts of the automatic band. `history`: with a million ledger entries and half a million inbox rows
    on the record before it starts."""
    logs.configure("bench", "warning")
    runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)  # as the relay and the API run
    with payout_servers() as servers, servers.process("worker"), runner:
        return runner.run(_measure(servers, count, history, step))


async def _measure(servers: PayoutServers, count: int, history: bool, step: Step) -> dict[str, Any]:
    names = {name: servers.environment[name] for name in ("DATABASE_URL", "TEMPORAL_ADDRESS", "PROPOS_PAYLOAD_KEYS")}
    settings = load(
        database_url=names["DATABASE_URL"],
        temporal_address=names["TEMPORAL_ADDRESS"],
        payload_keys=names["PROPOS_PAYLOAD_KEYS"],
    )
    db = build_database(settings, pool_size=_AT_ONCE)
    bench = Bench(servers, settings, db, await temporal(settings))
    approvers = await firm.open_firm(db)
    rows = {"ledger_entries": 0, "inbox_rows": 0}
    if history:
        step("filling the record")
        rows = await asyncio.to_thread(fill, servers.owner_url)
    async with _relay(bench):
        step("warming up")
        await _whole(bench, _AT_ONCE)
        activities, events = await _shape(bench, bench.payouts[0])
        await _bare(bench, _AT_ONCE, activities)
        speed = await _speeds(bench, count, activities, step)
        step("approvals by two people")
        waiting = await bench.request(min(count, _APPROVED), firm.BY_TWO)
        await _until(lambda: _in_state(bench.db, waiting, "awaiting_approval", len(waiting)))
        took = await approve_all(bench.db, bench.client, waiting, approvers)
        await _until(lambda: _in_state(bench.db, waiting, "paid", len(waiting)))
        _, by_two = await _shape(bench, waiting[-1])
    figures = {
        **speed,
        "activities_per_payout": activities,
        "events_per_payout": {"automatic": events, "approved_by_two": by_two},
        "approve_ms": spread(took),
        "webhooks_per_second": await webhooks(bench.servers, bench.db, min(_WEBHOOKS, count * 10), step),
        "rail": "in memory, arrived at once",
        "history": rows,
    }
    await db.close()
    return figures


async def _speeds(bench: Bench, count: int, activities: int, step: Step) -> dict[str, Any]:
    """Measures bare workflows and payouts in turns."""
    bare, whole, done = 0.0, 0.0, 0
    for number in range(1, _ROUNDS + 1):
        size = count * number // _ROUNDS - done
        done += size
        step(f"bare workflows, round {number}")
        bare += await _bare(bench, size, activities)
        step(f"payouts, round {number}")
        whole += await _whole(bench, size)
    return {
        "payouts_per_second": rounded(count / whole),
        "bare_per_second": rounded(count / bare),
        "ratio": rounded(bare / whole),
    }


async def _bare(bench: Bench, count: int, activities: int) -> float:
    """Returns the seconds until `count` bare workflows have ended."""
    name, gate = uuid4().hex, asyncio.Semaphore(_AT_ONCE)

    async def start(number: int) -> None:
        async with gate:
            await bench.client.start_workflow(
                BareWorkflow.run, activities, id=f"bare/{name}/{number}", task_queue=CORE_QUEUE
            )

    async def ended() -> bool:
        query = f"WorkflowId STARTS_WITH 'bare/{name}/' AND ExecutionStatus = 'Completed'"
        return (await bench.client.count_workflows(query)).count == count

    started = time.perf_counter()
    await asyncio.gather(*(start(number) for number in range(count)))
    await _until(ended)
    return time.perf_counter() - started


async def _whole(bench: Bench, count: int) -> float:
    """Returns the seconds until `count` payouts were requested, paid, and found on the statement of the rail."""
    first = bench.traders + 1
    bench.traders += count
    actors = await firm.add_traders(bench.db, first, count)
    started = time.perf_counter()
    asked = await bench.ask(list(enumerate(actors, start=first)), firm.AUTOMATIC)
    await _until(lambda: _in_state(bench.db, asked, "paid", count))
    await bench.client.start_workflow(
        "Reconciliation", ReconciliationStart(), id=f"{RECONCILIATION_WORKFLOW}/{first}", task_queue=CORE_QUEUE
    )
    await _until(lambda: _reconciled(bench.db, asked, count))
    took = time.perf_counter() - started
    await bench.client.get_workflow_handle(f"{RECONCILIATION_WORKFLOW}/{first}").terminate()
    bench.payouts += asked
    return took


async def _in_state(db: Database, ids: list[str], state: str, count: int) -> bool:
    found = select(func.count()).select_from(Payout).where(Payout.id.in_(ids), Payout.state == state)
    async with db.transaction() as session:
        return await session.scalar(found) == count


async def _reconciled(db: Database, ids: list[str], count: int) -> bool:
    found = select(func.count()).select_from(ProviderEntryRow)
    found = found.where(ProviderEntryRow.reference.in_(ids), ProviderEntryRow.transaction_id.is_not(None))
    async with db.transaction() as session:
        return await session.scalar(found) == count


async def _shape(bench: Bench, payout_id: str) -> tuple[int, int]:
    """Returns (activities, events) of a payout's history."""
    handle = bench.client.get_workflow_handle(payout_workflow(payout_id))
    await handle.result()
    events = (await handle.fetch_history()).events
    kinds = [event.event_type for event in events]
    return kinds.count(EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED), len(kinds)


async def _until(condition: Callable[[], Awaitable[bool]]) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not await condition():
        if time.monotonic() > deadline:
            raise Unavailable(f"The benchmark did not come to an end within {_PATIENCE_SECONDS:.0f} seconds.")
        await asyncio.sleep(_POLL_SECONDS)


@asynccontextmanager
async def _relay(bench: Bench) -> AsyncIterator[None]:
    """Delivers outbox messages at each notification, as the relay does."""

    async def connected() -> Client:
        return bench.client

    outbox = OutboxDispatcher(bench.db, connected, Platforms({}, RAIL))

    async def deliver() -> None:
        async with await connect_async(bench.db.url, autocommit=True) as listening:
            await listening.execute("LISTEN relay")
            while True:
                if not await outbox.step():
                    async for _ in listening.notifies(timeout=_RELAY_SECONDS, stop_after=1):
                        pass

    delivering = asyncio.create_task(deliver())
    try:
        yield
    finally:
        delivering.cancel()
