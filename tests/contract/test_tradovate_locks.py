"""Locks that shards send through the gateway keep the contract of platforms, against Tradovate's wire with faults."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import MappingProxyType

import pytest

from adapters.journals.embedded import EmbeddedJournal
from adapters.tradovate.plugin import PLUGIN
from adapters.tradovate.settings import TradovateSettings
from cli.gateway.process import serve
from domain.errors import Unavailable
from gateway.recording import Recording
from sandbox.tradovate.fake import FakeTradovate
from sandbox.tradovate.faults import Faults
from tests.contract.faults import pytest_generate_tests
from tests.contract.platform_contract import PlatformContract, PlatformWorld
from tests.contract.sandbox_process import free_port
from tests.contract.tradovate_thread import settings, tradovate_thread
from tests.contract.tradovate_world import PATHS, TradovateWorld

__all__ = ["pytest_generate_tests"]


class _Gateway:
    """Runs in a thread with a loop of its own. Its calls give up before a slow answer of the fake."""

    def __init__(self, values: TradovateSettings, folder: Path) -> None:
        self._values, self._folder = values, folder
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._run()))
        self._thread.start()

    async def _run(self) -> None:
        assert PLUGIN.feed is not None
        platform, feed = PLUGIN.build("futures", self._values), PLUGIN.feed("futures", self._values)
        journal = EmbeddedJournal(self._folder / "journal.sqlite3")
        await serve(platform, feed, journal, Recording(self._folder, 7), self._values, self._stop)
        await feed.aclose()
        await platform.aclose()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._loop.close()


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeTradovate]:
    with tradovate_thread(heartbeat=0.2) as running:
        yield running


@pytest.fixture(scope="module")
def gateway_address(fake: FakeTradovate, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    values = settings(fake.config, gateway=f"http://127.0.0.1:{free_port()}", timeout="4")
    running = _Gateway(values, tmp_path_factory.mktemp("gateway"))
    stream = PLUGIN.build("futures", values).open_stream()
    deadline = time.monotonic() + 120
    while True:
        try:
            stream.symbols()
            break
        except Unavailable:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    stream.close()
    yield values.gateway
    running.stop()


class TestLocksThroughTheGateway(PlatformContract):
    calls = tuple(call for call in PATHS if call.startswith("stream."))
    reads = ()
    impossible = MappingProxyType(
        {
            "in use": "the venue knows no keys, so none is in use",
            "refused": "the venue knows no keys, so it refuses none for ever",
        }
    )

    @pytest.fixture
    async def world(self, fake: FakeTradovate, gateway_address: str) -> AsyncIterator[PlatformWorld]:
        world = TradovateWorld(fake, gateway=gateway_address)
        yield world
        fake.set_faults(Faults())
        await world.aclose()
