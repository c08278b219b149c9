"""Two monitor processes on real servers: one gets SIGKILL, and what it judged is judged by the other."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from temporalio.client import Client
from temporalio.worker import Worker

from contracts.ids import CORE_QUEUE, shard_workflow
from contracts.messages import ShardStart
from relay.temporal import connect
from store import shards
from tests import servers
from tests.challenge_world import KEYS
from tests.contract.sandbox_process import TOKEN, SandboxProcess, at, running_sandbox, write_recording
from tests.integration.recorded_feed import two_step
from tests.integration.scripted_venue import on_record, rows
from tests.integration.shard_work import falling_prices, work
from worker import workflow_runner
from workflows.monitor_shard import MonitorShardWorkflow

MONITORS, SHARDS, ACCOUNTS = 2, 2, 6


@contextmanager
def monitors(environment: dict[str, str]) -> Iterator[None]:
    command = [sys.executable, "-P", "-m", "cli.main", "monitor"]
    running = [subprocess.Popen(command, env=dict(os.environ) | environment) for _ in range(MONITORS)]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


def _trade(venue: SandboxProcess, database_url: str) -> None:
    """Every account long ten lots, half of them on each shard."""
    first = 10_001
    on_record(database_url, {first + n: (two_step(), 1) for n in range(ACCOUNTS)})
    rows(database_url, "UPDATE accounts SET shard = login % 2 RETURNING 1")
    for login in range(first, first + ACCOUNTS):
        body = {"key": f"a{login}", "group": "two-step/1", "currency": "USD", "leverage": 100}
        assert venue.post("/venue/accounts", body).json() == {"login": login}
        money = {"key": "initial", "operation": "deposit", "amount_minor": 10_000_000}
        venue.post(f"/venue/accounts/{login}/balance", money).raise_for_status()
        venue.post(f"/venue/accounts/{login}/trading", {"key": "on", "enabled": True}).raise_for_status()
    venue.post("/market/advance", {"until": at(0, 5).isoformat()}).raise_for_status()
    for login in range(first, first + ACCOUNTS):
        order = {"key": "o", "symbol": "EURUSD", "side": "buy", "lots": "10"}
        venue.post(f"/venue/accounts/{login}/orders", order).raise_for_status()
    venue.post("/market/advance", {"until": at(0, 9).isoformat()}).raise_for_status()


def _owner(database_url: str, shard: int) -> int:
    [(owner,)] = rows(database_url, f"SELECT owner FROM shards WHERE id = {shard}")
    return int(str(owner).rpartition("/")[2])


def _epochs(database_url: str) -> dict[object, int]:
    return {number: int(str(epoch)) for number, epoch in rows(database_url, "SELECT id, epoch FROM shards")}


@pytest.mark.timeout(600)  # a lost owner is noticed by its heartbeats, whatever the machine
async def test_a_killed_monitors_shards_are_judged_elsewhere_and_no_breach_is_lost_or_doubled(
    database_url: str, temporal_address: str, tmp_path: Path
) -> None:
    client: Client = await connect(temporal_address, servers.NAMESPACE, KEYS)
    await asyncio.to_thread(work, database_url, lambda session: shards.ensure(session, SHARDS, ["sandbox"]))
    write_recording(tmp_path / "prices", "EURUSD", falling_prices())
    readers = tuple(shard_workflow(number) for number in range(SHARDS))
    with running_sandbox(tmp_path, market_dir=tmp_path / "prices", symbols=("EURUSD",), readers=readers) as venue:
        environment = {
            "DATABASE_URL": database_url,
            "TEMPORAL_ADDRESS": temporal_address,
            "PROPOS_NAMESPACE": servers.NAMESPACE,
            "PROPOS_SANDBOX_URL": venue.url,
            "PROPOS_SANDBOX_TOKEN": TOKEN,
            "PROPOS_WEBHOOK_SECRET": "s",
            "PROPOS_SANDBOX_STRIPE_SECRETS": "of-the-firm,of-payees,of-thin-events",
            "PROPOS_PAYLOAD_KEYS": KEYS,
            "PROPOS_MONITOR_METRICS_PORT": "0",
            "PROPOS_SHARDS": str(SHARDS),
        }
        core = Worker(
            client, task_queue=CORE_QUEUE, workflows=[MonitorShardWorkflow], workflow_runner=workflow_runner()
        )
        with monitors(environment):
            async with core:
                handles = [
                    await client.start_workflow(
                        MonitorShardWorkflow.run, ShardStart(shard=number), id=f"shard/{uuid4()}", task_queue=CORE_QUEUE
                    )
                    for number in range(SHARDS)
                ]
                await asyncio.to_thread(_trade, venue, database_url)
                before = _epochs(database_url)
                os.kill(_owner(database_url, 0), signal.SIGKILL)
                # The price falls now, and lockstep waits until every shard has judged it.
                advanced = {"until": at(0, 11).isoformat()}
                answer = await asyncio.to_thread(venue.post, "/market/advance", advanced)
                answer.raise_for_status()
                for handle in handles:
                    await handle.terminate()
    after = _epochs(database_url)
    assert after[0] > before[0]
    found = rows(database_url, "SELECT account_id, rule_id, offence, locked_at IS NOT NULL FROM breaches")
    expected = [(f"acc_{10_001 + n}", "daily_loss", 1, True) for n in range(ACCOUNTS)]
    assert sorted(found, key=str) == expected
    # A shard may have changed hands again since, on a machine so busy that heartbeats came late.
    judged = rows(
        database_url, "SELECT a.shard, b.epoch FROM breaches b JOIN accounts a ON a.id = b.account_id ORDER BY 1, 2"
    )
    for shard, epoch in judged:
        first = before[shard] + (1 if shard == 0 else 0)
        assert first <= int(str(epoch)) <= after[shard], "judged by an owner of the account's own shard, after the kill"
