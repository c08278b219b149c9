"""The gateway as a process of its own: a venue that drops, repeats and garbles, readers over HTTP, and SIGKILL."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from adapters.own_http import options
from adapters.platforms.http_stream import HttpStream
from cli.bench.redis_process import BINARY, installed, redis_server
from cli.stack.probes import free_ports
from ports.platform import AccountSnapshot, Batch, Deal, Event, GapInStream
from tests.toy_server import PASSWORD, ToyServer, toy_server

TOKEN = "of-the-gateway"
THIRD_PARTY = Path(__file__).parent.parent / "third_party"


class Firm:
    """A gateway of the toy venue and one reader of it."""

    def __init__(self, toy: ToyServer, folder: Path, journal: str = "") -> None:
        [self.port] = free_ports(1)
        self.toy, self.folder = toy, folder
        self.url = f"http://127.0.0.1:{self.port}"
        prefix = "PROPOS_PLATFORMS__TOY__"
        self._environment = dict(os.environ) | {
            "PROPOS_DATA": str(folder),
            "PYTHONPATH": str(THIRD_PARTY),
            f"{prefix}ADAPTER": "toy-venue",
            f"{prefix}SERVER": "127.0.0.1",
            f"{prefix}PORT": str(toy.port),
            f"{prefix}PASSWORD": PASSWORD,
            f"{prefix}GATEWAY": self.url,
            f"{prefix}GATEWAY_TOKEN": TOKEN,
            f"{prefix}GATEWAY_RECONCILE_SECONDS": "1",
        }
        if journal:
            self._environment[f"{prefix}GATEWAY_JOURNAL"] = journal
        self.events: list[Event] = []
        self.last = self.seq = 0

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "cli.main", "gateway", *words]

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[bytes]]:
        process = subprocess.Popen(self.command("run", "toy"), env=self._environment)
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    async def run(self, *words: str) -> Any:
        """Returns the JSON that a command prints."""
        command = [*self.command(*words), "--json"]
        process = await asyncio.create_subprocess_exec(*command, env=self._environment, stdout=subprocess.PIPE)
        printed, _ = await process.communicate()
        return json.loads(printed)

    def stream(self) -> HttpStream:
        return HttpStream("The gateway", options(self.url, TOKEN, 10), "shard/0")

    async def until(self, enough: Callable[[], bool]) -> None:
        """Reads the stream until it is enough; a connection that breaks is opened again. Who has read nothing begins
        where the journal does."""
        async with asyncio.timeout(120):
            while not enough():
                try:
                    await asyncio.to_thread(self._read, enough)
                except GapInStream as gap:
                    if self.last:
                        raise
                    self.last = gap.first - 1
                except Exception as exc:
                    if isinstance(exc, AssertionError):
                        raise
                    await asyncio.sleep(0.2)

    def _read(self, enough: Callable[[], bool]) -> None:
        stream = self.stream()
        try:
            for batch in stream.batches(self.last):
                if batch is not None:
                    self._take(batch)
                if enough():
                    return
        finally:
            stream.close()

    def _take(self, batch: Batch) -> None:
        if self.seq:
            assert batch.number == self.last + 1
            assert batch.events[0].seq == self.seq + 1
        self.last, self.seq = batch.number, batch.events[-1].seq
        self.events += batch.events

    def deals(self) -> list[str]:
        return [event.deal_id for event in self.events if isinstance(event, Deal)]

    async def status(self) -> dict[str, Any]:
        async with httpx.AsyncClient(base_url=self.url) as client:
            answer: dict[str, Any] = (await client.get("/health")).json()
            return answer

    async def settled(self, enough: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        async with asyncio.timeout(60):
            while True:
                try:
                    if enough(status := await self.status()):
                        return status
                except httpx.HTTPError:
                    pass
                await asyncio.sleep(0.1)


@pytest.fixture
async def firm(tmp_path: Path) -> AsyncIterator[Firm]:
    async with _firm(tmp_path) as built:
        yield built


@asynccontextmanager
async def _firm(folder: Path, journal: str = "") -> AsyncIterator[Firm]:
    async with toy_server() as toy:
        toy.open(7, 1000_00)
        yield Firm(toy, folder, journal)


async def test_kill_9_at_any_moment_loses_nothing_and_tells_nothing_twice(firm: Firm) -> None:
    for round_ in range(4):
        with firm.running() as process:
            await firm.settled(lambda status: bool(status["caught_up"]))
            told = len(firm.toy.log)
            for _ in range(20):
                name = firm.toy.buy(7)
                firm.toy.sell(7, name, "1.2", 1_00)
            if round_ == 3:
                await firm.until(lambda: len(firm.deals()) == 160)
            else:
                await firm.until(lambda told=told: len(firm.deals()) >= told)  # type: ignore[misc]
            process.kill()
    assert firm.deals() == [f"d{number}" for number in range(1, 161)]
    assert [each.balance_minor for each in firm.events if isinstance(each, Deal)][-1] == 1080_00


@pytest.mark.skipif(not (installed() or os.environ.get("CI")), reason=f"{BINARY} is not installed")
async def test_kill_9_of_the_gateway_and_of_redis_loses_nothing_and_tells_nothing_twice(tmp_path: Path) -> None:
    """The gateway that loses its journal ends: only what is stored may be told."""
    with redis_server() as redis:
        async with _firm(tmp_path, redis.url) as firm:
            for killed in ("redis", "gateway", "nothing"):
                with firm.running() as process:
                    await firm.settled(lambda status: bool(status["caught_up"]))
                    for number in range(20):
                        firm.toy.sell(7, firm.toy.buy(7), "1.2", 1_00)
                        if number == 10 and killed != "nothing":  # in between, while batches are stored
                            await firm.until(lambda: len(firm.deals()) >= len(firm.toy.log) - 20)
                            (redis if killed == "redis" else process).kill()
                    if killed == "nothing":
                        await firm.until(lambda: len(firm.deals()) >= 120)
                    else:
                        ended = await asyncio.to_thread(process.wait, 60)
                        assert ended == (1 if killed == "redis" else -signal.SIGKILL)
                if killed == "redis":
                    redis.start()
            assert firm.deals() == [f"d{number}" for number in range(1, 121)]
            assert [each.balance_minor for each in firm.events if isinstance(each, Deal)][-1] == 1060_00
    assert not list((tmp_path / "gateway" / "toy").glob("*.sqlite3"))


async def test_a_venue_that_drops_repeats_and_garbles_loses_no_deal(firm: Firm) -> None:
    count = 0

    def twist(line: bytes) -> list[bytes | None]:
        nonlocal count
        count += 1
        kinds: dict[int, list[bytes | None]] = {
            2: [line, line],
            4: [b"{cut", None],
            6: [b'{"is":"nonsense"}\n', line],
            8: [b"\xff\xfe\n", line],
            10: [line.replace(b'"is"', b'"new":{"a":[1]},"is"')],
        }
        return kinds.get(count % 12, [line])

    firm.toy.twist = twist
    with firm.running():
        await firm.settled(lambda status: bool(status["caught_up"]))
        for _ in range(30):
            firm.toy.sell(7, firm.toy.buy(7), "1.2", 1_00)
            await asyncio.sleep(0.01)
        firm.toy.twist = lambda line: [line]
        await firm.until(lambda: len(set(firm.deals())) == 60)
        status = await firm.settled(lambda status: bool(status["caught_up"]))
    assert sorted(firm.deals()) == sorted(f"d{number}" for number in range(1, 61))
    assert status["counts"]["unreadable"] > 0
    assert status["counts"]["reconnects"] > 0
    assert firm.toy.streams > 1


async def test_a_fill_that_the_stream_left_out_is_found_and_healed(firm: Firm) -> None:
    firm.toy.twist = lambda line: [] if b'"d2"' in line else [line]
    with firm.running():
        await firm.settled(lambda status: bool(status["caught_up"]))
        name = firm.toy.buy(7)
        firm.toy.sell(7, name, "1.2", 40_00)
        await firm.until(lambda: firm.deals() == ["d1", "d2"])
        status = await firm.settled(lambda status: bool(status["counts"]["gaps_healed"]))
    assert status["counts"]["differences"] == 0


async def test_a_lock_reaches_the_venue_once_per_key_also_after_a_restart(firm: Firm) -> None:
    for _ in range(2):
        with firm.running():
            await firm.settled(lambda status: bool(status["caught_up"]))
            stream = firm.stream()
            await asyncio.to_thread(stream.lock_many, [(7, "breach/1")])
            await asyncio.to_thread(stream.lock, 7, "breach/1")
            stream.close()
    assert firm.toy.locked == [7]


async def test_the_snapshot_is_that_of_the_stream(firm: Firm) -> None:
    with firm.running():
        await firm.settled(lambda status: bool(status["caught_up"]))
        firm.toy.sell(7, firm.toy.buy(7), "1.2", 40_00)
        firm.toy.buy(7)
        await firm.until(lambda: len(firm.deals()) == 3)
        stream = firm.stream()
        snapshot: AccountSnapshot = await asyncio.to_thread(stream.snapshot, 7)
        stream.close()
    assert (snapshot.balance_minor, [held.position_id for held in snapshot.positions]) == (1040_00, ["p3"])
    assert snapshot.seq >= firm.seq


async def test_a_reader_of_another_journal_gets_a_gap(firm: Firm) -> None:
    with firm.running():
        status = await firm.settled(lambda status: bool(status["caught_up"] and status["batch"]))
        firm.last = status["batch"] + 1000
        with pytest.raises(GapInStream) as gap:
            await asyncio.to_thread(firm._read, lambda: False)
    assert status["batch"] < gap.value.first <= firm.last


async def test_a_recorded_day_runs_again_and_says_the_same(firm: Firm) -> None:
    with firm.running():
        await firm.settled(lambda status: bool(status["caught_up"]))
        firm.toy.sell(7, firm.toy.buy(7), "1.2", 40_00)
        await firm.until(lambda: len(firm.deals()) == 2)
        status = await firm.run("status", "toy")
    [recording] = (firm.folder / "gateway" / "toy").glob("raw-*.jsonl")
    said = await firm.run("replay", str(recording), "--platform", "toy")
    assert said == await firm.run("replay", str(recording), "--platform", "toy")
    assert said["balances"] == {"7": 1040_00}
    assert said["events"]["deal"] == 2
    assert status["connected"]
    assert status["accounts"] == 1
