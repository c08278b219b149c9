"""The relay as it runs: it starts what must always run, hears of news at once, survives its neighbours, and stops."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
import pytest
from sqlalchemy import select
from temporalio.client import Client

from contracts.ids import RECONCILIATION_WORKFLOW, SURVEILLANCE_WORKFLOW, challenge_workflow, shard_workflow
from domain.approvals import Actor
from domain.errors import Unavailable
from firm import challenges
from firm.products.shelf import load_products
from ports.payments import PaymentProvider
from ports.platform import TradingPlatform
from relay.service import Relay
from relay.temporal import connect
from store import crypto, outbox, products
from store.db import Database
from store.models import OutboxMessage, Trader
from tests import servers
from tests.challenge_world import KEYS, START, Provider, Seat, Venue

SINGLETONS = (shard_workflow(0), SURVEILLANCE_WORKFLOW, RECONCILIATION_WORKFLOW)


class Office:
    def __init__(self, db: Database, client: Client) -> None:
        self.db, self.client = db, client
        self.venue = Venue(seats={number: Seat(number, enabled=True) for number in range(100)})
        self.temporal_up = True

    async def connected(self) -> Client:
        if not self.temporal_up:
            raise Unavailable("Temporal does not answer.")
        return self.client

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        stop = asyncio.Event()
        platform: TradingPlatform = self.venue
        payments: PaymentProvider = Provider()
        relay = asyncio.create_task(Relay(self.db, self.connected, platform, payments).run(stop))
        try:
            yield
        finally:
            stop.set()
            async with asyncio.timeout(10):
                await relay

    async def lock(self, login: int) -> None:
        key = f"lock/{login}"
        payload = {"key": key, "login": login, "account_id": "acc_1"}
        async with self.db.transaction() as session:
            await outbox.enqueue(session, key=key, topic="venue.lock", target=str(login), payload=payload)

    async def locked(self, login: int) -> float:
        """Seconds until the venue has locked the account."""
        started = time.monotonic()
        async with asyncio.timeout(20):
            while self.venue.seats[login].enabled:
                await asyncio.sleep(0.005)
        return time.monotonic() - started


@pytest.fixture
async def office(database_url: str, temporal_address: str) -> AsyncIterator[Office]:
    crypto.install(crypto.FieldKeys.parse(KEYS))
    db = Database(database_url, pool_size=8)
    yield Office(db, await connect(temporal_address, servers.NAMESPACE, KEYS))
    await db.close()


async def test_news_is_heard_at_once_and_singletons_run(office: Office) -> None:
    async with office.running():
        await office.lock(0)
        await office.locked(0)
        waits = []
        for login in range(1, 11):
            await office.lock(login)
            waits.append(await office.locked(login))
        assert sorted(waits)[5] < 0.25, "notifications, not the poll of half a second, move the relay"
        async with asyncio.timeout(20):
            for workflow_id in SINGLETONS:
                while not await _runs(office.client, workflow_id):
                    await asyncio.sleep(0.05)


async def _runs(client: Client, workflow_id: str) -> bool:
    query = f"WorkflowId = '{workflow_id}' AND ExecutionStatus = 'Running'"
    return [found.id async for found in client.list_workflows(query)] == [workflow_id]


async def test_it_works_while_temporal_is_down_and_when_connections_break(office: Office, database_url: str) -> None:
    office.temporal_up = False
    async with office.running():
        async with office.db.transaction() as session:
            await outbox.signal_workflow(session, key="s", workflow_id="challenge/none", name="x", payload={})
        await office.lock(20)
        await office.locked(20)
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        await office.lock(21)
        await office.locked(21)
    async with office.db.transaction() as session:
        waiting = await session.scalar(select(OutboxMessage).where(OutboxMessage.key == "s"))
    assert waiting is not None
    assert (waiting.dispatched_at, waiting.parked_at) == (None, None)


async def test_a_terminated_workflow_is_started_again_by_the_running_relay(office: Office) -> None:
    async with office.db.transaction() as session:
        for product in load_products():
            await products.publish(session, product)
        session.add(
            Trader(id="trd_tina", name="tina", email="t@example.com", email_index="t", country="DE", created_at=START)
        )
        await session.flush()
        bought = await challenges.buy(
            session,
            trader_id="trd_tina",
            product=await products.newest(session, "two-step"),
            return_url="https://firm.example/",
            actor=Actor(user_id="usr_tina", person_id="person-tina", role="trader", trader_id="trd_tina"),
        )
    workflow_id = challenge_workflow(bought.id)
    for _ in range(2):
        async with office.running(), asyncio.timeout(40):
            while not await _runs(office.client, workflow_id):
                await asyncio.sleep(0.05)
        await office.client.get_workflow_handle(workflow_id).terminate("by hand")
