"""The rail of the simulated provider keeps the contract of rails."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import uvicorn

from adapters.payments.sandbox import SandboxPayments
from ports.rail import Beneficiary
from sandbox.config import SandboxConfig
from sandbox.instants import HOUR
from sandbox.market import SimulatedMarket
from sandbox.provider import Faults
from sandbox.server import create_app
from tests.contract.rail_contract import Fault, RailContract, RailWorld, order_for
from tests.contract.sandbox_process import SECRET, TOKEN, free_port, waves, write_recording


class SandboxRailWorld(RailWorld):
    def __init__(self, url: str, market: SimulatedMarket) -> None:
        self._url, self._provider = url, market.provider
        self.rail = SandboxPayments(url=url, token=TOKEN, webhook_secret=SECRET)

    def payable(self, number: int) -> Beneficiary:
        return Beneficiary(account=f"IBAN-{number}", name="Ada Lovelace")

    def returning(self) -> Beneficiary:
        return Beneficiary(account="closed-account", name="Ada Lovelace")

    def refused(self) -> Beneficiary:
        return Beneficiary(account="unknown-account", name="Ada Lovelace")

    def malformed(self) -> Beneficiary | None:
        return None

    @contextmanager
    def fault(self, fault: Fault) -> Iterator[None]:
        if fault == "in progress":
            with self._first_call_held():
                yield
            return
        self._faults(**{"retry later": {"unavailable": 2}, "unknown, done": {"timeout_after_effect": 1}}[fault])
        yield
        self._faults()

    @contextmanager
    def _first_call_held(self) -> Iterator[None]:
        self._faults(hold_transfers=True)
        first = threading.Thread(target=lambda: asyncio.run(self._send()))
        first.start()
        while not self._provider._under_way:
            time.sleep(0.02)
        try:
            yield
        finally:
            self._faults()
            first.join()

    async def _send(self) -> None:
        rail = SandboxPayments(url=self._url, token=TOKEN, webhook_secret=SECRET, timeout=60)
        await rail.create_transfer(order_for(self, 1))
        await rail.aclose()

    def _faults(self, **faults: Any) -> None:
        self._provider.faults = Faults(**faults)

    async def pass_time(self) -> None:
        self._provider.advance(self._provider.now_us + 4 * HOUR)

    def arrived(self) -> list[tuple[str, int]]:
        sent = [each.object_id for each in self._provider.entries if each.kind == "transfer"]
        transfers = [self._provider.transfer(transfer_id) for transfer_id in sent]
        return [(each.key, each.amount_minor) for each in transfers if each.status == "paid"]


class TestSandboxRail(RailContract):
    impossible = MappingProxyType(
        {"unknown, not done": "the simulated provider refuses before the effect or loses its answer after it"}
    )

    @pytest.fixture
    async def world(self, tmp_path: Path) -> AsyncIterator[RailWorld]:
        """The provider over HTTP, in a thread: the test moves its clock without the market's ticks."""
        write_recording(tmp_path / "prices", "EURUSD", waves(1, 110_000, 300, 10, 5))
        port = free_port()
        config = SandboxConfig(
            data_dir=tmp_path / "data",
            port=port,
            token=TOKEN,
            webhook_secret=SECRET,
            market_dir=tmp_path / "prices",
            symbols=("EURUSD",),
        )
        app = create_app(config)
        server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning"))
        thread = threading.Thread(target=server.run)
        thread.start()
        while not server.started:
            await asyncio.sleep(0.02)
        world = SandboxRailWorld(f"http://127.0.0.1:{port}", app.state.market)
        yield world
        await world.rail.aclose()
        server.should_exit = True
        await asyncio.to_thread(thread.join)
