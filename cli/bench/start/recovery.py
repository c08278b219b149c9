"""How long each process of a running firm takes to be at work again after `kill -9`."""

import asyncio
import json
import signal
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import psycopg
from temporalio.api.enums.v1 import TaskQueueType

from cli.bench.timing import rounded
from cli.stack.probes import TemporalProbe, gauges, serves
from cli.stack.processes import Recorded, read_record
from contracts.ids import CORE_QUEUE
from domain.errors import Unavailable
from settings import load
from store.db import connect

# Seconds, on two quiet cores.
BUDGET: Final = {"api": 5.0, "monitor": 10.0}
PARTS: Final = ("api", "monitor", "worker", "relay", "sandbox", "temporal", "postgres")
_PATIENCE: Final = 180.0
_PAUSE: Final = 0.05
_SHARDS_SQL: Final = "SELECT id, epoch, batch FROM shards ORDER BY id"

Question = Callable[[], Awaitable[bool]]


async def measure(data: Path, step: Callable[[str], None]) -> dict[str, float]:
    """Kills each part of the firm on `data`, one after another; returns the seconds until it works again. Raises
    Unavailable for a part that does not come back."""
    found = {}
    for name in PARTS:
        step(f"kill -9 {name}")
        found[name] = rounded(await _killed(data, name))
        await _until(partial(serves, f"{_addresses(data)['api_url']}/readyz"), f"the firm after {name}")
    return found


async def _killed(data: Path, name: str) -> float:
    before = read_record(data / "run" / f"{name}.pid")
    if before is None:
        raise Unavailable(f"{name} does not run.")
    works = await _at_work(data, name, before)
    began = time.perf_counter()
    before.signal(signal.SIGKILL)
    await _until(works, name)
    return time.perf_counter() - began


async def _until(works: Question, name: str) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not await works():
        if time.monotonic() > deadline:
            raise Unavailable(f"{name} is not at work again after {_PATIENCE:.0f} s.")
        await asyncio.sleep(_PAUSE)


async def _at_work(data: Path, name: str, before: Recorded) -> Question:
    """Returns the question whether another process than `before` does the work of the part."""
    addresses = _addresses(data)

    async def another() -> bool:
        now = read_record(data / "run" / f"{name}.pid")
        return now is not None and now != before and now.alive()

    async def both(works: Question) -> bool:
        return await another() and await works()

    answers = {
        "api": partial(serves, f"{addresses['api_url']}/healthz"),
        "relay": partial(_has_passed, int(addresses["relay_metrics_port"])),
        "sandbox": partial(serves, f"{addresses['sandbox_url']}/health"),
        "temporal": partial(serves, f"{addresses['api_url']}/readyz"),
        "postgres": partial(serves, f"{addresses['api_url']}/readyz"),
        "worker": partial(_polls, data, addresses),
    }
    if name == "monitor":
        return partial(_judges, addresses["database_url"], _shards(addresses["database_url"]))
    return partial(both, answers[name])


async def _has_passed(port: int) -> bool:
    """Returns whether the relay's loops have gone round: each is shown after its first round."""
    try:
        failures = await gauges(f"http://127.0.0.1:{port}/metrics", "propos_relay_loop_failures", "loop")
    except Unavailable:
        return False
    return bool(failures) and not any(failures.values())


async def _polls(data: Path, addresses: dict[str, Any]) -> bool:
    now = read_record(data / "run" / "worker.pid")
    settings = load(data_dir=data)
    probe = TemporalProbe(addresses["temporal_address"], settings.temporal_namespace)
    try:
        return now is not None and await probe.polls(CORE_QUEUE, TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW, now.pid)
    except Unavailable:
        return False


def _shards(database_url: str) -> dict[int, tuple[int, int]]:
    """Returns shard -> (epoch, last stored batch)."""
    with connect(database_url, connect_timeout=3) as connection:
        return {number: (epoch, batch) for number, epoch, batch in connection.execute(_SHARDS_SQL).fetchall()}


async def _judges(database_url: str, before: dict[int, tuple[int, int]]) -> bool:
    """Returns whether each shard has another owner, who has stored a batch that came after the kill."""
    try:
        now = await asyncio.to_thread(_shards, database_url)
    except psycopg.OperationalError:
        return False
    return all(now[shard][0] > epoch and now[shard][1] > batch for shard, (epoch, batch) in before.items())


def _addresses(data: Path) -> dict[str, Any]:
    """Returns what `propos up` wrote about its firm, and the address of its API."""
    found: dict[str, Any] = json.loads((data / "run" / "addresses.json").read_text())
    return found | {"api_url": load(data_dir=data).api_url}
