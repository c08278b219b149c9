"""The fake Zammad over HTTP in a thread of the test, which sees into it."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import uvicorn

from adapters.zammad.config import ZammadSettings
from adapters.zammad.desk import ZammadDesk
from sandbox.zammad.server import SECRET, TOKEN, FakeZammad
from tests.contract.sandbox_process import free_port


@dataclass
class ZammadThread:
    fake: FakeZammad
    url: str

    def desk(self, **other: object) -> ZammadDesk:
        """`other`: settings of the adapter."""
        values = {"url": self.url, "token": TOKEN, "webhook_secret": SECRET, "timeout": 8.0, **other}
        return ZammadDesk("zammad", ZammadSettings.model_validate(values))


@contextmanager
def zammad_thread() -> Iterator[ZammadThread]:
    fake, port = FakeZammad(), free_port()
    server = uvicorn.Server(uvicorn.Config(fake.app, port=port, log_level="critical", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    try:
        yield ZammadThread(fake, f"http://127.0.0.1:{port}")
    finally:
        server.should_exit = True
        thread.join()
