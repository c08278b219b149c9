"""A served console with a browser, for the tests of pages."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import uvicorn
from playwright.async_api import async_playwright

from cli.stack.probes import free_ports
from tests.browser_stage import Stage
from tests.console_world import console_world, feed_heard


@pytest.fixture
async def stage(database_url: str, chromium_path: str) -> AsyncIterator[Stage]:
    (port,) = free_ports(1)
    async with console_world(database_url) as world, async_playwright() as playwright:
        server = uvicorn.Server(uvicorn.Config(world.app, port=port, log_level="warning", ws="none", lifespan="off"))
        serving = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.02)
        browser = await playwright.chromium.launch(executable_path=chromium_path, args=["--headless", "--no-sandbox"])
        made = Stage(world, browser, f"http://127.0.0.1:{port}")
        await feed_heard(world, timedelta(0))
        yield made
        await browser.close()
        server.should_exit = True
        await serving
        assert made.problems == []
