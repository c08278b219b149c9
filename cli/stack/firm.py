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
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from temporalio.api.enums.v1 import TaskQueueType

from cli import adapters
from cli.secret_file import ensure_secrets
from cli.stack.embedded import postgres, temporal
from cli.stack.forks import FORKS, Forks
from cli.stack.lock import DataLock
from cli.stack.options import Part, StackOptions
from cli.stack.ports import check_ports, with_free_ports, with_many_sign_ups
from cli.stack.probes import TemporalProbe, answers_at, port_answers, serves
from cli.stack.processes import end_leftovers, own_argv
from cli.stack.room import check_disk
from cli.stack.said import refusal_in
from cli.stack.supervisor import Child, Own, Program, Supervisor
from cli.stack.temporal_check import check_ours
from cli.stack.venues import Venue, new_venues, platform_settings, remembered, with_venues
from cli.temporal_access import temporal_access
from contracts.ids import CORE_QUEUE, MONITOR_QUEUE
from domain.errors import BadInput, Unavailable
from relay.temporal import OPEN
from settings import Settings, child_environment, environment_name, load

_PORTS_FREED_SECONDS = 10


class Stack:
    """A firm on one machine. Calls `report` with each part when it becomes healthy or fails to start, and `say` with a
    sentence about each restart."""

    def __init__(
        self,
        options: StackOptions,
        report: Callable[[Part], None] | None = None,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._options = options
        self._report = report or (lambda _: None)
        self._say = say
        self.data_dir = load(data_dir=options.data_dir).data_dir.absolute()
        self._lock = DataLock(self.data_dir)
        self._settings: Settings | None = None
        self._supervisor: Supervisor | None = None
        self._temporal: TemporalProbe | None = None
        self.parts: list[Part] = []
        self.venues: tuple[Venue, ...] = ()

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
        # one worker, which is replaced as a whole: what runs goes on with the new code (docs/decisions/0051)
        settings = settings.model_copy(update={"worker_versions": False})
        if settings.policy is None:
            settings = settings.model_copy(update={"policy": self._options.policy})
        if self._options.simulated_people:
            settings = with_many_sign_ups(settings)
        names, products = remembered(self.data_dir, self._options.venues, self._options.products)
        if names:
            self.venues = new_venues(names)
            settings = with_venues(settings, self.venues, self._options.quotes.symbols, products)
        adapters.check(settings)
        await check_ports(settings, patience=_PORTS_FREED_SECONDS if was_killed else 0)
        own_database, own_temporal = settings.database_url is None, settings.temporal_address is None
        if own_database or own_temporal:
            check_disk(self.data_dir)
        if own_temporal:
            if temporal_access(settings) != OPEN:
                raise BadInput(
                    "The embedded Temporal speaks no TLS and takes no API key.",
                    field="TEMPORAL_ADDRESS",
                    remedy="Set TEMPORAL_ADDRESS, or unset PROPOS_TEMPORAL_API_KEY and PROPOS_TEMPORAL_TLS*.",
                )
            settings = settings.model_copy(update={"temporal_address": f"127.0.0.1:{settings.temporal_port}"})
        self._settings = settings
        forks = Forks(self.data_dir, self._env()) if FORKS else None
        self._supervisor = Supervisor(self.data_dir, self._say, forks)
        if forks is not None:
            with suppress(OSError):  # such as no room for another process: the first child tries again
                await forks.prepare()
        self._temporal = TemporalProbe(self.temporal_address, settings.temporal_namespace, temporal_access(settings))
        await _concurrently(
            self._start_database(settings, own=own_database),
            self._start_temporal() if own_temporal else self._check_temporal(),
            *([self._start_sandbox(settings)] if settings.uses_own_sandbox else []),
        )
        settings = self.settings
        self._write_addresses(settings)
        await _concurrently(*(self._start_venue(venue, settings) for venue in self.venues))
        await _concurrently(
            *(self._start_gateway(name, url) for name, url in adapters.gateways(settings).items()),
            self._start_polling("worker", settings.worker_metrics_port, CORE_QUEUE),
            self._start_polling("monitor", settings.monitor_metrics_port, MONITOR_QUEUE),
            self._start_relay(settings),
            *([self._start_mail_in(settings.mail_in_metrics_port)] if settings.mail_doors else []),
            self._start_api(settings),
        )

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

    async def _start_database(self, settings: Settings, *, own: bool) -> None:
        if own:
            self._settings = await self._start_postgres(settings)
        else:
            await self._check_postgres(settings)
        await self._migrate()

    async def _start_postgres(self, settings: Settings) -> Settings:
        def prepare() -> postgres.Cluster:
            return postgres.prepare(
                self.data_dir / "postgres",
                open_parents=settings.open_parents,
                configuration=postgres.REHEARSAL if self._options.rehearsal else None,
            )

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
        return settings.model_copy(update={"database_url": cluster.app_url(), "owner_database_url": cluster.url()})

    async def _check_postgres(self, settings: Settings) -> None:
        started = time.monotonic()
        refusal = await asyncio.to_thread(postgres.refusal, settings.required("database_url"))
        if refusal is not None:
            raise Unavailable(
                f"The PostgreSQL of DATABASE_URL does not let us in: {refusal}",
                remedy="Start it, correct DATABASE_URL, or unset it to use the embedded one.",
            )
        self._healthy("postgres", "DATABASE_URL", started)

    async def _migrate(self) -> None:
        started = time.monotonic()
        path = self._running().log_path("migrate")
        with path.open("ab") as output:
            begin = output.tell()
            process = await asyncio.create_subprocess_exec(
                *own_argv("migrate"),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=self._env(owner=self.settings.owner_database_url),
            )
        try:
            code = await process.wait()
        except asyncio.CancelledError:
            process.terminate()
            raise
        if code != 0:
            unsaid = Unavailable("The database could not be upgraded to the newest schema.", remedy=f"See {path}.")
            raise refusal_in(path, begin) or unsaid
        self._healthy("migrate", "newest schema", started)

    async def _start_temporal(self) -> None:
        started = time.monotonic()
        settings = self.settings
        argv = temporal.server_argv(
            port=settings.temporal_port,
            ui_port=settings.temporal_ui_port if self._options.web_ui else None,
            database=self.data_dir / "temporal.db",
            namespace=settings.temporal_namespace,
            rehearsal=self._options.rehearsal,
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
            remedy = "Start it, correct TEMPORAL_ADDRESS, or unset it to use the embedded one."
            raise Unavailable(error.message, remedy=error.remedy or remedy) from None
        await check_ours(self.settings)
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

    async def _start_venue(self, venue: Venue, settings: Settings) -> None:
        argv = venue.argv(self.data_dir, settings, self._options.quotes.symbols)
        started = time.monotonic()
        child = Child(venue.platform, lambda: Program(argv), lambda: serves(f"{venue.url}/health"), env=self._env())
        await self._running().start(child)
        self._healthy(venue.platform, venue.url, started)

    async def _start_gateway(self, name: str, url: str) -> None:
        """A gateway answers at once; it goes on trying while its venue is away."""
        command = ["run", name]
        await self._start_own(f"gateway-{name}", url, lambda: serves(f"{url}/health"), command, program="gateway")

    async def _start_polling(self, name: str, metrics_port: int, queue: str) -> None:
        async def ready() -> bool:
            pid = self.pid(name)
            if pid is None or not await port_answers("127.0.0.1", metrics_port):
                return False
            try:
                return await self._probe().polls(queue, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY, pid)
            except Unavailable:
                return False

        await self._start_own(
            name, f"task queue {queue}", ready, alive=partial(answers_at, f"http://127.0.0.1:{metrics_port}/metrics")
        )

    async def _start_relay(self, settings: Settings) -> None:
        port = settings.relay_metrics_port
        ready = partial(port_answers, "127.0.0.1", port)
        await self._start_own(
            "relay", "inbox, outbox", ready, alive=partial(answers_at, f"http://127.0.0.1:{port}/metrics")
        )

    async def _start_mail_in(self, port: int) -> None:
        """Its doors go on trying while what they fetch from is away."""
        ready = partial(port_answers, "127.0.0.1", port)
        alive = partial(answers_at, f"http://127.0.0.1:{port}/metrics")
        await self._start_own("mail-in", "mail doors", ready, alive=alive)

    async def _start_api(self, settings: Settings) -> None:
        answers = partial(serves, f"{settings.api_url}/healthz")
        await self._start_own("api", settings.api_url, answers, alive=answers)

    async def _start_own(
        self,
        name: str,
        address: str,
        ready: Callable[[], Awaitable[bool]],
        arguments: list[str] | None = None,
        *,
        alive: Callable[[], Awaitable[bool]] | None = None,
        needed: bool = False,
        program: str | None = None,
    ) -> None:
        """`program`: the command, where it is not the name. `alive`: see Child."""
        started = time.monotonic()
        own = Own((program or name, *(arguments or [])))
        try:
            await self._running().start(Child(name, lambda: own, ready, alive, env=self._env()))
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

    def _env(self, owner: str | None = None) -> dict[str, str]:
        """Returns the environment of a part. Only the migrations get the URL of the `owner` of the tables."""
        return child_environment(self.settings.environment() | {environment_name("owner_database_url"): owner})

    def _healthy(self, name: str, address: str, started: float) -> None:
        self._add(Part(name, address, time.monotonic() - started))

    def _add(self, part: Part) -> None:
        self.parts.append(part)
        self._report(part)

    def _write_addresses(self, settings: Settings) -> None:
        """Writes the addresses for other commands: `propos doctor`, `propos proof`, a further `propos worker`."""
        path = self.data_dir / "run" / "addresses.json"
        fields = {name for name in Settings.model_fields if name.endswith(("_url", "_address", "_port", "_host"))}
        fields.remove("owner_database_url")  # every part reads this file
        values = {name: getattr(settings, name) for name in sorted(fields)}
        if self.venues:
            values |= platform_settings(settings)
        path.touch(mode=0o600)
        path.write_text(json.dumps(values))


async def _concurrently(*work: Coroutine[None, None, None]) -> None:
    """Runs all at once. The first failure cancels the others before it is raised."""
    tasks = [asyncio.ensure_future(part) for part in work]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
