"""A real sandbox server in its own process, on a made-up recording, with a reader that acknowledges."""

import os
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

import httpx

from adapters.platforms.sandbox import SandboxPlatform
from cli.stack.probes import free_ports
from ports.platform import Batch, Event
from sandbox.config import SandboxConfig

TOKEN, SECRET = "contract-token", "contract-secret"
DAY = date(2024, 1, 5)
_SERVE = (
    "import sys; from sandbox.server import SandboxConfig, run; run(SandboxConfig.model_validate_json(sys.argv[1]))"
)


def at(hour: int, minute: int = 0, second: int = 0) -> datetime:
    return datetime(DAY.year, DAY.month, DAY.day, hour, minute, second, tzinfo=UTC)


def write_recording(folder: Path, symbol: str, lines: list[str], day: date = DAY) -> Path:
    """One tick file in the form in which recordings come."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"forex__test__tick__{symbol.lower()}__{day:%Y%m%d}_quote.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{day:%Y%m%d}_{symbol.lower()}_tick_quote.csv", "\n".join(lines))
    return path


def waves(minutes: int, start: int, swing: int, spread: int, digits: int) -> list[str]:
    """A tick each second that climbs and falls by `swing` points every ten minutes."""
    lines = []
    for second in range(minutes * 60):
        phase = second % 600
        points = start + swing * (phase if phase < 300 else 600 - phase) // 300
        bid, ask = (f"{p // 10**digits}.{p % 10**digits:0{digits}d}" for p in (points, points + spread))
        lines.append(f"{second * 1000},{bid},{ask}")
    return lines


_LATELY: Final = deque[int](maxlen=500)


def free_port() -> int:
    """A port of this worker's own. One that was given a moment ago may not be bound yet: it is not given again."""
    while (port := free_ports(1)[0]) in _LATELY:
        continue
    _LATELY.append(port)
    return port


class SandboxProcess:
    """Start, kill and ask one sandbox; the data folder outlives the process."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.config = SandboxConfig.model_validate(
            {"data_dir": folder / "data", "port": free_port(), "token": TOKEN, "webhook_secret": SECRET, **settings}
        )
        self.url = f"http://127.0.0.1:{self.config.port}"
        self.http = httpx.Client(
            base_url=self.url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=240, trust_env=False
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen([sys.executable, "-c", _SERVE, self.config.model_dump_json()])
        deadline = time.monotonic() + 120
        while True:
            try:
                self.http.get("/health").raise_for_status()
                return
            except httpx.TransportError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def kill(self) -> None:
        """As `kill -9` does."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def stop(self) -> None:
        self.http.close()
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(timeout=60)

    def post(self, path: str, body: dict[str, Any]) -> httpx.Response:
        return self.http.post(path, json=body)

    def market(self) -> dict[str, Any]:
        answer: dict[str, Any] = self.http.get("/market").raise_for_status().json()
        return answer

    def advance(self, until: datetime) -> dict[str, Any]:
        """Advance with nobody else acknowledging: a reader does so meanwhile."""
        with reading(self, after=self.market()["acked"]):
            answer = self.post("/market/advance", {"until": until.isoformat()})
        assert answer.status_code == 200, answer.text
        result: dict[str, Any] = answer.json()
        return result

    def funded(self, reference: str, deposit_minor: int = 10_000_000, currency: str = "USD") -> int:
        """An enabled account with money."""
        body = {"key": f"{reference}/1", "group": "test/1", "currency": currency, "leverage": 100}
        login = int(self.post("/venue/accounts", body).raise_for_status().json()["login"])
        deposit = {"key": "first", "operation": "deposit", "amount_minor": deposit_minor}
        self.post(f"/venue/accounts/{login}/balance", deposit).raise_for_status()
        self.post(f"/venue/accounts/{login}/trading", {"key": "on", "enabled": True}).raise_for_status()
        return login

    def order(self, login: int, key: str, **order: Any) -> httpx.Response:
        return self.post(f"/venue/accounts/{login}/orders", {"key": key, **order})

    def all_batches(self) -> list[Batch]:
        """Every batch the venue still holds."""
        last, batches = self.market()["batch"], list[Batch]()
        if last == 0:
            return batches
        stream = SandboxPlatform(url=self.url, token=TOKEN).open_stream()
        for batch in stream.batches(0):
            if batch is not None:
                batches.append(batch)
                if batch.number == last:
                    break
        stream.close()
        return batches

    def all_events(self) -> list[Event]:
        return [event for batch in self.all_batches() for event in batch.events]


@contextmanager
def running_sandbox(folder: Path, **settings: Any) -> Iterator[SandboxProcess]:
    sandbox = SandboxProcess(folder, **settings)
    sandbox.start()
    try:
        yield sandbox
    finally:
        sandbox.stop()


@contextmanager
def reading(
    sandbox: SandboxProcess, after: int, stop_at: Callable[[Batch], bool] = lambda batch: False
) -> Iterator[threading.Thread]:
    """A reader thread that acknowledges each batch, and ends without an acknowledgement where `stop_at` says so."""
    stream = SandboxPlatform(url=sandbox.url, token=TOKEN).open_stream()
    done = threading.Event()

    def read() -> None:
        for batch in stream.batches(after):
            if batch is not None:
                if stop_at(batch):
                    return
                stream.acknowledge(batch.number, 0)
            if done.is_set():
                return

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield thread
    finally:
        done.set()
        thread.join(timeout=60)
        stream.close()
