"""From the bytes of each adapter's wire to a shard that has judged them."""

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import httpx

from adapters.own_http import options
from adapters.platforms.http_stream import HttpStream
from cli.bench.columns import Step
from cli.bench.firm import loaded
from cli.bench.gateway_process import TOKEN, Plan
from cli.bench.wires.feed import END
from cli.bench.wires.recorded import Header, read
from cli.bench.wires.recorder import record
from cli.chaos.venue.command import KINDS
from cli.chaos.venue.firm import PHASE, product_of_chaos
from cli.chaos.venue.kinds import platform_of
from cli.stack.probes import free_ports
from cli.stack.processes import launch_argv
from domain.errors import BadInput
from domain.products.phase_terms import phase_terms
from domain.rules.marking import Instrument, Position
from domain.rules.state import fresh
from monitor.loaded import Loaded
from monitor.shard import Shard
from ports.platform import AccountSnapshot, ClockMark, SymbolHalt, SymbolSpec

_TIMEOUT: Final = 600.0


@dataclass(frozen=True, slots=True)
class WireScale:
    """`messages`: recorded of each wire, unless `longest` seconds have passed."""

    adapters: Sequence[str]
    accounts: int = 50
    messages: int = 20_000
    longest: float = 30.0


def wire_scale(adapters: str, messages: int) -> WireScale:
    """`adapters`: names, separated by commas. Raises BadInput."""
    names = [name for name in adapters.split(",") if name]
    unknown = [name for name in names if name not in KINDS]
    if unknown:
        known = ",".join(KINDS)
        raise BadInput(f"No wire of {unknown[0]!r} can be recorded.", field="--adapters", remedy=f"Choose {known}.")
    return WireScale(names, messages=messages)


def measure(scale: WireScale, folder: Path, step: Step) -> dict[str, dict[str, float]]:
    """Returns the figures of each adapter."""
    figures = {}
    for name in scale.adapters:
        step(f"{name}: recording its wire")
        own = folder / name
        recording = record(KINDS[name], scale.accounts, scale.messages, scale.longest, own)
        path = asyncio.run(recording)
        step(f"{name}: from its bytes to judged")
        figures[name] = _play(path, own)
    return figures


def _play(path: Path, folder: Path) -> dict[str, float]:
    header, _, live = read(path)
    [port] = free_ports(1)
    shard = _shard(header)
    player = _start(["cli.bench.wires.player", str(path)])
    try:
        plan = Plan(folder=folder, journal="", venue_port=int(_line(player)), gateway_port=port, wire=path)
        file = folder / "plan.json"
        file.write_text(plan.model_dump_json())
        gateway = _start(["cli.bench.gateway_process", str(file)])
        try:
            settings = options(f"http://127.0.0.1:{port}", TOKEN, _TIMEOUT)
            last = _caught_up(settings, header)
            seconds, events = _judge(shard, HttpStream("The gateway", settings, "shard/0"), player, last)
        finally:
            gateway.kill()
            gateway.wait()
    finally:
        player.kill()
        player.wait()
    return {
        "messages": header.live,
        "raw_to_judged_per_second": round(header.live / seconds),
        "events_per_second": round(events / seconds),
        "mb_per_second": round(len(live) / seconds / 1e6, 2),
    }


def _judge(shard: Shard, stream: HttpStream, player: "subprocess.Popen[bytes]", last: int) -> tuple[float, int]:
    """Returns the seconds from the first byte until the last event is judged, and the number of events."""
    began, events = None, 0
    with closing(stream):
        for batch in stream.batches(last):
            if began is None:  # connected
                assert player.stdin is not None
                player.stdin.write(b"\n")
                player.stdin.flush()
                began = float(_line(player))
            if batch is None:
                continue
            shard.apply(batch)
            events += sum(not isinstance(event, ClockMark) for event in batch.events)
            if any(isinstance(event, SymbolHalt) and event.symbol == END for event in batch.events):
                return time.time() - began, events
    raise RuntimeError("The stream of the benchmark has ended.")


def _caught_up(settings: Mapping[str, Any], header: Header) -> int:
    """Returns the last batch once the gateway has read every account."""
    until = time.monotonic() + _TIMEOUT
    while time.monotonic() < until:
        with httpx.Client(**settings) as client:
            try:
                health = client.get("/health").json()
            except httpx.HTTPError:
                health = {}
        if health.get("caught_up") and health["accounts"] == len(header.accounts):
            return int(health["batch"])
        time.sleep(0.05)
    raise RuntimeError("The gateway of the benchmark has not read its accounts.")


class _Accounts:
    """An AccountSource of the accounts of a recording."""

    def __init__(self, header: Header) -> None:
        product = product_of_chaos()
        self._terms = phase_terms(product, PHASE)
        self._marks = platform_of(KINDS[header.adapter], header.fields).marks("bench")
        accounts = [AccountSnapshot.model_validate(each) for each in header.accounts]
        self._accounts = {account.login: account for account in accounts}

    def load(self, login: int) -> Loaded | None:
        found = self._accounts.get(login)
        if found is None:
            return None
        positions = tuple(
            Position(each.position_id, each.symbol, each.side, each.lots, each.open_price, each.opened_at)
            for each in found.positions
        )
        made = loaded(login, self._terms, fresh(self._terms.specs), found.balance_minor, positions)
        return replace(made, marks=self._marks)


def _shard(header: Header) -> Shard:
    specs = [SymbolSpec.model_validate(each) for each in header.specs]
    instruments = {each.symbol: Instrument(each.symbol, each.contract_size, each.quote_currency) for each in specs}
    source, now = _Accounts(header), datetime.now(UTC)
    shard = Shard(source, lambda: instruments, now=now)
    for account in header.accounts:
        found = source.load(int(account["login"]))
        assert found is not None
        shard.admission.admit(found, now)
    return shard


def _start(words: list[str]) -> "subprocess.Popen[bytes]":
    argv = launch_argv([sys.executable, "-m", *words], user=None, death_signal=signal.SIGKILL)
    return subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def _line(process: "subprocess.Popen[bytes]") -> bytes:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError("A process of the benchmark has ended.")
    return line
