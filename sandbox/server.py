"""The sandbox's HTTP server: platform, market control, payment provider, and their background tasks."""

import asyncio
import hmac
import logging
import os
import signal
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from typing import Final, Literal

import uvicorn
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from domain.errors import BadInput, PropOSError, RefusedForGood
from ports.platform import GapInStream
from sandbox.config import SandboxConfig
from sandbox.feed import Feed, Recording, recorded_dates
from sandbox.instants import to_us
from sandbox.journal import Journal, Row
from sandbox.market import SimulatedMarket
from sandbox.model import PriceModel
from sandbox.provider import Provider
from sandbox.provider_routes import provider_router
from sandbox.symbols import symbol_specs
from sandbox.tape import Tape
from sandbox.traders import TraderDesk
from sandbox.venue import Venue
from sandbox.venue_routes import venue_router
from sandbox.webhooks import WebhookSender

__all__ = ["SandboxConfig", "create_app", "run"]

_log: Final = logging.getLogger(__name__)
_OPEN_PATHS: Final = ("/pay/", "/health")


def create_app(config: SandboxConfig) -> FastAPI:
    """Returns the sandbox application.

    Continues from the journal in the data folder, if there is one. Once the market went live, the recording is not
    read. Raises PriceFileInvalid for a wrong price file, BadInput for settings that do not fit the journal.
    """
    specs = symbol_specs(config.symbols)
    journal = Journal(config.data_dir)
    try:
        went_live = bool((journal.get("state", "market") or {}).get("went_live"))
        feed, start_us = _model(config) if went_live or config.market_dir is None else _recording(config)
        _check_same_settings(journal, config)
    except PropOSError:
        journal.close()
        raise
    mode: Literal["lockstep", "live"] = "lockstep" if config.lockstep and not went_live else "live"
    venue, tape, provider = Venue(specs), Tape(config.symbols), Provider(config.base_url)
    market = SimulatedMarket(
        feed, journal, venue, tape, TraderDesk(venue, tape), provider, start_us, mode, config.readers
    )
    sender = WebhookSender(provider, config.webhook_url, config.webhook_secret, market.commit)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        speed = None if market.went_live else config.speed
        tasks = [asyncio.create_task(sender.run()), asyncio.create_task(market.run_live(speed))]
        for task in tasks:
            task.add_done_callback(_stop_if_failed)
        yield
        market.stop()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        journal.close()

    app = FastAPI(title="PropOS sandbox", lifespan=lifespan, openapi_url=None)
    app.state.market = market
    app.include_router(venue_router(market, config.seed))
    app.include_router(provider_router(market))
    app.add_exception_handler(PropOSError, _problem)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(GapInStream, _gap)
    app.add_middleware(_BearerAuth, token=config.token)
    return app


def run(config: SandboxConfig) -> None:
    """Serve until a signal stops it."""
    app = create_app(config)
    market: SimulatedMarket = app.state.market
    server = _Server(
        uvicorn.Config(
            app,
            host=config.host,
            port=config.port,
            log_level="warning",
            access_log=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=2,
        ),
        market,
    )
    server.run()


class _Server(uvicorn.Server):
    """Ends open streams before it waits for connections to close: they would never close by themselves."""

    def __init__(self, config: uvicorn.Config, market: SimulatedMarket) -> None:
        super().__init__(config)
        self._market = market

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._market.stop()
        await super().shutdown()


def _stop_if_failed(task: asyncio.Task[None]) -> None:
    """Stop the sandbox when a background task fails: without market or webhooks it must not look healthy."""
    if not task.cancelled() and task.exception() is not None:
        _log.error("the sandbox stops: %s", task.exception(), exc_info=task.exception())
        os.kill(os.getpid(), signal.SIGTERM)


def _model(config: SandboxConfig) -> tuple[Feed, int]:
    """Returns the price model, and the market time at which a new sandbox begins: now."""
    start_us = time.time_ns() // 1000
    return PriceModel(config.seed, config.symbols, start_us), start_us


def _recording(config: SandboxConfig) -> tuple[Feed, int]:
    """Returns the recording, and the market time at which a new sandbox begins."""
    assert config.market_dir is not None
    dates = [config.date] if config.date else recorded_dates(config.market_dir, config.symbols)
    recording = Recording.load(config.market_dir, config.symbols, dates)
    start = config.start or _midnight(dates[0])
    if to_us(start) > recording.starts_at:
        raise BadInput(
            f"The start {start.isoformat()} lies after the first quote.",
            field="start",
            remedy="Start at or before the first quote of the recording.",
        )
    return recording, to_us(start)


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _check_same_settings(journal: Journal, config: SandboxConfig) -> None:
    """Raises BadInput when the data folder belongs to a market with other settings."""
    value = config.model_dump_json(include={"seed", "symbols", "date", "start"})
    value = value[:-1] + f',"recorded":{"true" if config.market_dir else "false"}}}'
    known = journal.texts("state", "identity")
    if known and known != [value]:
        raise BadInput(
            f"The folder {config.data_dir} holds a sandbox with other settings ({known[0]}).",
            field="data_dir",
            remedy="Use the same seed, symbols, date and start, or an empty folder.",
        )
    journal.write([Row("state", "identity", value)])


class _BearerAuth:
    """Refuses requests without the token, except for the checkout page and the health check."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app, self._expected = app, f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not scope["path"].startswith(_OPEN_PATHS):
            given = dict(scope["headers"]).get(b"authorization", b"")
            if not hmac.compare_digest(given, self._expected):
                await problem("not-signed-in", "This needs the sandbox's token.", 401)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def problem(
    type: str, detail: str, status: int, field: str | None = None, remedy: str | None = None, **more: str
) -> JSONResponse:
    """Returns an answer as problem+json."""
    title = type.replace("-", " ").capitalize()
    body = {"type": type, "title": title, "detail": detail, "field": field, "remedy": remedy, **more}
    return JSONResponse(body, status, media_type="application/problem+json")


async def _problem(_: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, PropOSError)
    spent = {"key": exc.key} if isinstance(exc, RefusedForGood) else {}
    return problem(exc.type, exc.message, exc.status, exc.field, exc.remedy, **spent)


async def _invalid(_: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, RequestValidationError)
    first = exc.errors()[0]
    field = ".".join(str(part) for part in first["loc"][1:]) or "body"
    return problem("bad-input", f"{field}: {first['msg']}.", 422, field, "Correct this field and send it again.")


async def _gap(_: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, GapInStream)
    return JSONResponse({"type": "gap-in-stream", "detail": str(exc), "first": exc.first}, 410)
