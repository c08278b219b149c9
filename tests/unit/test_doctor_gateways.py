"""What `propos doctor` says about a gateway."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
import uvicorn

from cli import adapters
from cli.doctor.checks import _gateways
from cli.doctor.context import Context, Skipped
from cli.doctor.gateways import line_of
from cli.stack.probes import free_ports
from domain.errors import Unavailable
from gateway.gateway import Gateway, Status
from gateway.server import create_app
from settings import load

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
WELL: dict[str, Any] = {
    "connected": True,
    "caught_up": True,
    "trouble": "",
    "last_message_at": (NOW - timedelta(seconds=2)).isoformat(),
    "batch": 60_000,
    "readers": {"shard/0": 59_990, "shard/1": 59_000},
}


def test_a_gateway_that_is_well_has_no_remedy() -> None:
    line = line_of("live", WELL, NOW)
    assert line.said == "live: last message 2 s ago, readers up to 1000 batches behind; connected and caught up"
    assert line.remedy == ""
    assert line_of("live", WELL | {"readers": {}}, NOW).remedy == ""


@pytest.mark.parametrize(
    ("change", "said", "remedy"),
    [
        ({"connected": False, "trouble": "Wrong password."}, "not connected: Wrong password.", "tried again"),
        ({"connected": False}, "not connected: it is starting", "tried again"),
        ({"caught_up": False}, "catching up", "propos gateway status live"),
        ({"last_message_at": (NOW - timedelta(seconds=31)).isoformat()}, "last message 31 s ago", "restart"),
        ({"last_message_at": None}, "no message yet", "restart"),
        ({"readers": {"shard/0": 59_990, "shard/1": 9_999}}, "shard/1 does not follow", "monitor"),
    ],
)
def test_what_is_wrong_is_said_with_its_remedy(change: dict[str, Any], said: str, remedy: str) -> None:
    line = line_of("live", WELL | change, NOW)
    assert said in line.said and remedy in line.remedy


class _Stub:
    """A gateway that only says how it is."""

    hub = sequencer = locks = None

    def __init__(self, caught_up: bool) -> None:
        self._said = Status(
            platform="live", market_time=NOW, unreadable=[], counts={}, accounts=1, clock_lag_ms=None,
            **{**WELL, "caught_up": caught_up, "last_message_at": datetime.now(UTC)},
        )  # fmt: skip

    def status(self) -> Status:
        return self._said


async def test_the_doctor_asks_every_gateway_that_is_configured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    [first, second, nobody] = free_ports(3)
    servers = []
    for port, caught_up in ((first, True), (second, False)):
        app = create_app(cast(Gateway, _Stub(caught_up)), "token")
        server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning", lifespan="off"))
        servers.append((server, asyncio.create_task(server.serve())))
        while not server.started:
            await asyncio.sleep(0.01)
    ports = {"one": first, "two": second, "three": nobody}
    addresses = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
    monkeypatch.setattr(adapters, "gateways", lambda settings: dict(addresses))
    context = Context(load(data_dir=tmp_path), running=False)
    with pytest.raises(Unavailable) as wrong:
        await _gateways(context)
    assert [line.partition(":")[0] for line in wrong.value.message.splitlines()] == ["one", "three", "two"]
    assert str(wrong.value.remedy).splitlines() == [
        "Start it with: propos gateway run three",
        "Wait, and look again with: propos gateway status two",
    ]
    del addresses["two"], addresses["three"]
    assert (await _gateways(context)).startswith("one: last message")
    addresses.clear()
    with pytest.raises(Skipped):
        await _gateways(context)
    for server, task in servers:
        server.should_exit = True
        await task
