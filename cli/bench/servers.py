"""Starts the temporary servers of a benchmark, as `propos up` does."""

import base64
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx

from adapters.platforms.sandbox import SandboxPlatform
from cli.stack.embedded import postgres, temporal
from cli.stack.probes import free_ports
from cli.stack.processes import own_argv, running
from settings import child_environment, load
from store.migrate import upgrade


@dataclass(frozen=True, slots=True)
class Servers:
    database_url: str
    platform: SandboxPlatform
    client: httpx.Client

    def open_account(self, number: int) -> int:
        """Opens an account at the platform; returns its login."""
        body = {"key": f"bench/{number}", "group": "bench/1", "currency": "USD", "leverage": 100}
        return int(self.client.post("/venue/accounts", json=body).raise_for_status().json()["login"])


@dataclass(frozen=True, slots=True)
class PayoutServers:
    """`owner_url`: the database under the role that owns it. `environment`: of the processes of the firm, which use
    the application's role."""

    folder: Path
    owner_url: str
    environment: dict[str, str]

    @contextmanager
    def process(self, name: str, *arguments: str) -> Iterator[None]:
        """Runs `cli.bench.processes NAME` until the block ends; it has begun when it has made its ready file."""
        ready = self.folder / f"{name}.ready"
        argv = [sys.executable, "-P", "-m", "cli.bench.processes", name, str(ready), *arguments]
        with running(argv, ready.exists, self.folder / f"{name}.log", environment=self.environment):
            yield


@contextmanager
def payout_servers() -> Iterator[PayoutServers]:
    """Yields PostgreSQL with the newest schema and Temporal, both with the settings of `propos up`."""
    with _folder() as folder, _postgres(folder) as cluster, _temporal(folder) as address:
        upgrade(cluster.url())
        environment: dict[str, str | None] = {
            "PROPOS_DATA": str(folder / "data"),
            "DATABASE_URL": cluster.app_url(),
            "TEMPORAL_ADDRESS": address,
            "PROPOS_PAYLOAD_KEYS": "k1:" + base64.b64encode(os.urandom(32)).decode(),
            "PROPOS_LOG_LEVEL": "warning",
        }
        yield PayoutServers(folder, cluster.url(), child_environment(environment))


@contextmanager
def database() -> Iterator[tuple[str, str]]:
    """Yields PostgreSQL with the newest schema: its address for the owner, and for the application's role."""
    with _folder() as folder, _postgres(folder) as cluster:
        upgrade(cluster.url())
        yield cluster.url(), cluster.app_url()


@contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="propos-bench-", dir="/tmp"))
    folder.chmod(0o711)  # the user that PostgreSQL runs as must be able to pass through
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def servers() -> Iterator[Servers]:
    """Yields both servers when they are ready and the database has the newest schema; deletes them afterwards."""
    with _folder() as folder, _postgres(folder) as cluster, _sandbox(folder) as (address, token):
        upgrade(cluster.url())
        headers = {"Authorization": f"Bearer {token}"}
        with httpx.Client(base_url=address, headers=headers, timeout=60, trust_env=False) as client:
            yield Servers(cluster.url(), SandboxPlatform(url=address, token=token), client)


@contextmanager
def _temporal(folder: Path) -> Iterator[str]:
    (port,) = free_ports(1)
    address, namespace = f"127.0.0.1:{port}", load().temporal_namespace
    question = [str(temporal.binary()), "operator", "namespace", "describe", "-n", namespace, "--address", address]

    def ready() -> bool:
        return subprocess.run(question, capture_output=True, check=False).returncode == 0

    database = folder / "temporal.db"
    argv = temporal.server_argv(port=port, ui_port=None, database=database, namespace=namespace)
    with running(argv, ready, folder / "temporal.log"):
        yield address


@contextmanager
def _postgres(folder: Path) -> Iterator[postgres.Cluster]:
    cluster = postgres.prepare(folder / "postgres", open_parents=load().open_parents)
    administrator = cluster.url("postgres")
    with running(
        cluster.argv,
        partial(postgres.answers, administrator),
        folder / "postgres.log",
        user=cluster.user,
        stop=signal.SIGINT,
        environment=child_environment({}),
    ):
        postgres.ensure_database(cluster)
        yield cluster


@contextmanager
def _sandbox(folder: Path) -> Iterator[tuple[str, str]]:
    (port,) = free_ports(1)
    address, token = f"http://127.0.0.1:{port}", secrets.token_urlsafe(16)
    environment: dict[str, str | None] = {
        "PROPOS_DATA": str(folder / "data"),
        "PROPOS_SANDBOX_URL": address,
        "PROPOS_SANDBOX_TOKEN": token,
        "PROPOS_WEBHOOK_SECRET": secrets.token_urlsafe(16),
        "PROPOS_SANDBOX_STRIPE_SECRETS": ",".join(secrets.token_urlsafe(16) for _ in range(3)),
        "PROPOS_LOG_LEVEL": "warning",
    }

    def ready() -> bool:
        try:
            return httpx.get(f"{address}/health", trust_env=False).is_success
        except httpx.TransportError:
            return False

    argv = own_argv("sandbox")
    with running(argv, ready, folder / "sandbox.log", environment=child_environment(environment)):
        yield address, token
