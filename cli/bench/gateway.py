"""`propos bench gateway`: a venue, a gateway and a shard over real sockets, once for each kind of journal.

The venue and the gateway are processes of their own. The shard is in this process; it judges every event.
"""

import json
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import httpx

from adapters.own_http import options
from adapters.platforms.http_stream import HttpStream
from cli.bench.columns import Step
from cli.bench.firm import START, Firm, harmless, shard_of
from cli.bench.gateway_process import TOKEN, Plan
from cli.bench.line_venue import LIVE
from cli.bench.market import Market
from cli.bench.redis_process import installed, redis_server
from cli.bench.timing import percentile, rounded
from cli.bench.venue_lines import FILLS_EVERY, Lines
from cli.bench.wires.measure import WireScale
from cli.bench.wires.measure import measure as measure_wires
from cli.stack.probes import free_ports
from cli.stack.processes import launch_argv
from monitor.shard import Shard
from ports.platform import ClockMark

STEPS: Final = 17
RATE: Final = 1_000  # messages a second while the latency is measured
_ROUNDS: Final = 3
_SYMBOLS: Final = 40
_POSITIONS: Final = 3
_SEED: Final = 7
_TIMEOUT: Final = 600.0
_NONE: Final = ("unreadable", "superseded_quotes", "gaps_found", "differences", "duplicates")


@dataclass(frozen=True, slots=True)
class Scale:
    """`messages`: sent at once, without a reader and then with a shard. `missed`: happen while the connection is
    broken. `paced`: of each of the rounds that measure the latency. `wires`: of the adapters."""

    accounts: int
    messages: int
    missed: int
    paced: int
    wires: WireScale


def measure(scale: Scale, step: Step) -> dict[str, Any]:
    figures: dict[str, Any] = {
        "accounts": scale.accounts,
        "messages": scale.messages,
        "missed": scale.missed,
        "share_of_fills": 1 / FILLS_EVERY,
        "latency_at_per_second": RATE,
    }
    with tempfile.TemporaryDirectory(prefix="propos-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        step("making accounts and messages")
        firm = Firm(Market(_SYMBOLS, _SEED, START), scale.accounts, _POSITIONS, _SEED)
        accounts = [harmless(account) for account in firm.loaded()]
        lines = Lines(firm.market, accounts)
        lines.write(folder, 2 * scale.messages + scale.missed)
        for journal in ("embedded", "redis"):
            if journal == "redis" and not installed():
                figures[journal] = None
                continue
            url = "" if journal == "embedded" else stack.enter_context(redis_server(appendfsync="everysec")).url
            step(f"{journal}: admitting accounts to the shard")
            shard = shard_of(Firm(Market(_SYMBOLS, _SEED, START), scale.accounts, _POSITIONS, _SEED), iter(accounts))
            own = folder / journal
            own.mkdir()
            figures[journal] = _Run(scale, folder, own, url, firm.market, shard).measure(
                lambda what, journal=journal: step(f"{journal}: {what}")  # type: ignore[misc]
            )
        figures["redis_to_embedded"] = figures["redis"] and compared(figures["redis"], figures["embedded"])
        figures["adapters"] = measure_wires(scale.wires, folder, step)
    return figures


def compared(redis: Mapping[str, Any], embedded: Mapping[str, Any]) -> dict[str, float]:
    """Returns the figures with Redis divided by those with the embedded journal of the same run."""
    names = ("raw_to_journaled_per_second", "raw_to_judged_per_second", "reconnect_seconds", "peak_mb")
    return {name: rounded(redis[name] / embedded[name]) for name in names}


class _Run:
    """One kind of journal."""

    def __init__(self, scale: Scale, lines: Path, folder: Path, url: str, market: Market, shard: Shard) -> None:
        self._scale, self._lines, self._folder, self._url = scale, lines, folder, url
        self._market, self._shard = market, shard
        [self._port] = free_ports(1)

    def measure(self, step: Step) -> dict[str, Any]:
        scale = self._scale
        with ExitStack() as stack:
            command = [sys.executable, "-m", "cli.bench.line_venue"]
            venue = stack.enter_context(_process([*command, *map(str, self._inputs())]))
            port = int(_line(venue))
            self._control = stack.enter_context(_connection(port))
            gateway = stack.enter_context(_process(self._gateway_command(port)))
            step("reading the accounts")
            self._wait_until_caught_up()
            figures: dict[str, Any] = {}
            step("sending messages, without a reader")
            began = self._tell(do="send", count=scale.messages)["began"]
            journaled = json.loads(_line(gateway))
            figures["raw_to_journaled_per_second"] = round(scale.messages / (journaled["at"] - began))
            step("sending messages, with a shard that judges")
            figures["raw_to_judged_per_second"] = round(scale.messages / self._judge())
            json.loads(_line(gateway))
            step(f"reconnecting with {scale.missed} missed messages")
            began = self._tell(do="drop", count=scale.missed)["began"]
            done = json.loads(_line(gateway))
            figures["reconnect_seconds"] = rounded(done["at"] - began)
            figures["peak_mb"] = round(done["peak_mb"])
            figures |= self._latency(port, step)  # last: it brings market time to the present
            self._check(gateway)
            return figures

    def _inputs(self) -> tuple[Path, Path]:
        return Lines.files(self._lines)

    def _gateway_command(self, venue_port: int) -> list[str]:
        waits = [self._scale.messages, 2 * self._scale.messages, 2 * self._scale.messages + self._scale.missed]
        plan = Plan(
            folder=self._folder,
            journal=self._url,
            venue_port=venue_port,
            gateway_port=self._port,
            specs=self._market.specs(),
            waits=waits,
        )
        path = self._folder / "plan.json"
        path.write_text(plan.model_dump_json())
        return [sys.executable, "-m", "cli.bench.gateway_process", str(path)]

    @property
    def _options(self) -> dict[str, Any]:
        return options(f"http://127.0.0.1:{self._port}", TOKEN, _TIMEOUT)

    def _health(self) -> dict[str, Any]:
        with httpx.Client(**self._options) as client:
            answer: dict[str, Any] = client.get("/health").json()
        return answer

    def _wait_until_caught_up(self) -> None:
        until = time.monotonic() + _TIMEOUT
        while time.monotonic() < until:
            try:
                health = self._health()
            except httpx.HTTPError:
                health = {}
            if health.get("caught_up") and health["accounts"] == self._scale.accounts:
                return
            time.sleep(0.1)
        raise RuntimeError("The gateway of the benchmark has not read its accounts.")

    def _tell(self, **command: Any) -> dict[str, Any]:
        self._control.sendall(json.dumps(command).encode() + b"\n")
        with self._control.makefile("rb") as answers:
            answer: dict[str, Any] = json.loads(answers.readline())
        return answer

    def _judge(self) -> float:
        """Returns the seconds until the shard has judged every message that is sent at once."""
        waiting = self._scale.messages
        last = self._health()["batch"]
        with closing(HttpStream("The gateway", self._options, "shard/0")) as stream, ThreadPoolExecutor(1) as other:
            sending = None
            for batch in stream.batches(last):
                if sending is None:  # connected
                    sending = other.submit(self._tell, do="send", count=self._scale.messages)
                if batch is None:
                    continue
                self._shard.apply(batch)
                waiting -= sum(not isinstance(event, ClockMark) for event in batch.events)
                if waiting <= 0:
                    break
            ended = time.time()
            assert sending is not None
            began: float = sending.result()["began"]
        return ended - began

    def _latency(self, port: int, step: Step) -> dict[str, Any]:
        bare, through = list[float](), list[float]()
        for number in range(_ROUNDS):
            step(f"latency, round {number + 1} of {_ROUNDS}")
            bare += self._paced(self._bare_lines(port))
            through += self._paced(self._gateway_lines())
        spread = {"p50": 0.5, "p99": 0.99}
        by = {name: (percentile(bare, share), percentile(through, share)) for name, share in spread.items()}
        return {
            "added_latency_ms": {name: rounded(after - before) for name, (before, after) in by.items()},
            "bare_latency_ms": {name: rounded(before) for name, (before, _) in by.items()},
        }

    def _paced(self, arrivals: Iterator[tuple[float, bytes] | None]) -> list[float]:
        """Returns the milliseconds from sending to arrival of each quote. `arrivals` yields None when it is connected,
        then lines with the time at which they were there."""
        with ThreadPoolExecutor(1) as other, closing(arrivals):  # type: ignore[type-var]
            next(arrivals)
            pacing = other.submit(self._tell, do="pace", count=self._scale.paced, rate=RATE)
            taken = list[tuple[float, bytes]]()
            missing = self._scale.paced
            for arrival in arrivals:
                assert arrival is not None
                taken.append(arrival)
                missing -= arrival[1].count(b'"EURUSD"')
                if missing <= 0:
                    break
            pacing.result()
        return [(at - sent) * 1000 for at, line in taken for sent in sent_times(line)]

    def _bare_lines(self, port: int) -> Iterator[tuple[float, bytes] | None]:
        with _connection(port) as connection:
            connection.sendall(b'{"do":"stream","after":null}\n')
            rest = b""
            while chunk := connection.recv(1 << 16):
                now = time.time()
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    yield None if line + b"\n" == LIVE else (now, line)

    def _gateway_lines(self) -> Iterator[tuple[float, bytes] | None]:
        query = {"after": self._health()["batch"], "reader": "bench"}
        with httpx.Client(**self._options) as client, client.stream("GET", "/venue/stream", params=query) as answer:
            answer.raise_for_status()
            yield None
            rest = b""
            for chunk in answer.iter_raw():
                now = time.time()
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    yield now, line

    def _check(self, gateway: subprocess.Popen[bytes]) -> None:
        """Raises RuntimeError when the gateway has left something out: its figures would mean nothing."""
        health = self._health()
        wrong = {name: health["counts"][name] for name in _NONE}
        if any(wrong.values()) or gateway.poll() is not None:
            raise RuntimeError(f"The gateway has not told everything: {wrong}, {health['unreadable']}.")


def sent_times(line: bytes) -> list[float]:
    """Returns when the quotes of a line of the venue, or of a batch, were sent: seconds since 1970."""
    if not line:
        return []
    data = json.loads(line)
    if "events" in data:
        return [datetime.fromisoformat(each["at"]).timestamp() for each in data["events"] if each["kind"] == "tick"]
    return [data["us"] / 1e6]


@contextmanager
def _process(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    argv = launch_argv(command, user=None, death_signal=signal.SIGKILL)
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def _line(process: subprocess.Popen[bytes]) -> bytes:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError("A process of the benchmark has ended.")
    return line


@contextmanager
def _connection(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=_TIMEOUT) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield connection
