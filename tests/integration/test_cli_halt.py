"""`propos platform halt` as two persons run it, at a sandbox that stops everybody in one call."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from domain.approvals import Role
from store import crypto, identity
from store.db import Database
from tests.command_line import propos as run
from tests.contract.sandbox_process import SECRET, TOKEN
from tests.contract.sandbox_thread import SandboxThread, sandbox_thread
from tests.integration.command import KEYS

PASSWORD = "correct horse battery"
STAFF: tuple[tuple[str, Role], ...] = (("rosa", "risk"), ("ana", "admin"), ("sam", "support"))


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[SandboxThread]:
    with sandbox_thread(tmp_path / "sandbox") as running:
        yield running


@pytest.fixture
async def people(database_url: str) -> None:
    crypto.install(crypto.FieldKeys.parse(KEYS))
    db = Database(database_url, pool_size=2)
    hashed = await identity.hash_password(PASSWORD)
    async with db.transaction() as session:
        for login, role in STAFF:
            await identity.add_user(
                session, login=login, name=login, password_hash=hashed, role=role, person_id=f"person-{login}"
            )
    await db.close()


async def test_the_second_person_carries_it_out(
    database_url: str, people: None, sandbox: SandboxThread, tmp_path: Path
) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PROPOS_")}
    environment |= {"DATABASE_URL": database_url, "PROPOS_PAYLOAD_KEYS": KEYS, "PROPOS_DATA": str(tmp_path)}
    environment |= {"PROPOS_SANDBOX_URL": sandbox.url, "PROPOS_SANDBOX_TOKEN": TOKEN, "PROPOS_WEBHOOK_SECRET": SECRET}
    environment["PROPOS_OPEN_PARENTS"] = "1"

    def propos(login: str, *more: str, code: int = 0) -> str:
        command = ("platform", "halt", "sandbox", "--as", login, "--reason", "Broken.")
        done = run(*command, *more, env=environment, given=f"{PASSWORD}\n")
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    access = sandbox.market.venue.access
    assert "yours is support" in propos("sam", code=1)
    assert json.loads(propos("rosa", "--json"))["state"] == "waits"
    assert access.stopped() == frozenset()
    assert "is stopped; positions can be closed" in propos("ana")
    assert access.stopped() == {None}
    assert "waits for a second person" in propos("ana", "--symbol", "EURUSD")
    assert "is stopped" in propos("rosa", "--symbol", "EURUSD")
    assert access.stopped() == {None, "EURUSD"}
    propos("ana", "--lift")
    assert "goes on" in propos("rosa", "--lift")
    assert access.stopped() == {"EURUSD"}
