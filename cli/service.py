"""Runs a long-lived process: logs, a metrics port, and an orderly shutdown on SIGTERM or Ctrl-C."""

import asyncio
import signal
from collections.abc import Awaitable, Callable

import structlog
import uvloop
from prometheus_client import start_http_server

from cli.stack import logs
from domain.errors import PropOSError
from settings import Settings


def run_service(
    name: str, settings: Settings, main: Callable[[asyncio.Event], Awaitable[None]], metrics_port: int = 0
) -> None:
    """Runs `main(stop)` to its end. SIGTERM and Ctrl-C set `stop`. With `metrics_port` 0 no metrics are served."""
    logs.configure(name, settings.log_level)
    log = structlog.get_logger(name)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_until_stopped(name, settings, main, metrics_port))
    except PropOSError as error:
        log.error("ended by an error", error=error.message)  # the command prints it with its remedy
        raise
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
