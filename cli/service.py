"""What every long-running process has in common: logs, a metrics port, and an orderly end on SIGTERM or Ctrl-C."""

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
    """Run `main(stop)` to its end; `stop` is set by SIGTERM or Ctrl-C. `metrics_port` 0 serves no metrics."""
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
    """Serve the API until `stop` is set; requests under way get ten seconds to finish."""
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
    """Leaves the signals to us: uvicorn would raise them again after its shutdown and cut ours short."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
