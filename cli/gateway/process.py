"""The gateway process of one platform: journal, recording, reader and HTTP server."""

import asyncio
from pathlib import Path
from urllib.parse import urlsplit

import uvicorn

from adapters.journals.embedded import EmbeddedJournal
from adapters.journals.redis_streams import RedisJournal
from adapters.platforms.http_stream import GatewaySettings
from cli.adapters import build_for_gateway
from cli.serving import QuietServer
from gateway.gateway import Gateway, GatewayConfig, gateway
from gateway.recording import Recording
from gateway.server import create_app
from ports.journal import Journal
from ports.platform import TradingPlatform
from ports.venue import VenueFeed
from settings import Settings


def folder_of(settings: Settings, name: str) -> Path:
    """Returns the folder of a gateway's journal and recordings."""
    return settings.data_dir / "gateway" / name


def open_journal(values: GatewaySettings, folder: Path, name: str) -> Journal:
    """Opens the journal that the settings of platform `name` ask for. Raises Unavailable."""
    url = values.gateway_journal.get_secret_value()
    return RedisJournal(url, name) if url else EmbeddedJournal(folder / "journal.sqlite3")


async def run_gateway(settings: Settings, name: str, stop: asyncio.Event) -> None:
    """Serves until `stop`. Raises Unavailable when the journal cannot be opened or cannot store, and BadInput when no
    platform of that name is read through a gateway."""
    platform, feed, values = build_for_gateway(settings, name)
    folder = folder_of(settings, name)
    journal = open_journal(values, folder, name)
    try:
        await serve(platform, feed, journal, Recording(folder, values.gateway_keep_days), values, stop)
    finally:
        await feed.aclose()
        await platform.aclose()


async def serve(
    platform: TradingPlatform,
    feed: VenueFeed,
    journal: Journal,
    recording: Recording,
    values: GatewaySettings,
    stop: asyncio.Event,
) -> None:
    config = GatewayConfig(wall_clock=values.gateway_wall_clock, reconcile_seconds=values.gateway_reconcile_seconds)
    async with gateway(platform, feed, journal, recording, config) as built:
        address = urlsplit(values.gateway)
        server = QuietServer(
            uvicorn.Config(
                create_app(built, values.gateway_token.get_secret_value()),
                host=address.hostname or "127.0.0.1",
                port=address.port or 80,
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=2,
            )
        )
        await _run_both(built, server, stop)


async def _run_both(built: Gateway, server: QuietServer, stop: asyncio.Event) -> None:
    """Runs reader and server until one ends or `stop` is set. What failed is raised."""
    reading, serving = asyncio.create_task(built.reader.run()), asyncio.create_task(server.serve())
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait((reading, serving, stopped), return_when=asyncio.FIRST_COMPLETED)
    built.hub.stop()
    server.should_exit = True
    await serving
    stopped.cancel()
    failed = reading.exception() if reading.done() and not reading.cancelled() else None
    reading.cancel()
    await asyncio.wait((reading,))
    if failed is not None:
        raise failed
