"""The firm of one kind of venue: the fake and the gateway as processes, a shard and a relay on a real PostgreSQL."""

import asyncio
import json
import secrets
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Final, NoReturn

import httpx

from cli.chaos.venue.kinds import Control, Kind, Place, platform_of
from cli.chaos.venue.opening import GROUP
from cli.chaos.venue.readers import ShardReader, Witness
from cli.stack.embedded import postgres
from cli.stack.probes import free_ports
from cli.stack.processes import launch_argv, own_argv, running
from domain.errors import Unavailable
from domain.products.product import Product
from firm.products.shelf import SHELF, load_product
from ports.platform import Platforms, TradingPlatform
from relay.outbox import OutboxDispatcher
from settings import child_environment, load
from store.db import Database, connect
from store.migrate import upgrade

PHASE: Final = 1
_RECONCILE_SECONDS: Final = "10"
_RELAY_PAUSE: Final = 0.3


def product_of_chaos() -> Product:
    """The two-step product with its maximum loss as the only rule."""
    data = load_product(Path(SHELF) / "two-step.v1.yaml").model_dump(mode="json")
    data |= {"product": "chaos", "name": "Chaos 100k"}
    for phase in (*data["phases"], data["funded"]):
        phase["rules"] = [rule for rule in phase["rules"] if rule["type"] == "max_loss_static"]
    return Product.model_validate(data)


@contextmanager
def database(folder: Path) -> Iterator[str]:
    """Yields the address of a PostgreSQL of its own, with the newest schema."""
    cluster = postgres.prepare(folder / "postgres", open_parents=load().open_parents)
    answers = partial(postgres.answers, cluster.url("postgres"))
    with running(
        cluster.argv,
        answers,
        folder / "postgres.log",
        user=cluster.user,
        stop=signal.SIGINT,
        environment=child_environment({}),
    ):
        postgres.ensure_database(cluster)
        upgrade(cluster.url())
        yield cluster.url()


class GatewayProcess:
    """`propos gateway run`, which is killed and started again."""

    def __init__(self, name: str, folder: Path, url: str, fields: dict[str, str]) -> None:
        self._name, self._folder, self.url = name, folder, url
        prefix = f"PROPOS_PLATFORMS__{name.upper()}__"
        values = {f"{prefix}{field.upper()}": value for field, value in fields.items()}
        # The firm needs a platform for new accounts, which not every kind is. Nobody calls it here.
        new_accounts = {"PROPOS_PLATFORMS__SANDBOX__ADAPTER": "sandbox", "PROPOS_SANDBOX_TOKEN": secrets.token_hex()}
        self._environment = child_environment(
            {"PROPOS_DATA": str(folder), "PROPOS_DEFAULT_PLATFORM": "sandbox", **new_accounts}
            | {**values, f"{prefix}ADAPTER": name}
        )
        self._process: subprocess.Popen[bytes] | None = None
        self.kills = 0

    def start(self) -> None:
        command = launch_argv(own_argv("gateway", "run", self._name), user=None, death_signal=signal.SIGKILL)
        with (self._folder / "gateway.log").open("ab") as log:
            self._process = subprocess.Popen(command, env=self._environment, stdout=log, stderr=log)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self.kills += 1

    async def status(self) -> dict[str, Any] | None:
        """How the gateway says it is; None when it does not answer."""
        if self._process is not None and self._process.poll() is not None:
            raise Unavailable(f"The gateway of {self._name} ended by itself.", remedy=f"Read {self._folder}.")
        try:
            async with httpx.AsyncClient(base_url=self.url, timeout=5, trust_env=False) as client:
                status: dict[str, Any] = (await client.get("/health")).json()
                return status
        except httpx.TransportError:
            return None

    def end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


@dataclass
class VenueFirm:
    """`deposits`: key and minor units of each account's first deposit, by login."""

    kind: Kind
    control: Control
    gateway: GatewayProcess
    platform: TradingPlatform
    witness: Witness
    shard: ShardReader
    database_url: str
    deposits: dict[int, tuple[str, int]] = field(default_factory=dict)

    def record(self, login: int, product: Product, at: datetime, shard: int) -> None:
        """Records an active account, as the lifecycle does before money comes to it."""
        id, terms = f"{self.kind.name}_{login}", json.dumps(product.model_dump(mode="json"))
        marks = self.platform.marks(GROUP)
        with connect(self.database_url) as connection:
            connection.execute(
                "INSERT INTO traders (id, name, email, email_index, country, identity, created_at)"
                " VALUES ('trd_1', '\\x00', '\\x00', 'x', 'CZ', 'verified', %s) ON CONFLICT DO NOTHING",
                (at,),
            )
            connection.execute(
                "INSERT INTO products (product, version, name, content_hash, terms) VALUES (%s, 1, %s, %s, %s)"
                " ON CONFLICT DO NOTHING",
                (product.product, product.name, product.content_hash, terms),
            )
            connection.execute(
                "INSERT INTO challenges (id, trader_id, product, version, state, phase_index, fee_minor, currency,"
                " bought_at, changed_at) VALUES (%s, 'trd_1', %s, 1, 'phase', %s, 100, 'USD', %s, %s)"
                " ON CONFLICT DO NOTHING",
                (f"chl_{id}", product.product, PHASE, at, at),
            )
            connection.execute(
                "INSERT INTO accounts (id, challenge_id, trader_id, phase_index, product, version, platform, login,"
                " shard, clock_group, currency, initial_minor, marks, status)"
                " VALUES (%s, %s, 'trd_1', %s, %s, 1, %s, %s, %s, %s, 'USD', %s, %s, 'active') ON CONFLICT DO NOTHING",
                (
                    *(f"acc_{id}", f"chl_{id}", PHASE, product.product, self.kind.name, login, shard),
                    *(product.clock.group, product.initial_minor, marks),
                ),
            )

    def breached(self) -> set[int]:
        """The logins with a breach on the record."""
        with connect(self.database_url) as connection:
            rows = connection.execute(
                "SELECT DISTINCT a.login FROM breaches b JOIN accounts a ON a.id = b.account_id WHERE a.platform = %s",
                (self.kind.name,),
            ).fetchall()
        return {int(login) for (login,) in rows}

    def look_at_parked(self) -> None:
        """A person looks at the locks that the venue refused, and lets the relay try them again."""
        with connect(self.database_url) as connection:
            connection.execute(
                "UPDATE outbox SET parked_at = NULL, attempts = 0, next_at = clock_timestamp()"
                " WHERE parked_at IS NOT NULL AND topic = 'venue.lock'"
            )

    def check(self) -> None:
        """Raises what ended the witness, the shard or the gateway."""
        for reader in (self.witness, self.shard):
            if reader.failed is not None:
                raise reader.failed


@asynccontextmanager
async def venue_firm(kind: Kind, folder: Path, database_url: str, shard: int) -> AsyncIterator[VenueFirm]:
    """The firm at work: the gateway has caught up with a venue without accounts."""
    folder.mkdir(parents=True)
    venue_port, wire_port, gateway_port = free_ports(3)
    place = Place(venue_port, wire_port, folder)
    fields = {
        "gateway": f"http://127.0.0.1:{gateway_port}",
        "gateway_token": secrets.token_urlsafe(16),
        "gateway_reconcile_seconds": _RECONCILE_SECONDS,
        "gateway_wall_clock": "false",
        **kind.fields(place),
    }
    control, platform = kind.control(place), platform_of(kind, fields)
    gateway = GatewayProcess(kind.name, folder, fields["gateway"], fields)
    witness, judging = Witness(platform), ShardReader(database_url, platform, kind.name, shard)
    with fake(kind, place):
        relay = asyncio.create_task(_relay(database_url, kind.name, platform_of(kind, fields)))
        gateway.start()
        try:
            yield VenueFirm(kind, control, gateway, platform, witness, judging, database_url)
        finally:
            relay.cancel()
            await asyncio.gather(relay, return_exceptions=True)
            await asyncio.gather(*(asyncio.to_thread(each.end) for each in (witness, judging) if each.started))
            gateway.end()
            await control.aclose()
            await platform.aclose()


@contextmanager
def fake(kind: Kind, place: Place) -> Iterator[None]:
    """Runs the fake of this kind, which listens."""

    def listens() -> bool:
        with suppress(httpx.TransportError):
            httpx.get(f"http://127.0.0.1:{place.port}/health", trust_env=False)
            return True
        return False

    with running(kind.argv(place), listens, place.folder / "venue.log", environment=child_environment({})):
        yield


async def _relay(database_url: str, name: str, platform: TradingPlatform) -> None:
    """Delivers the locks that did not reach the venue. There is no Temporal: signals wait."""

    async def nowhere() -> NoReturn:
        raise Unavailable("There is no Temporal in this run.")

    db = Database(database_url, pool_size=2)
    dispatcher = OutboxDispatcher(db, nowhere, Platforms({name: platform}, name))
    try:
        while True:
            await dispatcher.step()
            await asyncio.sleep(_RELAY_PAUSE)
    finally:
        await platform.aclose()
        await db.close()
