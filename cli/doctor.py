"""`propos doctor`: looks at every part and says what is wrong and what to do about it."""

import asyncio
import json
import os
import stat
import sys
from collections.abc import Awaitable, Callable, Collection
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import psycopg
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from temporalio.api.enums.v1 import TaskQueueType

from cli import adapters
from cli.stack import probes, supervisor
from cli.stack.embedded import postgres, temporal
from cli.stack.lock import holder
from contracts.ids import CORE_QUEUE, MONITOR_QUEUE
from domain.errors import PropOSError, Unavailable
from settings import Settings, adapter_variable, load

Status = Literal["ok", "wrong", "skipped"]
_SLOW_SECONDS: Final = 30
_FAILING: Final = 3  # rounds of a relay's loop that failed in a row
_START: Final = "Start the firm with: propos up"
_LAG_SQL: Final = """
    SELECT coalesce(extract(epoch FROM clock_timestamp() - min(at)), 0)::float8, count(*) FROM (
        SELECT recorded_at AS at FROM outbox WHERE dispatched_at IS NULL AND parked_at IS NULL
        UNION ALL
        SELECT received_at FROM inbox WHERE handled_at IS NULL AND parked_at IS NULL
    ) AS waiting
"""
_PARKED_SQL: Final = """
    SELECT (SELECT count(*) FROM outbox WHERE parked_at IS NOT NULL AND dispatched_at IS NULL)
         + (SELECT count(*) FROM inbox WHERE parked_at IS NOT NULL AND handled_at IS NULL)
"""
_PLATFORMS_SQL: Final = "SELECT DISTINCT platform FROM accounts WHERE status IN ('opening', 'active')"
_PROVIDERS_SQL: Final = """
    SELECT provider FROM challenges WHERE state = 'awaiting_payment' UNION SELECT rail FROM payouts WHERE closed_at IS NULL
"""
_FEED_SQL: Final = "SELECT feed, watermark, recorded_at FROM market_clock ORDER BY feed"


@dataclass(frozen=True)
class Check:
    """What one look found. `remedy` is empty when nothing needs doing."""

    name: str
    status: Status
    detail: str
    remedy: str = ""


@dataclass
class Patient:
    """What the checks share; `down` names the parts that were found wrong."""

    settings: Settings
    running: bool
    down: set[str] = field(default_factory=set)

    def temporal(self) -> probes.TemporalProbe:
        return probes.TemporalProbe(self.settings.required("temporal_address"), self.settings.temporal_namespace)


Look = Callable[[Patient], Awaitable[str]]


class Skipped(Exception):
    """The check makes no sense here; the text says why."""


def examine(data_dir: Path | None, *, as_json: bool) -> bool:
    """Run every check, print what they found, and tell whether all is well."""
    checks = asyncio.run(run_checks(load(data_dir=data_dir)))
    healthy = all(check.status != "wrong" for check in checks)
    if as_json:
        sys.stdout.write(json.dumps({"healthy": healthy, "checks": [asdict(check) for check in checks]}) + "\n")
        return healthy
    colours = {"ok": "green", "wrong": "red", "skipped": "yellow"}
    table = Table(title="propos doctor")
    for column in ("part", "status", "found", "what to do"):
        table.add_column(column, overflow="fold")
    for check in checks:
        table.add_row(
            check.name, f"[{colours[check.status]}]{check.status}[/]", escape(check.detail), escape(check.remedy)
        )
    Console().print(table)
    return healthy


async def run_checks(settings: Settings) -> list[Check]:
    """All checks in dependency order; those on a part that is down are skipped."""
    patient = Patient(settings, running=holder(settings.data_dir) is not None)
    return [await _check(patient, *row) for row in CHECKS]


async def _check(patient: Patient, name: str, needs: str | None, look: Look) -> Check:
    if needs in patient.down:
        patient.down.add(name)
        return Check(name, "skipped", f"needs {needs}")
    try:
        return Check(name, "ok", await look(patient))
    except Skipped as reason:
        return Check(name, "skipped", str(reason))
    except PropOSError as error:
        patient.down.add(name)
        return Check(name, "wrong", error.message, error.remedy or _START)


async def _python(_: Patient) -> str:
    if not (3, 11) <= sys.version_info[:2] < (3, 15):
        raise Unavailable(
            f"Python {sys.version.split()[0]} is not supported.", remedy="Use Python 3.11 to 3.14, then `uv sync`."
        )
    return sys.version.split()[0]


async def _postgres_programs(patient: Patient) -> str:
    return str(postgres.binaries())


async def _temporal_program(_: Patient) -> str:
    return str(temporal.binary())


async def _data_folder(patient: Patient) -> str:
    folder = patient.settings.data_dir.absolute()
    if not folder.is_dir():
        if patient.settings.database_url and patient.settings.temporal_address:
            raise Skipped("nothing embedded runs here")
        raise Unavailable(f"{folder} does not exist.", remedy=_START)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise Unavailable(f"{folder} cannot be written.", remedy=f"Give yourself write permission on {folder}.")
    secrets = folder / "secrets.json"
    if secrets.exists() and stat.S_IMODE(secrets.stat().st_mode) & 0o077:
        raise Unavailable(f"Others may read {secrets}.", remedy=f"chmod 600 {secrets}")
    found = holder(folder)
    return f"{folder}, in use by process {found.pid}" if found else f"{folder}, not in use"


async def _products(patient: Patient) -> str:
    from adapters.calendars import known_venues
    from firm.products.shelf import load_products

    found = load_products(patient.settings.products_path, known_venues)
    return ", ".join(f"{product.product} v{product.version}" for product in found)


async def _secrets(patient: Patient) -> str:
    for name in ("sandbox_token", "webhook_secret"):
        patient.settings.required(name)
    ring = patient.settings.payload_key_ring()
    return f"set; payloads are encrypted with key {ring[0][0]}"


async def _ports(patient: Patient) -> str:
    if patient.running:
        raise Skipped("the firm runs and uses them")
    settings = patient.settings
    sandbox = urlsplit(settings.sandbox_url)
    wanted = {settings.api_port: settings.api_host}
    if settings.uses_own_sandbox:
        wanted[sandbox.port or 80] = sandbox.hostname or "127.0.0.1"
    wanted |= {settings.temporal_port: "127.0.0.1", settings.temporal_ui_port: "127.0.0.1"}
    busy = [str(port) for port, host in wanted.items() if not probes.port_is_free(host, port)]
    if busy:
        raise Unavailable(
            f"In use: {', '.join(busy)}.", remedy="Stop what uses them, or choose others (docs/settings.md)."
        )
    return "free: " + ", ".join(str(port) for port in sorted(wanted))


async def _processes(patient: Patient) -> str:
    """Whether `propos up` keeps starting a part that crashes again and again."""
    if not patient.running:
        raise Skipped("the firm does not run here")
    found = supervisor.failing(patient.settings.data_dir)
    if found:
        rows = [f"{f.name} ended {f.failures} times in a row ({f.why}): {' / '.join(f.last_lines)}" for f in found]
        logs = ", ".join(str(_log(patient, f.name)) for f in found)
        raise Unavailable("\n".join(rows), remedy=f"See {logs}. `propos up` starts it again and again; the rest runs.")
    return "none crashes again and again"


async def _postgres(patient: Patient) -> str:
    url = patient.settings.required("database_url")
    rows = await asyncio.to_thread(_rows, url, "SHOW server_version")
    return f"PostgreSQL {rows[0][0]}"


async def _migrations(patient: Patient) -> str:
    from store.migrate import current

    have, head = await asyncio.to_thread(current, patient.settings.required("database_url"))
    if have != head:
        raise Unavailable(f"The database is at {have or 'nothing'}, the newest is {head}.", remedy="propos migrate")
    return f"revision {head}"


async def _temporal(patient: Patient) -> str:
    kept = await patient.temporal().retention()
    if kept.days < temporal.RETENTION.days:
        raise Unavailable(
            f"Namespace {patient.settings.temporal_namespace!r} keeps closed histories for {kept} only.",
            remedy=f"Set its retention to {temporal.RETENTION.days} days or more.",
        )
    return f"namespace {patient.settings.temporal_namespace}, keeps closed histories {kept.days} days"


async def _worker(patient: Patient) -> str:
    workflows = TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW
    count = await patient.temporal().pollers(CORE_QUEUE, workflows)
    return await _polling(patient, "worker", CORE_QUEUE, count, patient.settings.worker_metrics_port)


async def _monitor(patient: Patient) -> str:
    count = await patient.temporal().pollers(MONITOR_QUEUE, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY)
    return await _polling(patient, "monitor", MONITOR_QUEUE, count, patient.settings.monitor_metrics_port)


async def _polling(patient: Patient, name: str, queue: str, pollers: int, metrics_port: int) -> str:
    if not pollers:
        raise Unavailable(f"Nobody polls the task queue {queue!r}.", remedy=f"Start one with: propos {name}")
    # Temporal remembers a dead poller for minutes; under `up` the process itself can be asked.
    if patient.running and not await probes.port_answers("127.0.0.1", metrics_port):
        raise Unavailable(f"The {name} is down.", remedy=f"See {_log(patient, name)}; `propos up` restarts it.")
    return f"{pollers} polling {queue}"


async def _relay(patient: Patient) -> str:
    settings = patient.settings
    if patient.running:
        if not await probes.port_answers("127.0.0.1", settings.relay_metrics_port):
            raise Unavailable("The relay is down.", remedy=f"See {_log(patient, 'relay')}; `propos up` restarts it.")
        await _relay_loops(patient)
    url = settings.required("database_url")
    ((oldest, waiting),) = await asyncio.to_thread(_rows, url, _LAG_SQL)
    ((parked,),) = await asyncio.to_thread(_rows, url, _PARKED_SQL)
    if oldest > _SLOW_SECONDS:
        raise Unavailable(
            f"{waiting} messages wait, the oldest for {oldest:.0f} s.", remedy=f"See {_log(patient, 'relay')}."
        )
    return f"{waiting} waiting, {parked} set aside for a person"


async def _relay_loops(patient: Patient) -> None:
    """Raises Unavailable when a loop of the relay fails again and again; the others go on meanwhile."""
    found = await probes.gauges(
        f"http://127.0.0.1:{patient.settings.relay_metrics_port}/metrics", "propos_relay_loop_failures", "loop"
    )
    failing = [f"{name} ({count:.0f} times in a row)" for name, count in sorted(found.items()) if count >= _FAILING]
    if failing:
        raise Unavailable(
            f"The relay goes on, but this fails: {', '.join(failing)}.", remedy=f"See {_log(patient, 'relay')}."
        )


async def _adapters(patient: Patient) -> str:
    """The settings of every platform and payment provider."""
    return adapters.check(patient.settings)


async def _reached(patient: Patient) -> str:
    """Every platform and provider answers, and the record needs no other."""
    platforms, payments = adapters.build_platforms(patient.settings), adapters.build_payments(patient.settings)
    asked = {name: platform.healthy for name, platform in platforms.by_name.items()}
    asked |= {f"{name} (payments)": provider.healthy for name, provider in payments.by_name.items()}
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
    await _check_named(patient, _PLATFORMS_SQL, platforms.by_name, "platforms")
    await _check_named(patient, _PROVIDERS_SQL, payments.by_name, "payments")
    return "; ".join(lines)


async def _check_named(patient: Patient, statement: str, known: Collection[str], group: str) -> None:
    rows = await asyncio.to_thread(_rows, patient.settings.required("database_url"), statement)
    missing = sorted({str(name) for (name,) in rows} - set(known))
    if missing:
        raise Unavailable(
            f"Open accounts, fees or payouts name {missing[0]!r}, which is not configured.",
            remedy=f"Set {adapter_variable(group, missing[0], '...')} in every process.",
        )


async def _sandbox(patient: Patient) -> str:
    market = await _market(patient)
    return f"market time {market['market_time']}, {market['mode']}"


async def _feed(patient: Patient) -> str:
    market = await _market(patient)
    rows = await asyncio.to_thread(_rows, patient.settings.required("database_url"), _FEED_SQL)
    if not rows:
        raise Unavailable("No market time was ever judged.", remedy=f"See {_log(patient, 'monitor')}.")
    texts = []
    for feed, watermark, recorded_at in rows:
        age = (datetime.now(UTC) - recorded_at).total_seconds()
        if market["mode"] == "live" and market["running"] and age > _SLOW_SECONDS:
            raise Unavailable(
                f"Feed {feed} stands at {watermark.isoformat()} since {age:.0f} s.",
                remedy=f"See {_log(patient, 'monitor')} and {_log(patient, 'sandbox')}.",
            )
        texts.append(f"{feed} at {watermark.isoformat()}, {age:.0f} s ago")
    return "; ".join(texts)


async def _market(patient: Patient) -> Any:
    settings = patient.settings
    if not settings.uses_own_sandbox:
        raise Skipped("no platform or provider is the sandbox of this data folder")
    return await probes.fetch_json(f"{settings.sandbox_url}/market", settings.required("sandbox_token"))


async def _api(patient: Patient) -> str:
    await probes.fetch_json(f"{patient.settings.api_url}/readyz")
    return patient.settings.api_url


def _rows(url: str, statement: str) -> list[tuple[Any, ...]]:
    try:
        with psycopg.connect(url, connect_timeout=3) as connection:
            return connection.execute(statement.encode()).fetchall()
    except psycopg.OperationalError as error:
        reason = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
        raise Unavailable(f"PostgreSQL does not answer: {reason}", remedy=_START) from None


def _log(patient: Patient, name: str) -> Path:
    return patient.settings.data_dir / "logs" / f"{name}.log"


CHECKS: Final[tuple[tuple[str, str | None, Look], ...]] = (
    ("python", None, _python),
    ("postgres programs", None, _postgres_programs),
    ("temporal program", None, _temporal_program),
    ("data folder", None, _data_folder),
    ("ports", None, _ports),
    ("processes", None, _processes),
    ("products", None, _products),
    ("secrets", None, _secrets),
    ("postgres", None, _postgres),
    ("migrations", "postgres", _migrations),
    ("temporal", None, _temporal),
    ("worker", "temporal", _worker),
    ("monitor", "temporal", _monitor),
    ("adapters", None, _adapters),
    ("sandbox", "adapters", _sandbox),
    ("platforms and providers", "migrations", _reached),
    ("feed", "migrations", _feed),
    ("relay", "migrations", _relay),
    ("api", None, _api),
)
