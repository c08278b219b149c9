"""A sandbox over HTTP in a thread of the test, which sees into it, and a proxy before it."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from sandbox.config import SandboxConfig
from sandbox.market import SimulatedMarket
from sandbox.server import create_app
from tests.contract.faults import SANDBOX, FaultProxy
from tests.contract.sandbox_process import SECRET, TOKEN, free_port, waves, write_recording


@dataclass
class SandboxThread:
    market: SimulatedMarket
    proxy: FaultProxy

    @property
    def url(self) -> str:
        """Through the proxy."""
        return self.proxy.url


@contextmanager
def sandbox_thread(folder: Path) -> Iterator[SandboxThread]:
    """In lockstep, with nobody who moves its time."""
    write_recording(folder / "prices", "EURUSD", waves(1, 110_000, 300, 10, 5))
    config = SandboxConfig(
        data_dir=folder / "data",
        port=free_port(),
        token=TOKEN,
        webhook_secret=SECRET,
        market_dir=folder / "prices",
        symbols=("EURUSD",),
    )
    app = create_app(config)
    server = uvicorn.Server(uvicorn.Config(app, port=config.port, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    proxy = FaultProxy(f"http://127.0.0.1:{config.port}", SANDBOX)
    try:
        yield SandboxThread(app.state.market, proxy)
    finally:
        proxy.close()
        server.should_exit = True
        thread.join()
