"""The whole firm on one machine: PostgreSQL, Temporal, the sandbox, worker, monitor, relay and API.

    async with Stack(StackOptions(data_dir=Path(".propos"))) as stack:
        stack.api_url, stack.sandbox_url, stack.database_url, stack.temporal_address
        stack.settings            # the settings of every child, secrets included
        await stack.failure()     # raises Unavailable if a part keeps crashing; stops nothing

Entering locks the data folder, checks the ports, starts every part in dependency order and waits until each is healthy.
Leaving stops every part in reverse order, however the block ends. DATABASE_URL and TEMPORAL_ADDRESS replace the
embedded servers, which are then only checked.
"""

import asyncio
import json
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from types import TracebackType
from typing import Self

from temporalio.api.enums.v1 import TaskQueueType

from cli import adapters
from cli.stack.embedded import postgres, temporal
from cli.stack.lock import DataLock
from cli.stack.options import Part, StackOptions
from cli.stack.ports import check_ports, with_free_ports
from cli.stack.probes import TemporalProbe, port_answers, serves
from cli.stack.processes import end_leftovers
from cli.stack.supervisor import Child, Program, Supervisor
from contracts.ids import CORE_QUEUE, MONITOR_QUEUE
from domain.errors import Unavailable
from settings import Settings, child_environment, ensure_secrets, load

_PORTS_FREED_SECONDS = 10


class Stack:
    """A firm on one machine. Calls `report` with each part when it becomes healthy or fails to start."""

    def __init__(self, options: StackOptions, report: Callable[[Part], None] | None = None) -> None:
        self._options = options
        self._report = report or (lambda _: None)
        self.data_dir = load(data_dir=options.data_dir).data_dir.absolute()
        self._lock = DataLock(self.data_dir)
        self._settings: Settings | None = None
        self._supervisor: Supervisor | None = None
        self._temporal: TemporalProbe | None = None
        self.parts: list[Part] = []

    @property
    def settings(self) -> Settings:
        """Returns the settings of the running stack with every address."""
        if self._settings is None:
            raise Unavailable("The stack has not been started.")
        return self._settings

    @property
    def api_url(self) -> str:
        return self.settings.api_url

    @property
    def sandbox_url(self) -> str:
        return self.settings.sandbox_url

    @property
    def database_url(self) -> str:
        return self.settings.required("database_url")

    @property
    def temporal_address(self) -> str:
        return self.settings.required("temporal_address")

    def pid(self, name: str) -> int | None:
        """Returns the process id of a part (postgres, temporal, sandbox, worker, monitor, relay, api), or None."""
        return self._running().pid(name)

    def restarts(self, name: str) -> int:
        """Returns how often a part was restarted after it ended by itself."""
        return self._running().restarts(name)

    def log_path(self, name: str) -> Path:
        return self._running().log_path(name)

    async def failure(self) -> None:
        """Waits until a part has crashed five times in a row and raises Unavailable."""
        await self._running().failure()

    def claim(self) -> None:
        """Locks the data folder before the stack is entered. Raises DataLocked with the process that holds it."""
        self._lock.acquire()

    async def __aenter__(self) -> Self:
        self.claim()
        try:
            await self._start()
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop()

    async def _start(self) -> None:
        await asyncio.to_thread(end_leftovers, self.data_dir / "run")
        addresses = self.data_dir / "run" / "addresses.json"
        was_killed = addresses.exists()  # an orderly stop removes the file
        addresses.unlink(missing_ok=True)
        ensure_secrets(self.data_dir)
        settings = load(data_dir=self.data_dir, api_port=self._options.api_port)
        if self._options.any_ports:
            settings = with_free_ports(settings)
        adapters.check(settings)
        await check_ports(settings, patience=_PORTS_FREED_SECONDS if was_killed else 0)
        self._supervisor = Supervisor(self.data_dir)
        own_database, own_temporal = settings.database_url is None, settings.temporal_address is None
        if own_temporal:
            settings = settings.model_copy(update={"temporal_address": f"127.0.0.1:{settings.temporal_port}"})
        if own_database:
            settings = await self._start_postgres(settings)
        self._settings = settings
        self._temporal = TemporalProbe(self.temporal_address, settings.temporal_namespace)
        if not own_database:
            await self._check_postgres(settings)
        await _concurrently(self._migrate(), self._start_temporal() if own_temporal else self._check_temporal())
        self._write_addresses(settings)
        if settings.uses_own_sandbox:
            await self._start_sandbox(settings)
        await _concurrently(
            self._start_polling("worker", settings.worker_metrics_port, CORE_QUEUE),
            self._start_polling("monitor", settings.monitor_metrics_port, MONITOR_QUEUE),
            self._start_relay(settings),
        )
        await self._start_api(settings)

    async def _stop(self) -> None:
        try:
            if self._supervisor is not None:
                await self._supervisor.stop()
        finally:
            (self.data_dir / "run" / "addresses.json").unlink(missing_ok=True)
            self._lock.release()

    def _running(self) -> Supervisor:
        if self._supervisor is None:
            raise Unavailable("The stack has not been started.")
        return self._supervisor

    async def _start_postgres(self, settings: Settings) -> Settings:
        def prepare() -> postgres.Cluster:
            return postgres.prepare(self.data_dir / "postgres", open_parents=settings.open_parents)

        def program() -> Program:
            cluster = prepare()
            return Program(cluster.argv, cluster.user)

        started = time.monotonic()
        cluster = await asyncio.to_thread(prepare)

        async def ready() -> bool:
            return await asyncio.to_thread(postgres.answers, cluster.url("postgres"))

        await self._running().start(Child("postgres", program, ready, stop_signal=signal.SIGINT))
        await asyncio.to_thread(postgres.ensure_database, cluster)
        self._healthy("postgres", str(cluster.socket_dir), started)
        return settings.model_copy(update={"database_url": cluster.url()})

    async def _check_postgres(self, settings: Settings) -> None:
        started = time.monotonic()
        if not await asyncio.to_thread(postgres.answers, settings.required("database_url")):
            raise Unavailable(
                "The PostgreSQL of DATABASE_URL does not answer.",
                remedy="Start it, correct DATABASE_URL, or unset it to use the embedded one.",
            )
        self._healthy("postgres", "DATABASE_URL", started)

    async def _migrate(self) -> None:
        started = time.monotonic()
        path = self._running().log_path("migrate")
        with path.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *_command("migrate"), stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output, env=self._env()
            )
        try:
            code = await process.wait()
        except asyncio.CancelledError:
            process.terminate()
            raise
        if code != 0:
            raise Unavailable("The database could not be upgraded to the newest schema.", remedy=f"See {path}.")
        self._healthy("migrate", "newest schema", started)

    async def _start_temporal(self) -> None:
        started = time.monotonic()
        settings = self.settings
        argv = temporal.server_argv(
            port=settings.temporal_port,
            ui_port=settings.temporal_ui_port if self._options.web_ui else None,
            database=self.data_dir / "temporal.db",
            namespace=settings.temporal_namespace,
        )
        probe = self._probe()
        await self._running().start(Child("temporal", lambda: Program(argv), probe.answers))
        await probe.set_retention(temporal.RETENTION)
        ui = f", web UI http://127.0.0.1:{settings.temporal_ui_port}" if self._options.web_ui else ""
        self._healthy("temporal", self.temporal_address + ui, started)

    async def _check_temporal(self) -> None:
        started = time.monotonic()
        try:
            await self._probe().retention()
        except Unavailable as error:
            raise Unavailable(
                error.message, remedy="Start it, correct TEMPORAL_ADDRESS, or unset it to use the embedded one."
            ) from None
        self._healthy("temporal", self.temporal_address, started)

    async def _start_sandbox(self, settings: Settings) -> None:
        quotes = self._options.quotes
        arguments = ["--seed", str(self._options.seed)]
        if quotes.directory is not None:
            arguments += ["--market", str(quotes.directory.absolute())]
        if quotes.symbols:
            arguments += ["--symbols", ",".join(quotes.symbols)]
        if quotes.date is not None:
            arguments += ["--date", quotes.date]
        if quotes.speed is not None:
            arguments += ["--speed", str(quotes.speed)]
        url, token = settings.sandbox_url, settings.required("sandbox_token")
        await self._start_own("sandbox", url, lambda: serves(f"{url}/market", token), arguments, needed=True)

    async def _start_polling(self, name: str, metrics_port: int, queue: str) -> None:
        async def ready() -> bool:
            if not await port_answers("127.0.0.1", metrics_port):
                return False
            try:
                return await self._probe().pollers(queue, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY) > 0
            except Unavailable:
                return False

        await self._start_own(name, f"task queue {queue}", ready)

    async def _start_relay(self, settings: Settings) -> None:
        await self._start_own("relay", "inbox, outbox", lambda: port_answers("127.0.0.1", settings.relay_metrics_port))

    async def _start_api(self, settings: Settings) -> None:
        await self._start_own("api", settings.api_url, lambda: serves(f"{settings.api_url}/readyz"))

    async def _start_own(
        self,
        name: str,
        address: str,
        ready: Callable[[], Awaitable[bool]],
        arguments: list[str] | None = None,
        *,
        needed: bool = False,
    ) -> None:
        started = time.monotonic()
        argv = _command(name, *(arguments or []))
        try:
            await self._running().start(Child(name, lambda: Program(argv), ready, env=self._env()))
        except Unavailable as error:
            if needed or not self._options.tolerant:
                raise
            self._add(Part(name, address, time.monotonic() - started, problem=error.message))
        else:
            self._healthy(name, address, started)

    def _probe(self) -> TemporalProbe:
        if self._temporal is None:
            raise Unavailable("The stack has not been started.")
        return self._temporal

    def _env(self) -> dict[str, str]:
        return child_environment(self.settings.environment())

    def _healthy(self, name: str, address: str, started: float) -> None:
        self._add(Part(name, address, time.monotonic() - started))

    def _add(self, part: Part) -> None:
        self.parts.append(part)
        self._report(part)

    def _write_addresses(self, settings: Settings) -> None:
        """Writes the addresses for other commands: `propos doctor`, `propos proof`, a further `propos worker`."""
        path = self.data_dir / "run" / "addresses.json"
        fields = {name for name in Settings.model_fields if name.endswith(("_url", "_address", "_port", "_host"))}
        path.write_text(json.dumps({name: getattr(settings, name) for name in sorted(fields)}))
        path.chmod(0o600)


async def _concurrently(*work: Coroutine[None, None, None]) -> None:
    """Runs all at once. The first failure cancels the others before it is raised."""
    tasks = [asyncio.ensure_future(part) for part in work]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _command(name: str, *arguments: str) -> list[str]:
    # -P: a child must not import modules from the current folder.
    return [sys.executable, "-P", "-m", "cli.main", name, *arguments]
