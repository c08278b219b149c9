"""docs/runbooks/rotate-keys.md, command by command, on a firm at work: worker and relay run, and the rotation is killed
in the middle."""

import asyncio
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from temporalio.client import Client

from cli.compose import field_keys
from cli.secret_file import ensure_secrets
from settings import load
from store import crypto
from store.db import Database
from store.identity import add_user, hash_password, sign_in
from store.models import Trader
from tests import servers
from tests.architecture.source import ROOT
from tests.command_line import propos
from tests.integration.scripted_venue import WHEN

_RUNBOOK = ROOT / "docs" / "runbooks" / "rotate-keys.md"
_TRADERS = 1000
_PASSWORD = "correct horse battery"
_PATIENCE = 120.0


def commands() -> list[list[str]]:
    lines = re.findall(r"^ {4,}propos (.*)$", _RUNBOOK.read_text(), re.MULTILINE)
    return [shlex.split(line) for line in lines]


class Firm:
    """Worker and relay as processes of their own, with the secrets of a data folder."""

    def __init__(self, database_url: str, owner_url: str, temporal_address: str, folder: Path) -> None:
        self.url, self.owner_url, self.folder = database_url, owner_url, folder
        ensure_secrets(folder)
        self._env = dict(os.environ) | {
            "DATABASE_URL": database_url,
            "TEMPORAL_ADDRESS": temporal_address,
            "PROPOS_NAMESPACE": servers.NAMESPACE,
            "PROPOS_DATA": str(folder),
            "PROPOS_WORKER_METRICS_PORT": "0",
            "PROPOS_RELAY_METRICS_PORT": "0",
        }
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        argv = [sys.executable, "-P", "-m", "cli.main", *arguments]
        with (self.folder / f"{arguments[0]}.log").open("ab") as log:
            return subprocess.Popen(argv, env=self._env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=ROOT)

    def run(self, *arguments: str, code: int = 0) -> str:
        done = propos(*arguments, env=self._env)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout if "--json" in arguments else done.stdout + done.stderr

    def up(self) -> None:
        self._processes = [self.start("worker"), self.start("relay")]
        until(lambda: self.connected() >= 2, "both processes are connected")
        until(lambda: self.workflows() > 0, "workflows run")

    def stop(self) -> None:
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.wait(60)
        self._processes = []

    def connected(self) -> int:
        with psycopg.connect(self.owner_url) as connection:
            ids = ",".join(key_id for key_id, _ in load(data_dir=self.folder).payload_key_ring())
            query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = %s"
            found = connection.execute(query, (f"propos keys {ids}",)).fetchone()
        return int(found[0]) if found else 0

    def workflows(self) -> int:
        async def count() -> int:
            client = await Client.connect(self._env["TEMPORAL_ADDRESS"], namespace=servers.NAMESPACE)
            return (await client.count_workflows("ExecutionStatus = 'Running'")).count

        return asyncio.run(count())

    def moved(self, key_id: str) -> int:
        with psycopg.connect(self.owner_url) as connection:
            query = "SELECT count(*) FROM traders WHERE email_index LIKE %s"
            found = connection.execute(query, (f"{key_id}:%",)).fetchone()
        return int(found[0]) if found else 0

    def sign_in(self) -> None:
        """As the processes that are started now do."""
        crypto.install(field_keys(load(data_dir=self.folder)))

        async def attempt() -> None:
            db = Database(self.url)
            await sign_in(db, login="ada", password=_PASSWORD)
            await db.close()

        asyncio.run(attempt())


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(0.1)


@pytest.fixture
def firm(database_url: str, owner_url: str) -> Iterator[Firm]:
    with servers.scratch_dir("keys") as folder, servers.temporal_server() as address:
        made = Firm(database_url, owner_url, address, folder)
        try:
            yield made
        finally:
            made.stop()


def _fill(firm: Firm) -> None:
    crypto.install(field_keys(load(data_dir=firm.folder)))

    async def fill() -> None:
        db = Database(firm.url)
        hashed = await hash_password(_PASSWORD)
        async with db.transaction() as session:
            await add_user(session, login="ada", name="Ada", password_hash=hashed, role="finance", person_id="usr_ada")
            for number in range(_TRADERS):
                email = f"trader.{number}@example.org"
                session.add(
                    Trader(
                        id=f"trd_{number}",
                        name=f"Trader {number}",
                        email=email,
                        email_index=crypto.keys().blind_index(email),
                        country="SE",
                        created_at=WHEN,
                    )
                )
        await db.close()

    asyncio.run(fill())


def _rotate_killed_in_the_middle(firm: Firm) -> None:
    """The last trader is locked, so that the rotation cannot finish; then it is killed."""
    with psycopg.connect(firm.url) as busy:
        busy.execute("SELECT 1 FROM traders WHERE id = 'trd_999' FOR UPDATE")
        process = firm.start("keys", "rotate")
        until(lambda: firm.moved("k2") > 0, "rows are moved")
        process.send_signal(signal.SIGKILL)
        process.wait(60)
        assert 0 < firm.moved("k2") < _TRADERS
        firm.sign_in()


@pytest.mark.timeout(900)
def test_the_runbook_changes_the_keys_of_a_firm_at_work(firm: Firm) -> None:
    _fill(firm)
    firm.up()
    digest_key = load(data_dir=firm.folder).digest_key
    for arguments in commands():
        match arguments:
            case ["stop"]:
                firm.stop()
            case ["up"]:
                firm.up()
            case ["keys", "rotate"]:
                assert "process still encrypts" not in (refused := firm.run("keys", "retire", "k1", code=1))
                assert "1000 rows of traders.email_index" in refused
                assert "running workflows" in refused
                _rotate_killed_in_the_middle(firm)
                firm.run("keys", "rotate")
                assert firm.moved("k2") == _TRADERS
            case _:
                firm.run(*arguments)
        firm.sign_in()
    settings = load(data_dir=firm.folder)
    assert [key_id for key_id, _ in settings.payload_key_ring()] == ["k2"]
    assert settings.digest_key == digest_key
    listed = json.loads(firm.run("keys", "list", "--json"))
    assert [(key["id"], key["encrypts"]) for key in listed["keys"]] == [("k2", True)]
    assert listed["others"] == []


@pytest.mark.timeout(600)
def test_a_step_that_is_skipped_is_refused_with_the_reason(firm: Firm) -> None:
    _fill(firm)
    firm.up()
    assert "the key that encrypts" in firm.run("keys", "retire", "k1", code=1)
    firm.run("keys", "add")
    assert "a process has only k1" in firm.run("keys", "use", "k2", code=1)
    firm.stop()
    firm.up()
    firm.run("keys", "use", "k2")
    assert "a process still encrypts with k1" in firm.run("keys", "rotate", code=1)
    assert firm.moved("k2") == 0
    assert "There is no key 'k9'" in firm.run("keys", "use", "k9", code=1)


def test_keys_of_the_environment_are_printed_and_the_digests_stay(database_url: str) -> None:
    key = "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY="
    env = dict(os.environ) | {"PROPOS_PAYLOAD_KEYS": f"k1:{key}", "DATABASE_URL": database_url}
    done = propos("keys", "add", env=env)
    ring = re.search(r"^Set PROPOS_PAYLOAD_KEYS=(.*)$", done.stdout, re.MULTILINE)
    digest_key = re.search(r"^Set PROPOS_DIGEST_KEY=(.*)$", done.stdout, re.MULTILINE)
    assert ring is not None and digest_key is not None
    assert ring[1].startswith(f"k1:{key},k2:")
    before, after = crypto.FieldKeys.parse(f"k1:{key}"), crypto.FieldKeys.parse(ring[1], digest_key[1])
    assert before.digest("DE89370400440532013000") == after.digest("DE89370400440532013000")
