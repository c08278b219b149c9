"""Real servers for tests, from the same wheels and by the same code as `propos up`, each in a folder under /tmp."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import psycopg
from psycopg import sql
from temporalio.client import Client
from temporalio.service import RPCError

from cli.stack.embedded import postgres, temporal
from cli.stack.probes import free_ports
from cli.stack.processes import running
from store.roles import APP

NAMESPACE = "propos"
_AS_FIRM = "&options=-c%20app.scope%3Dfirm"
# Environment variables: servers that run already, for tests that a test of another process starts.
POSTGRES, TEMPORAL = "PROPOS_TEST_POSTGRES", "PROPOS_TEST_TEMPORAL"
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
def temporal_server(database: Path | None = None, dynamic: dict[str, str] | None = None) -> Iterator[str]:
    """A Temporal server of its own with the namespace `propos`. Yields its address. `database`: the file of its state;
    None: in memory. `dynamic`: its dynamic configuration."""
    (port,) = free_ports(1)
    address = f"127.0.0.1:{port}"
    question = [str(temporal.binary()), "operator", "namespace", "describe", "-n", NAMESPACE, "--address", address]

    def ready() -> bool:
        return subprocess.run(question, capture_output=True, check=False).returncode == 0

    with scratch_dir("temporal") as folder:
        argv = temporal.server_argv(port=port, ui_port=None, database=database, namespace=NAMESPACE, dynamic=dynamic)
        with running(argv, ready, folder / "log"):
            yield address


async def end_workflows(address: str) -> None:
    """Terminates every workflow that runs in the namespace `propos`."""
    client = await Client.connect(address, namespace=NAMESPACE)
    async for found in client.list_workflows("ExecutionStatus = 'Running'"):
        with suppress(RPCError):  # it ended by itself since the list was made
            await client.get_workflow_handle(found.id).terminate("its test is over")


async def at_work(client: Client) -> bool:
    """Whether a workflow that runs has a task or an activity in its first attempt. One that is tried again after a
    failure waits for something else."""
    async for found in client.list_workflows("ExecutionStatus = 'Running'"):
        with suppress(RPCError):  # it ended since the list was made
            now = (await client.get_workflow_handle(found.id, run_id=found.run_id).describe()).raw_description
            first = [each for each in now.pending_activities if each.attempt <= 1]
            if first or (now.HasField("pending_workflow_task") and now.pending_workflow_task.attempt <= 1):
                return True
    return False


def create_database(cluster_url: str, name: str, template: str = "template1") -> None:
    with psycopg.connect(cluster_url, autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
        )


def has_database(cluster_url: str, name: str) -> bool:
    with psycopg.connect(cluster_url, autocommit=True) as connection:
        return connection.execute("SELECT FROM pg_database WHERE datname = %s", [name]).fetchone() is not None


def drop_database(cluster_url: str, name: str) -> None:
    with psycopg.connect(cluster_url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def database_of(cluster_url: str, name: str) -> str:
    """The URL of another database on the same server."""
    return cluster_url.replace("@/postgres?", f"@/{name}?")


def as_app(url: str) -> str:
    """The same database under the application's role, which owns nothing. Connections say that they are the firm's, as
    those of its processes do."""
    return url.replace("//postgres@/", f"//{APP}@/") + _AS_FIRM


def as_owner(url: str) -> str:
    """The same database under the administrator's role: what somebody with every right on it can do."""
    return url.replace(f"//{APP}@/", "//postgres@/").removesuffix(_AS_FIRM)


def without_scope(url: str) -> str:
    """The same database, for connections that say nothing of whose rows they want."""
    return url.removesuffix(_AS_FIRM)
