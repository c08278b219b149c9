"""Settings -> adapters -> processes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from temporalio.client import Client

from activities.deps import Deps
from adapters.calendars import known_venues
from adapters.calendars.exchange import ExchangeCalendars
from api.app import create_app
from cli.adapters import build_payments, build_platforms
from contracts.drops import ReportDrop
from front.deps import ApiDeps
from relay.service import Relay
from relay.temporal import SharedClient, connect
from settings import Forever, Settings
from store.crypto import FieldKeys, install
from store.db import Database
from store.keeping import Policy


def build_database(settings: Settings, *, pool_size: int = 10) -> Database:
    """The process's pool; also installs the keys of encrypted columns. Connects on first use."""
    install(FieldKeys.parse(settings.required("payload_keys")))
    return Database(settings.required("database_url"), pool_size=pool_size)


async def temporal(settings: Settings, note: ReportDrop | None = None) -> Client:
    """A connected client; raises Unavailable. `note` hears of each payload that cannot be read."""
    return await connect(
        settings.required("temporal_address"), settings.temporal_namespace, settings.required("payload_keys"), note
    )


@asynccontextmanager
async def dependencies(settings: Settings, *, pool_size: int = 10) -> AsyncIterator[Deps]:
    """Database and adapters of a process, closed at the end of the block."""
    deps = Deps(
        db=build_database(settings, pool_size=pool_size),
        platforms=build_platforms(settings),
        payments=build_payments(settings),
        calendars=ExchangeCalendars(),
    )
    try:
        yield deps
    finally:
        await deps.platforms.aclose()
        await deps.payments.aclose()
        await deps.db.close()


def build_api(settings: Settings) -> FastAPI:
    """The API and console of this firm."""
    return create_app(
        ApiDeps(
            db=build_database(settings),
            temporal=SharedClient(lambda: temporal(settings)),
            payments=build_payments(settings),
            public_url=settings.api_url,
            cookie_secure=settings.api_url.startswith("https://"),
            venues=known_venues,
            calendars=ExchangeCalendars(),
        )
    )


async def run_relay(settings: Settings, stop: asyncio.Event) -> None:
    """Carry inbox and outbox until `stop`."""
    async with dependencies(settings) as deps:
        relay = Relay(
            deps.db,
            lambda: temporal(settings),
            deps.platforms,
            deps.payments,
            settings.shards,
            keeping_policy(settings),
        )
        await relay.run(stop)


def keeping_policy(settings: Settings) -> Policy:
    """How long the rows of each growing table are kept."""

    def days(setting: int | Forever) -> int | None:
        return None if setting == "forever" else setting

    return Policy(
        minute_bars=days(settings.keep_minute_bars_days),
        hour_bars=days(settings.keep_hour_bars_days),
        deals=days(settings.keep_deals_days),
        snapshots=days(settings.keep_snapshots_days),
        inbox=days(settings.keep_inbox_days),
        outbox=days(settings.keep_outbox_days),
        idempotency_keys=days(settings.keep_idempotency_keys_days),
    )
