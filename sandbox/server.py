"""The sandbox's HTTP server: platform, market control, payment provider, bank, and their background tasks."""

import asyncio
import logging
import os
import signal
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from functools import partial
from typing import Final, Literal

import uvicorn
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from domain.errors import BadInput, PropOSError
from ports.platform import GapInStream
from ports.stream_http import PROBLEM, Acknowledgements, BearerAuth, gap_of, problem_of, problem_of_field
from sandbox.bank.bank import SandboxBank
from sandbox.bank.routes import bank_router
from sandbox.config import SETTLED_BY, SandboxConfig
from sandbox.feed import Feed, Recording, recorded_dates
from sandbox.instants import to_us
from sandbox.journal import Journal, Row
from sandbox.market import SimulatedMarket
from sandbox.model import PriceModel
from sandbox.neighbours import Neighbours, ProviderNeighbour
from sandbox.provider import Provider
from sandbox.provider_routes import provider_router
from sandbox.stripe.fake import FakeStripe
from sandbox.stripe.routes import stripe_router
from sandbox.stripe.webhooks import StripeWebhooks
from sandbox.symbols import symbol_specs
from sandbox.tape import Tape
from sandbox.traders import TraderDesk
from sandbox.venue import Venue
from sandbox.venue_routes import acknowledgements, venue_router
from sandbox.webhooks import ProviderWebhooks, WebhookSender

__all__ = ["SandboxConfig", "create_app", "run"]

_log: Final = logging.getLogger(__name__)
# What needs no token: the fake Stripe checks keys of its own, and people on the checkout page have none.
_STRIPE_PATHS: Final = ("/stripe/v1/", "/stripe/v2/", "/stripe/pay/", "/stripe/onboarding/", "/stripe/identity/")
_OPEN_PATHS: Final = ("/pay/", "/health", *_STRIPE_PATHS)


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
    stripe = FakeStripe(config.base_url, config.stripe_key, config.stripe_endpoints)
    desk = TraderDesk(venue, tape)
    bank = None if config.bank_dir is None else SandboxBank(config.bank_dir, config.bank_currencies)
    if bank is not None:
        stripe.state.to_bank = partial(_settle, bank)
    neighbours = Neighbours(ProviderNeighbour(provider), stripe, *([] if bank is None else [bank]))
    neighbours.start(start_us)
    market = SimulatedMarket(feed, journal, venue, tape, desk, provider, neighbours, start_us, mode, config.readers)
    stripe.commit = market.commit
    sources = (
        ProviderWebhooks(provider, config.webhook_url, config.webhook_secret),
        StripeWebhooks(stripe.state),
    )
    senders = [WebhookSender(source, market.commit) for source in sources]

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        speed = None if market.went_live else config.speed
        tasks = [asyncio.create_task(market.run_live(speed)), *(asyncio.create_task(each.run()) for each in senders)]
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
    app.include_router(stripe_router(stripe))
    if bank is not None:
        app.include_router(bank_router(market, bank))
    app.add_exception_handler(PropOSError, _problem)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(GapInStream, _gap)
    app.add_middleware(Acknowledgements, take=acknowledgements(market))
    app.add_middleware(BearerAuth, token=config.token, whose="sandbox", open_paths=_OPEN_PATHS)
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
            server_header=False,
            date_header=False,
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


def _settle(bank: SandboxBank, currency: str, amount: int, payout_id: str) -> None:
    """Money that the provider pays out to the firm's own bank comes in there, if the firm has an account for it."""
    if currency in bank.currencies:
        bank.credit(currency, amount, reference=payout_id, debtor=SETTLED_BY)


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


async def _problem(_: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, PropOSError)
    return JSONResponse(problem_of(exc), exc.status, media_type=PROBLEM)


async def _invalid(_: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, RequestValidationError)
    return JSONResponse(problem_of_field(exc.errors()), 422, media_type=PROBLEM)


async def _gap(_: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, GapInStream)
    return JSONResponse(gap_of(exc), 410)
