"""Starts a temporary PostgreSQL and simulated platform for a benchmark, as `propos up` does."""

import secrets
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx

from adapters.platforms.sandbox import SandboxPlatform
from cli.stack.embedded import postgres
from cli.stack.probes import free_ports
from cli.stack.processes import running
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


@contextmanager
def servers() -> Iterator[Servers]:
    """Yields both servers when they are ready and the database has the newest schema; deletes them afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="propos-bench-", dir="/tmp"))
    folder.chmod(0o711)  # the user that PostgreSQL runs as must be able to pass through
    try:
        with _postgres(folder) as url, _sandbox(folder) as (address, token):
            upgrade(url)
            headers = {"Authorization": f"Bearer {token}"}
            with httpx.Client(base_url=address, headers=headers, timeout=60, trust_env=False) as client:
                yield Servers(url, SandboxPlatform(url=address, token=token), client)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _postgres(folder: Path) -> Iterator[str]:
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
        yield cluster.url()


@contextmanager
def _sandbox(folder: Path) -> Iterator[tuple[str, str]]:
    (port,) = free_ports(1)
    address, token = f"http://127.0.0.1:{port}", secrets.token_urlsafe(16)
    environment: dict[str, str | None] = {
        "PROPOS_DATA": str(folder / "data"),
        "PROPOS_SANDBOX_URL": address,
        "PROPOS_SANDBOX_TOKEN": token,
        "PROPOS_WEBHOOK_SECRET": secrets.token_urlsafe(16),
        "PROPOS_LOG_LEVEL": "warning",
    }

    def ready() -> bool:
        try:
            return httpx.get(f"{address}/health", trust_env=False).is_success
        except httpx.TransportError:
            return False

    argv = [sys.executable, "-P", "-m", "cli.main", "sandbox"]
    with running(argv, ready, folder / "sandbox.log", environment=child_environment(environment)):
        yield address, token
