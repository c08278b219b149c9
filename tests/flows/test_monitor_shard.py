"""Temporal places the shard: one owner at a time, and another one when its worker goes."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import uuid4

import psycopg
import pytest
from temporalio.client import Client
from temporalio.worker import Worker

from activities.deps import Deps
from activities.monitoring import MonitorActivities
from contracts.ids import CORE_QUEUE, MONITOR_QUEUE
from contracts.messages import ShardStart
from ports.platform import FIRST_READER, AccountSnapshot, Batch, PlatformStream, SymbolSpec, TradingPlatform
from relay.temporal import connect
from store import crypto
from store.db import Database
from store.models import Shard
from tests import servers
from tests.adapters import PaymentProvider, platforms, providers
from tests.challenge_world import KEYS, Provider, Venue
from worker import workflow_runner
from workflows.monitor_shard import MonitorShardWorkflow


class QuietStream:
    """A feed on which nothing happens."""

    def batches(self, after: int) -> Iterator[Batch | None]:
        while True:
            time.sleep(0.05)
            yield None

    def acknowledge(self, number: int, keep_after: int) -> None:
        return None

    def lock(self, login: int, key: str) -> None:
        return None

    def lock_many(self, locks: list[tuple[int, str]]) -> None:
        return None

    def snapshot(self, login: int) -> AccountSnapshot:
        raise NotImplementedError

    def symbols(self) -> list[SymbolSpec]:
        return []

    def close(self) -> None:
        return None


class QuietVenue(Venue):
    def open_stream(self, reader: str = FIRST_READER) -> PlatformStream:
        return QuietStream()


@pytest.fixture
async def deps(database_url: str) -> AsyncIterator[Deps]:
    crypto.install(crypto.FieldKeys.parse(KEYS))
    db = Database(database_url, pool_size=2)
    platform: TradingPlatform = QuietVenue()
    payments: PaymentProvider = Provider()
    yield Deps(db=db, platforms=platforms(platform), payments=providers(payments))
    await db.close()


@asynccontextmanager
async def _monitor(client: Client, deps: Deps) -> AsyncIterator[None]:
    async with Worker(
        client,
        task_queue=MONITOR_QUEUE,
        activities=MonitorActivities(deps).all(),
        max_heartbeat_throttle_interval=timedelta(seconds=1),
        graceful_shutdown_timeout=timedelta(minutes=4),
    ):
        yield


def _epoch(database_url: str, shard: int) -> int:
    with psycopg.connect(database_url) as connection:
        row = connection.execute("SELECT epoch FROM shards WHERE id = %s", (shard,)).fetchone()
    return int(row[0]) if row else 0


def _wait_for_epoch(database_url: str, shard: int, epoch: int) -> None:
    deadline = time.monotonic() + 120
    while _epoch(database_url, shard) < epoch:
        assert time.monotonic() < deadline
        time.sleep(0.05)


async def test_a_shard_runs_until_its_worker_leaves_and_goes_on_elsewhere(
    deps: Deps, database_url: str, temporal_address: str
) -> None:
    client, shard = await connect(temporal_address, servers.NAMESPACE, KEYS), 17
    async with deps.db.transaction() as session:
        session.add(Shard(id=shard, platform="fake"))
    async with Worker(
        client, task_queue=CORE_QUEUE, workflows=[MonitorShardWorkflow], workflow_runner=workflow_runner()
    ):
        handle = await client.start_workflow(
            MonitorShardWorkflow.run, ShardStart(shard=shard), id=f"shard/{uuid4()}", task_queue=CORE_QUEUE
        )
        async with _monitor(client, deps):
            await asyncio.to_thread(_wait_for_epoch, database_url, shard, 1)
            await asyncio.sleep(7)
            assert _epoch(database_url, shard) == 1, "longer than the heartbeat timeout, and still the same owner"
            (pending,) = (await handle.describe()).raw_description.pending_activities
            assert (pending.attempt, pending.HasField("last_heartbeat_time")) == (1, True)
            leaving = time.monotonic()
        assert time.monotonic() - leaving < 120, "it does not wait for the feed until the worker ends it"
        async with _monitor(client, deps):
            await asyncio.to_thread(_wait_for_epoch, database_url, shard, 2)
        await handle.terminate()
