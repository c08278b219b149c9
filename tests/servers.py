"""Real servers for tests, from the same wheels and by the same code as `propos up`, each in a folder under /tmp."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psycopg
from psycopg import sql

from cli.stack.embedded import postgres, temporal
from cli.stack.probes import free_ports
from cli.stack.processes import running

NAMESPACE = "propos"
# Speed for data that nobody keeps; durability is tested on the stack that `up` starts.
_FAST = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "shared_buffers": "128MB"}


@contextmanager
def scratch_dir(prefix: str) -> Iterator[Path]:
    """A folder with a short path (unix sockets need one) that other users may pass through, removed afterwards."""
    path = Path(tempfile.mkdtemp(prefix=f"propos-{prefix}-", dir="/tmp"))
    path.chmod(0o711)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def postgres_server() -> Iterator[postgres.Cluster]:
    """A PostgreSQL of its own."""
    with scratch_dir("pg") as folder:
        cluster = postgres.prepare(
            folder / "postgres", open_parents=os.environ.get("PROPOS_OPEN_PARENTS") == "1", configuration=_FAST
        )
        answers = partial(postgres.answers, cluster.url("postgres"))
        with running(cluster.argv, answers, folder / "log", user=cluster.user, stop=signal.SIGINT):
            yield cluster


@contextmanager
def temporal_server() -> Iterator[str]:
    """A Temporal server of its own, state in memory, with the namespace `propos`. Yields its address."""
    (port,) = free_ports(1)
    address = f"127.0.0.1:{port}"
    question = [str(temporal.binary()), "operator", "namespace", "describe", "-n", NAMESPACE, "--address", address]

    def ready() -> bool:
        return subprocess.run(question, capture_output=True, check=False).returncode == 0

    with scratch_dir("temporal") as folder:
        argv = temporal.server_argv(port=port, ui_port=None, database=None, namespace=NAMESPACE)
        with running(argv, ready, folder / "log"):
            yield address


def create_database(cluster_url: str, name: str, template: str = "template1") -> None:
    with psycopg.connect(cluster_url, autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
        )


def drop_database(cluster_url: str, name: str) -> None:
    with psycopg.connect(cluster_url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def database_of(cluster_url: str, name: str) -> str:
    """The URL of another database on the same server."""
    return cluster_url.replace("@/postgres?", f"@/{name}?")
