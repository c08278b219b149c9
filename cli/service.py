"""Runs a long-lived process: logs, a metrics port, and an orderly shutdown on SIGTERM or Ctrl-C."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import structlog
import uvicorn
from fastapi import FastAPI
from prometheus_client import start_http_server

from cli.stack import logs
from settings import Settings


def run_service(
    name: str, settings: Settings, main: Callable[[asyncio.Event], Awaitable[None]], metrics_port: int = 0
) -> None:
    """Runs `main(stop)` to its end. SIGTERM and Ctrl-C set `stop`. With `metrics_port` 0 no metrics are served."""
    logs.configure(name, settings.log_level)
    log = structlog.get_logger(name)
    try:
        asyncio.run(_until_stopped(name, settings, main, metrics_port))
    except Exception:
        log.exception("ended by an error")
        raise
    log.info("stopped")


async def _until_stopped(
    name: str, settings: Settings, main: Callable[[asyncio.Event], Awaitable[None]], metrics_port: int
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    if metrics_port:
        start_http_server(metrics_port, addr=settings.metrics_host)
    structlog.get_logger(name).info("started")
    await main(stop)


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
    server = _QuietServer(config)
    serving = asyncio.create_task(server.serve())
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait((serving, stopped), return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    server.should_exit = True
    await serving


class _QuietServer(uvicorn.Server):
    """A server that ignores signals: uvicorn would raise them again after its shutdown and interrupt ours."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
