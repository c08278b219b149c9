"""Serves HTTP until a process is told to stop."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from settings import Settings


async def serve_http(app: FastAPI, settings: Settings, stop: asyncio.Event) -> None:
    """Serves the API until `stop` is set; open requests get ten seconds to finish."""
    config = uvicorn.Config(
        app,
        host=settings.api_host,
        port=settings.api_port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=10,
    )
    server = QuietServer(config)
    serving = asyncio.create_task(server.serve())
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait((serving, stopped), return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    server.should_exit = True
    await serving


class QuietServer(uvicorn.Server):
    """A server that ignores signals: uvicorn would raise them again after its shutdown and interrupt ours."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
