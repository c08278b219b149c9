"""Settings -> adapters -> processes. Adapters are found by entry point, so that a new one plugs in without a change."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import EntryPoint, entry_points

from fastapi import FastAPI
from temporalio.client import Client

from activities.deps import Deps
from adapters.calendars import known_venues
from adapters.calendars.exchange import ExchangeCalendars
from api.app import create_app
from domain.errors import BadInput
from front.deps import ApiDeps
from ports.payments import PaymentProvider
from ports.platform import TradingPlatform
from relay.service import Relay
from relay.temporal import SharedClient, connect
from settings import Settings
from store.crypto import FieldKeys, install
from store.db import Database


def _adapter(group: str, name: str, variable: str) -> EntryPoint:
    found = {point.name: point for point in entry_points(group=group)}
    if name not in found:
        known = ", ".join(sorted(found)) or "none"
        raise BadInput(f"There is no adapter {name!r} in {group}; installed: {known}.", field=variable)
    return found[name]


def build_platform(settings: Settings) -> TradingPlatform:
    """The adapter that PROPOS_PLATFORM names, of the entry points `propos.platforms`; raises BadInput."""
    factory = _adapter("propos.platforms", settings.platform, "PROPOS_PLATFORM").load()
    platform: TradingPlatform = factory(url=settings.sandbox_url, token=settings.required("sandbox_token"))
    return platform


def build_payments(settings: Settings) -> PaymentProvider:
    """The adapter that PROPOS_PAYMENTS names, of the entry points `propos.payments`; raises BadInput."""
    factory = _adapter("propos.payments", settings.payments, "PROPOS_PAYMENTS").load()
    payments: PaymentProvider = factory(
        url=settings.sandbox_url,
        token=settings.required("sandbox_token"),
        webhook_secret=settings.required("webhook_secret"),
    )
    return payments


def build_database(settings: Settings, *, pool_size: int = 10) -> Database:
    """The process's pool; also installs the keys of encrypted columns. Connects on first use."""
    install(FieldKeys.parse(settings.required("payload_keys")))
    return Database(settings.required("database_url"), pool_size=pool_size)


async def temporal(settings: Settings) -> Client:
    """A connected client; raises Unavailable."""
    return await connect(
        settings.required("temporal_address"), settings.temporal_namespace, settings.required("payload_keys")
    )


@asynccontextmanager
async def dependencies(settings: Settings, *, pool_size: int = 10) -> AsyncIterator[Deps]:
    """Database and adapters of a process, closed at the end of the block."""
    deps = Deps(
        db=build_database(settings, pool_size=pool_size),
        platform=build_platform(settings),
        payments=build_payments(settings),
        calendars=ExchangeCalendars(),
    )
    try:
        yield deps
    finally:
        await deps.platform.aclose()
        await deps.payments.aclose()
        await deps.db.close()


def build_api(settings: Settings) -> FastAPI:
    """The API and console of this firm."""
    return create_app(
        ApiDeps(
            db=build_database(settings),
            temporal=SharedClient(lambda: temporal(settings)),
            payments=build_payments(settings),
            platform=settings.platform,
            public_url=settings.api_url,
            cookie_secure=settings.api_url.startswith("https://"),
            venues=known_venues,
        )
    )


async def run_relay(settings: Settings, stop: asyncio.Event) -> None:
    """Carry inbox and outbox until `stop`."""
    async with dependencies(settings) as deps:
        relay = Relay(deps.db, lambda: temporal(settings), deps.platform, deps.payments, settings.shards)
        await relay.run(stop)
