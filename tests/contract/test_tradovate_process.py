"""The fake Tradovate runs as a process of its own."""

import subprocess
import sys
import time
from collections.abc import Iterator

import httpx
import pytest

from adapters.tradovate.platform import TradovatePlatform
from sandbox.tradovate.config import TradovateConfig
from tests.contract.platform_contract import new_key
from tests.contract.sandbox_process import free_port
from tests.contract.tradovate_thread import DESK, settings


@pytest.fixture
def config() -> Iterator[TradovateConfig]:
    config = TradovateConfig(port=free_port(), desk_token=DESK)
    command = [sys.executable, "-m", "sandbox.tradovate.server", config.model_dump_json()]
    process = subprocess.Popen(command)
    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                httpx.get(f"http://127.0.0.1:{config.port}/health", trust_env=False).raise_for_status()
                break
            except httpx.TransportError:
                assert process.poll() is None and time.monotonic() < deadline
                time.sleep(0.05)
        yield config
    finally:
        process.terminate()
        process.wait(timeout=30)


async def test_an_account_is_opened_in_another_process(config: TradovateConfig) -> None:
    platform = TradovatePlatform("futures", settings(config))
    assert "TEMPLATE1" in await platform.healthy()
    login = await platform.create_account(key=new_key(), group="g", currency="USD", leverage=1)
    assert not (await platform.snapshot(login)).trading_enabled
    await platform.aclose()
