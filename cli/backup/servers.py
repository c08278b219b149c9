"""The servers that a backup is made of: those that run, or the embedded ones, started for as long as it takes."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

from cli.stack.embedded import postgres, temporal
from cli.stack.lock import DataLock, holder
from cli.stack.probes import free_ports
from cli.stack.processes import end_leftovers, running
from domain.errors import NotFound
from settings import Settings, is_in_environment

_PATIENCE_SECONDS: Final = 120


def is_own(settings: Settings) -> bool:
    """Returns whether the database is one that the firm runs itself, not the embedded one."""
    return is_in_environment("database_url") or settings.owner_database_url is not None


@contextmanager
def record_in_use(settings: Settings) -> Iterator[str]:
    """Yields the owner's URL of the record, which may be in use. An embedded server that does not run is started, and
    nobody else can start it meanwhile. Raises NotFound for a folder without a firm."""
    data = settings.data_dir.absolute()
    pgdata = data / "postgres"
    if is_own(settings):
        yield settings.owner_database_url or settings.required("database_url")
    elif not (pgdata / "PG_VERSION").exists():
        raise NotFound(f"There is no firm in {data}.", remedy="Name its folder with --data, or set DATABASE_URL.")
    elif holder(data) is None:
        with DataLock(data):
            end_leftovers(data / "run")
            with embedded_postgres(settings) as url:
                yield url
    else:
        yield postgres.owner_url(pgdata)


@contextmanager
def embedded_postgres(settings: Settings) -> Iterator[str]:
    """Runs the embedded server, without the firm; yields the owner's URL. The caller holds the data folder's lock."""
    data = settings.data_dir.absolute()
    cluster = postgres.prepare(data / "postgres", open_parents=settings.open_parents)
    answers = partial(postgres.answers, cluster.url("postgres"))
    log = _log(data, "postgres")
    with running(cluster.argv, answers, log, user=cluster.user, stop=signal.SIGINT, patience=_PATIENCE_SECONDS):
        yield cluster.url()


@contextmanager
def embedded_temporal(settings: Settings) -> Iterator[Settings]:
    """Runs the embedded server on the data folder's file, without the firm; yields the settings with its address."""
    data = settings.data_dir.absolute()
    (port,) = free_ports(1)
    address, namespace = f"127.0.0.1:{port}", settings.temporal_namespace
    argv = temporal.server_argv(port=port, ui_port=None, database=data / "temporal.db", namespace=namespace)
    question = [str(temporal.binary()), "operator", "namespace", "describe", "-n", namespace, "--address", address]

    def ready() -> bool:
        return subprocess.run(question, capture_output=True, check=False).returncode == 0

    with running(argv, ready, _log(data, "temporal"), patience=_PATIENCE_SECONDS):
        yield settings.model_copy(update={"temporal_address": address})


def _log(data: Path, name: str) -> Path:
    folder = data / "logs"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder / f"restore-{name}.log"
