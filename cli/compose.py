"""Settings -> what several processes need: the record, Temporal, the adapters.

Each builder imports what it builds, so that a process or a command loads only what it runs. What one process alone is
made of is in `cli/run/` and `worker.py`.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from contracts.drops import ReportDrop
from ports.webhooks import WebhookRules
from settings import Settings
from settings_keeping import Forever
from store import db
from store.crypto import FieldKeys, install
from store.db import Database, Limits
from store.key_rotation import connection_name
from store.scope import FIRM, Scope

if TYPE_CHECKING:
    from temporalio.client import Client

    from activities.deps import Deps
    from store.keeping import Policy


def build_database(settings: Settings, *, pool_size: int = 10, scope: Scope = FIRM) -> Database:
    """The process's pool; also installs the keys of encrypted columns. Connects on first use. `scope`: of transactions
    that belong to no request."""
    keys = field_keys(settings)
    install(keys)
    limit_connections(settings)
    return Database(settings.required("database_url"), pool_size=pool_size, name=connection_name(keys), scope=scope)


def limit_connections(settings: Settings) -> None:
    """Has the connections of this process keep the limits of the settings."""
    db.install(
        Limits(
            statement=settings.statement_timeout_seconds,
            lock=settings.lock_timeout_seconds,
            idle_in_transaction=settings.idle_transaction_timeout_seconds,
            transaction=settings.transaction_timeout_seconds,
        )
    )


def field_keys(settings: Settings) -> FieldKeys:
    """Returns the keys of encrypted columns, blind indexes and digests. Raises BadInput."""
    return FieldKeys(dict(settings.payload_key_ring()), settings.digest_key_bytes())


async def temporal(settings: Settings, note: ReportDrop | None = None) -> "Client":
    """A connected client; raises Unavailable. `note` hears of each payload that cannot be read."""
    from cli.temporal_access import temporal_access
    from relay.temporal import connect

    return await connect(
        settings.required("temporal_address"),
        settings.temporal_namespace,
        settings.required("payload_keys"),
        note,
        temporal_access(settings),
    )


@asynccontextmanager
async def dependencies(settings: Settings, *, pool_size: int = 10) -> "AsyncIterator[Deps]":
    """Database and adapters of a process, closed at the end of the block."""
    from activities.deps import Deps
    from adapters.calendars.exchange import ExchangeCalendars
    from cli.adapters import build_payments, build_platforms

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


def webhook_rules(settings: Settings) -> WebhookRules:
    """Where webhooks may be sent."""
    hosts = tuple(host.strip().lower() for host in (settings.webhook_hosts or "").split(",") if host.strip())
    return WebhookRules(hosts=hosts, loopback=settings.webhook_loopback)


def keeping_policy(settings: Settings) -> "Policy":
    """How long the rows of each growing table are kept."""
    from store.keeping import Policy

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
        identity_facts=days(settings.keep_identity_facts_days),
        exposure=days(settings.keep_exposure_days),
        events=days(settings.keep_events_days),
        sign_ins=days(settings.keep_sign_ins_days),
        mails=days(settings.keep_mails_days),
        notifications=days(settings.keep_notifications_days),
    )
