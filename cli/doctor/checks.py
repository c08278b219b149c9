"""The checks of `propos doctor`, one per part, in dependency order.

A check returns what it found. It raises PropOSError with a remedy if something is wrong, and Skipped if it does not
apply.
"""

import asyncio
import os
import stat
import sys
from collections.abc import Collection
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit

from temporalio.api.enums.v1 import TaskQueueType

from cli import adapters
from cli.doctor import database, gateways, workers
from cli.doctor.context import START_REMEDY, Context, Examination, Skipped
from cli.stack import probes, supervisor
from cli.stack.embedded import postgres, temporal
from cli.stack.lock import holder
from contracts.ids import MONITOR_QUEUE
from domain.errors import PropOSError, Unavailable
from settings import adapter_variable

_SLOW_SECONDS: Final = 30
_FAILING: Final = 3  # failed rounds of a relay loop in a row
_LAG_SQL: Final = """
    SELECT coalesce(extract(epoch FROM clock_timestamp() - min(at)), 0)::float8, count(*) FROM (
        SELECT recorded_at AS at FROM outbox WHERE dispatched_at IS NULL AND parked_at IS NULL
           -- a mail server may say for hours that we try again later
           AND (topic NOT IN ('mail.send', 'mail.bulk') OR attempts = 0)
        UNION ALL
        SELECT received_at FROM inbox WHERE handled_at IS NULL AND parked_at IS NULL
    ) AS waiting
"""
_PARKED_SQL: Final = """
    SELECT (SELECT count(*) FROM outbox WHERE parked_at IS NOT NULL AND dispatched_at IS NULL)
         + (SELECT count(*) FROM inbox WHERE parked_at IS NOT NULL AND handled_at IS NULL)
"""
_PLATFORMS_SQL: Final = "SELECT DISTINCT platform FROM accounts WHERE status IN ('opening', 'active')"
_ACQUIRERS_SQL: Final = "SELECT DISTINCT provider FROM challenges WHERE state = 'awaiting_payment'"
_RAILS_SQL: Final = "SELECT DISTINCT rail FROM payouts WHERE closed_at IS NULL"
_FEED_SQL: Final = "SELECT feed, watermark, recorded_at FROM market_clock ORDER BY feed"


async def _python(_: Context) -> str:
    if not (3, 11) <= sys.version_info[:2] < (3, 15):
        raise Unavailable(
            f"Python {sys.version.split()[0]} is not supported.", remedy="Use Python 3.11 to 3.14, then `uv sync`."
        )
    return sys.version.split()[0]


async def _postgres_programs(_: Context) -> str:
    return str(postgres.binaries())


async def _temporal_program(_: Context) -> str:
    return str(temporal.binary())


async def _data_folder(context: Context) -> str:
    folder = context.settings.data_dir.absolute()
    if not folder.is_dir():
        if context.settings.database_url and context.settings.temporal_address:
            raise Skipped("no embedded server is used")
        raise Unavailable(f"{folder} does not exist.", remedy=START_REMEDY)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise Unavailable(f"{folder} is not writable.", remedy=f"Give yourself write permission on {folder}.")
    secrets = folder / "secrets.json"
    if secrets.exists() and stat.S_IMODE(secrets.stat().st_mode) & 0o077:
        raise Unavailable(f"Other users may read {secrets}.", remedy=f"chmod 600 {secrets}")
    found = holder(folder)
    return f"{folder}, in use by process {found.pid}" if found else f"{folder}, not in use"


async def _products(context: Context) -> str:
    from adapters.calendars import known_venues
    from firm.products.shelf import load_products

    found = load_products(context.settings.products_path, known_venues)
    return ", ".join(f"{product.product} v{product.version}" for product in found)


async def _secrets(context: Context) -> str:
    for name in ("sandbox_token", "webhook_secret") if context.settings.uses_own_sandbox else ():
        context.settings.required(name)
    return f"set; payloads are encrypted with key {context.settings.payload_key_ring()[0][0]}"


async def _ports(context: Context) -> str:
    settings = context.settings
    if context.running or (settings.database_url and settings.temporal_address):
        raise Skipped("the running firm uses them")
    sandbox = urlsplit(settings.sandbox_url)
    wanted = {settings.api_port: settings.api_host}
    if settings.uses_own_sandbox:
        wanted[sandbox.port or 80] = sandbox.hostname or "127.0.0.1"
    wanted |= {settings.temporal_port: "127.0.0.1", settings.temporal_ui_port: "127.0.0.1"}
    busy = [str(port) for port, host in wanted.items() if not probes.port_is_free(host, port)]
    if busy:
        raise Unavailable(
            f"In use: {', '.join(busy)}.",
            remedy="Stop the programs that use them, or choose other ports (docs/settings.md).",
        )
    return "free: " + ", ".join(str(port) for port in sorted(wanted))


async def _processes(context: Context) -> str:
    """Checks whether a part crashes again and again under `propos up`."""
    if not context.running:
        raise Skipped("the firm is not running on this data folder")
    found = supervisor.failing(context.settings.data_dir)
    if found:
        rows = [f"{f.name} ended {f.failures} times in a row ({f.why}): {' / '.join(f.last_lines)}" for f in found]
        logs = ", ".join(str(context.log(f.name)) for f in found)
        raise Unavailable("\n".join(rows), remedy=f"See {logs}. `propos up` keeps restarting it; the other parts run.")
    return "no part crashes repeatedly"


async def _temporal(context: Context) -> str:
    kept = await context.temporal().retention()
    if kept.days < temporal.RETENTION.days:
        raise Unavailable(
            f"Namespace {context.settings.temporal_namespace!r} keeps closed histories for only {kept}.",
            remedy=f"Set its retention to {temporal.RETENTION.days} days or more.",
        )
    return f"namespace {context.settings.temporal_namespace}, keeps closed histories {kept.days} days"


async def _worker(context: Context) -> str:
    fleet = await context.temporal().fleet()
    await _check_runs(context, "worker", context.settings.worker_metrics_port)
    if fault := workers.fault_of(fleet):
        raise Unavailable(fault.said, remedy=fault.remedy)
    return workers.words(fleet)


async def _monitor(context: Context) -> str:
    count = await context.temporal().pollers(MONITOR_QUEUE, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY)
    if not count:
        raise Unavailable(f"No monitor polls {MONITOR_QUEUE!r}.", remedy="Start one with: propos monitor")
    await _check_runs(context, "monitor", context.settings.monitor_metrics_port)
    return f"{count} polling {MONITOR_QUEUE}"


async def _check_runs(context: Context, name: str, metrics_port: int) -> None:
    # Temporal lists a dead poller for minutes; under `propos up` the process itself can be asked.
    if context.running and not await probes.port_answers("127.0.0.1", metrics_port):
        raise Unavailable(f"The {name} is down.", remedy=f"See {context.log(name)}; `propos up` restarts it.")


async def _relay(context: Context) -> str:
    settings = context.settings
    if context.running:
        if not await probes.port_answers("127.0.0.1", settings.relay_metrics_port):
            raise Unavailable("The relay is down.", remedy=f"See {context.log('relay')}; `propos up` restarts it.")
        await _relay_loops(context)
    url = settings.required("database_url")
    ((oldest, waiting),) = await asyncio.to_thread(database.rows, url, _LAG_SQL)
    ((parked,),) = await asyncio.to_thread(database.rows, url, _PARKED_SQL)
    if oldest > _SLOW_SECONDS:
        raise Unavailable(
            f"{waiting} messages are waiting, the oldest for {oldest:.0f} s.", remedy=f"See {context.log('relay')}."
        )
    return f"{waiting} messages waiting, {parked} parked for a person"


async def _relay_loops(context: Context) -> None:
    """Raises Unavailable if a loop of the relay fails repeatedly; the other loops continue."""
    found = await probes.gauges(
        f"http://127.0.0.1:{context.settings.relay_metrics_port}/metrics", "propos_relay_loop_failures", "loop"
    )
    failing = [f"{name} ({count:.0f} times in a row)" for name, count in sorted(found.items()) if count >= _FAILING]
    if failing:
        raise Unavailable(
            f"The relay runs, but these loops fail: {', '.join(failing)}.", remedy=f"See {context.log('relay')}."
        )


async def _adapters(context: Context) -> str:
    """The settings of every adapter."""
    return adapters.check(context.settings)


async def _gateways(context: Context) -> str:
    """Every configured gateway is connected, has caught up, hears its venue and is read."""
    addresses = adapters.gateways(context.settings)
    if not addresses:
        raise Skipped("no platform is read through a gateway")
    lines = [await _gateway(name, url) for name, url in sorted(addresses.items())]
    said = "\n".join(each.said for each in lines)
    if any(each.remedy for each in lines):
        raise Unavailable(said, remedy="\n".join(each.remedy for each in lines if each.remedy))
    return said


async def _gateway(name: str, url: str) -> gateways.Line:
    try:
        return gateways.line_of(name, await probes.fetch_json(f"{url}/health"), datetime.now(UTC))
    except PropOSError as error:
        return gateways.unreached(name, error.message)


async def _reached(context: Context) -> str:
    """Every adapter answers, and the record needs no other."""
    from cli import ticket_desk

    platforms, payments = adapters.build_platforms(context.settings), adapters.build_payments(context.settings)
    asked = {name: platform.healthy for name, platform in platforms.by_name.items()}
    asked |= {f"{name} (acquirer)": one.healthy for name, one in payments.acquirers.by_name.items()}
    asked |= {f"{name} (rail)": one.healthy for name, one in payments.rails.by_name.items()}
    asked |= {f"{name} (statements)": one.healthy for name, one in payments.statements.by_name.items()}
    asked |= {f"{name} (identity checks)": one.healthy for name, one in payments.identity.by_name.items()}
    desk = adapters.build_mail(context.settings)
    asked[f"{desk.post.name} (mail)"] = desk.post.healthy
    asked[f"{context.settings.tickets} (tickets)"] = partial(ticket_desk.healthy, context.settings)
    lines = []
    try:
        for name, healthy in asked.items():
            try:
                lines.append(f"{name}: {await healthy()}")
            except PropOSError as error:
                raise Unavailable(f"{name}: {error.message}", remedy=error.remedy) from None
    finally:
        await platforms.aclose()
        await payments.aclose()
        await desk.post.aclose()
    await _check_named(context, _PLATFORMS_SQL, platforms.by_name, "platforms")
    await _check_named(context, _ACQUIRERS_SQL, payments.acquirers.by_name, "acquirers")
    await _check_named(context, _RAILS_SQL, payments.rails.by_name, "rails")
    return "; ".join(lines)


async def _check_named(context: Context, statement: str, known: Collection[str], group: str) -> None:
    rows = await asyncio.to_thread(database.rows, context.settings.required("database_url"), statement)
    missing = sorted({str(name) for (name,) in rows} - set(known))
    if missing:
        raise Unavailable(
            f"Open accounts, fees or payouts name {missing[0]!r}, which is not configured.",
            remedy=f"Set {adapter_variable(group, missing[0], '...')} in every process.",
        )


async def _sandbox(context: Context) -> str:
    market = await _market(context)
    return f"market time {market['market_time']}, {market['mode']}"


async def _feed(context: Context) -> str:
    market = await _market(context)
    rows = await asyncio.to_thread(database.rows, context.settings.required("database_url"), _FEED_SQL)
    if not rows:
        raise Unavailable("No market time has been judged yet.", remedy=f"See {context.log('monitor')}.")
    texts = []
    for feed, watermark, recorded_at in rows:
        age = (datetime.now(UTC) - recorded_at).total_seconds()
        if market["mode"] == "live" and market["running"] and age > _SLOW_SECONDS:
            raise Unavailable(
                f"Feed {feed} has been at {watermark.isoformat()} for {age:.0f} s.",
                remedy=f"See {context.log('monitor')} and {context.log('sandbox')}.",
            )
        texts.append(f"{feed} at {watermark.isoformat()}, {age:.0f} s ago")
    return "; ".join(texts)


async def _market(context: Context) -> Any:
    settings = context.settings
    if not settings.uses_own_sandbox:
        raise Skipped("no platform or provider is the sandbox of this data folder")
    return await probes.fetch_json(f"{settings.sandbox_url}/market", settings.required("sandbox_token"))


async def _api(context: Context) -> str:
    await probes.fetch_json(f"{context.settings.api_url}/readyz")
    return context.settings.api_url


CHECKS: Final[tuple[tuple[str, str | None, Examination], ...]] = (
    ("python", None, _python),
    ("postgres programs", None, _postgres_programs),
    ("temporal program", None, _temporal_program),
    ("data folder", None, _data_folder),
    ("ports", None, _ports),
    ("processes", None, _processes),
    ("products", None, _products),
    ("secrets", None, _secrets),
    ("postgres", None, database.postgres),
    ("migrations", "postgres", database.migrations),
    ("database role", "migrations", database.database_role),
    ("tables", "migrations", database.tables),
    ("keys", "migrations", database.keys),
    ("clock", "migrations", database.clock),
    ("temporal", None, _temporal),
    ("worker", "temporal", _worker),
    ("monitor", "temporal", _monitor),
    ("adapters", None, _adapters),
    ("sandbox", "adapters", _sandbox),
    ("gateways", "adapters", _gateways),
    ("platforms and providers", "migrations", _reached),
    ("feed", "migrations", _feed),
    ("relay", "migrations", _relay),
    ("api", None, _api),
)
