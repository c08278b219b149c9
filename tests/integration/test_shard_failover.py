"""Two monitor processes on real servers: one gets SIGKILL, and what it judged is judged by the other."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
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
from tests.integration.scripted_venue import on_record, rows
from tests.integration.test_monitor_service import two_step
from tests.integration.test_shards import work
from worker import workflow_runner
from workflows.monitor_shard import MonitorShardWorkflow

MONITORS, SHARDS, ACCOUNTS = 2, 2, 6
TOO_LATE_SECONDS = 45  # generous: the tests share this machine


def falling_prices() -> list[str]:
    """A quote each second for twenty minutes: 1.10000, and from the tenth minute on 1.09400."""
    prices = ("1.10000,1.10010" if second < 600 else "1.09400,1.09410" for second in range(1200))
    return [f"{second * 1000},{price}" for second, price in enumerate(prices)]


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


@pytest.mark.timeout(180)
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
                killed = time.monotonic()
                os.kill(_owner(database_url, 0), signal.SIGKILL)
                # The price falls now, and lockstep waits until every shard has judged it.
                advanced = {"until": at(0, 11).isoformat()}
                answer = await asyncio.to_thread(venue.post, "/market/advance", advanced)
                seconds = time.monotonic() - killed
                answer.raise_for_status()
                for handle in handles:
                    await handle.terminate()
    print(f"judged again after {seconds:.1f} s")
    assert seconds < TOO_LATE_SECONDS
    after = _epochs(database_url)
    assert after[0] > before[0]
    found = rows(database_url, "SELECT account_id, rule_id, offence, locked_at IS NOT NULL FROM breaches")
    expected = [(f"acc_{10_001 + n}", "daily_loss", 1, True) for n in range(ACCOUNTS)]
    assert sorted(found, key=str) == expected
    with psycopg.connect(database_url) as connection:
        late = connection.execute(
            "SELECT count(*) FROM breaches b JOIN accounts a ON a.id = b.account_id JOIN shards s ON s.id = a.shard"
            " WHERE b.epoch <> s.epoch"
        ).fetchone()
    assert late == (0,), "judged by the owner of the account's own shard"
