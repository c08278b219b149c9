"""cTrader as a firm runs it: settings as text, a gateway process, a shard's stream, a recording that is run again."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from adapters.ctrader.platform import CTraderPlatform
from cli.adapters import build_platforms
from cli.stack.probes import free_ports
from domain.errors import RefusedForGood, Unavailable
from ports.platform import Deal, Event, GapInStream, PlatformStream
from settings import load
from tests.contract.ctrader_fake import CTraderFake, ctrader_fake

PATIENCE = 120.0


class Shard:
    """Reads and acknowledges the stream in a thread, and opens it again when it breaks."""

    def __init__(self, open_stream: Callable[[], PlatformStream]) -> None:
        self.events: list[Event] = []
        self._open, self._after, self._stop = open_stream, 0, threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            stream = self._open()
            try:
                for batch in stream.batches(self._after):
                    if batch is not None:
                        self.events += batch.events
                        self._after = batch.number
                        stream.acknowledge(batch.number, batch.number)
                    if self._stop.is_set():
                        break
            except Unavailable:
                time.sleep(0.1)
            except GapInStream as gap:  # it has read nothing, and begins where the journal does
                assert not self._after
                self._after = gap.first - 1
            finally:
                stream.close()

    def deals(self) -> list[str]:
        return [event.deal_id for event in self.events if isinstance(event, Deal)]

    def close(self) -> None:
        self._stop.set()
        self._thread.join()


def until(come: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not come():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.05)


@contextmanager
def gateway_process() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-m", "cli.main", "gateway", "run", "seen"])
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=60)


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CTraderFake]:
    """The firm opens accounts on its sandbox, and watches one broker's accounts at cTrader."""
    for variable in [name for name in os.environ if name.startswith("PROPOS_") and name != "PROPOS_OPEN_PARENTS"]:
        monkeypatch.delenv(variable)
    with ctrader_fake(tmp_path / "fake") as running:
        settings = running.settings("grants.json")
        seen = {
            "ADAPTER": "ctrader",
            "HOST": settings.host,
            "PORT": str(settings.port),
            "CLIENT_ID": settings.client_id,
            "CLIENT_SECRET": settings.client_secret.get_secret_value(),
            "GRANTS_FILE": str(settings.grants_file),
            "CA_FILE": str(settings.ca_file),
            "GATEWAY": f"http://127.0.0.1:{free_ports(1)[0]}",
            "GATEWAY_TOKEN": "token-of-the-gateway",
        }
        for field, value in seen.items():
            monkeypatch.setenv(f"PROPOS_PLATFORMS__SEEN__{field}", value)
        monkeypatch.setenv("PROPOS_PLATFORMS__SANDBOX__ADAPTER", "sandbox")
        monkeypatch.setenv("PROPOS_SANDBOX_TOKEN", "of-the-sandbox")
        monkeypatch.setenv("PROPOS_DATA", str(tmp_path / "data"))
        yield running


def test_a_killed_gateway_goes_on_and_a_recording_says_the_same(fake: CTraderFake, tmp_path: Path) -> None:
    login = fake.account()
    fake.grant("grants.json", login)
    platforms = build_platforms(load())
    assert platforms.default == "sandbox", "no account can be opened at cTrader"
    platform = platforms.of("seen")
    assert isinstance(platform, CTraderPlatform)
    shard = Shard(platform.open_stream)
    try:
        with gateway_process() as gateway:
            until(lambda: fake.counts()["watched"])
            fake.order(login)
            until(lambda: len(shard.deals()) == 1)
            os.kill(gateway.pid, signal.SIGKILL)
            gateway.wait()
        kept = fake.order(login)["position"]
        with gateway_process():
            until(lambda: len(shard.deals()) == 2)
            stream = platform.open_stream()
            assert len(stream.snapshot(login).positions) == 2
            with pytest.raises(RefusedForGood) as refused:
                stream.lock(login, "acc_1/breach")
            assert refused.value.key == "acc_1/breach"
            assert fake.get(f"/accounts/{login}")["positions"] == []
            until(lambda: len(shard.deals()) == 4)
            fake.post(f"/accounts/{login}/rights", rights="NO_TRADING")
            stream.lock(login, "acc_1/breach")
            fake.post(f"/accounts/{login}/rights", rights="FULL_ACCESS")
            later = fake.order(login)["position"]
            stream.lock(login, "acc_1/breach")  # a late repeat
            assert fake.get(f"/accounts/{login}")["positions"] == [later] != [kept]
            until(lambda: len(shard.deals()) == 5)
            stream.close()
    finally:
        shard.close()
    assert len(set(shard.deals())) == 5, "a deal was told twice"
    (recording,) = (tmp_path / "data" / "gateway" / "seen").glob("raw-*.jsonl")
    command = [sys.executable, "-m", "cli.main", "gateway", "replay", str(recording), "--platform", "seen", "--json"]
    said = json.loads(subprocess.run(command, capture_output=True, check=True, timeout=240).stdout)
    assert said["events"]["deal"] == 5 and said["unreadable"] == []
    assert said["balances"] == {str(login): fake.get(f"/accounts/{login}")["balance"]}
