"""`propos user` on a real PostgreSQL: a production installation's first sign-in, and what ends one."""

import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import func, select

from domain.errors import NotSignedIn
from store import audit, crypto, identity
from store.db import Database
from store.models import AuditEntry, Session, User

KEYS: Final = "k1:" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY="
NAME: Final = "Farid Nasser"


class Firm:
    """The command as a person runs it, and the record it leaves."""

    def __init__(self, database_url: str, data_dir: Path) -> None:
        self.db = Database(database_url, pool_size=2)
        self._env = dict(os.environ) | {"DATABASE_URL": database_url, "PROPOS_PAYLOAD_KEYS": KEYS}
        self._env |= {"PROPOS_DATA": str(data_dir), "COLUMNS": "200"}

    def user(self, *arguments: str, code: int = 0) -> str:
        """What `propos user …` prints."""
        done = subprocess.run(
            [sys.executable, "-m", "cli.main", "user", *arguments],
            env=self._env,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    def add(self, login: str = "farid", role: str = "finance", *more: str) -> str:
        """Adds a user and gives the printed password."""
        said = self.user("add", "--role", role, "--login", login, "--name", NAME, *more)
        (password,) = re.findall(r"Password \(shown only once\): (\S+)", said)
        return str(password)

    async def sign_in(self, login: str, password: str) -> identity.SignedIn:
        return await identity.sign_in(self.db, identity.Throttle(), login=login, password=password)

    async def holds(self, token: str) -> bool:
        async with self.db.transaction() as session:
            return await identity.current_session(session, token) is not None

    async def trail(self) -> list[tuple[str, str, dict[str, str]]]:
        async with self.db.transaction() as session:
            assert await audit.verify(session) is None
            entries = await session.scalars(select(AuditEntry).order_by(AuditEntry.seq))
            return [(entry.actor, entry.action, entry.evidence) for entry in entries]


@pytest.fixture
async def firm(database_url: str, tmp_path: Path) -> AsyncIterator[Firm]:
    crypto.install(crypto.FieldKeys.parse(KEYS))
    made = Firm(database_url, tmp_path)
    yield made
    await made.db.close()


async def test_the_first_member_of_a_firm_signs_in_with_the_password_that_was_printed_once(firm: Firm) -> None:
    password = firm.add()
    assert len(password) >= 20
    signed_in = await firm.sign_in("Farid", password)
    assert (signed_in.actor.role, signed_in.actor.trader_id) == ("finance", None)
    listed = firm.user("list")
    assert re.search(rf"farid\W+{NAME}\W+finance\W+{signed_in.actor.person_id}\W+yes", listed)
    assert password not in listed
    assert await firm.trail() == [("command-line", "user.created", {"role": "finance"})]


async def test_each_user_is_a_person_of_their_own_unless_it_is_said(firm: Firm) -> None:
    farid = (await firm.sign_in("farid", firm.add())).actor.person_id
    grace = (await firm.sign_in("grace", firm.add("grace"))).actor.person_id
    again = (await firm.sign_in("farid-admin", firm.add("farid-admin", "admin", "--person", farid))).actor.person_id
    assert (again == farid, grace == farid) == (True, False)


async def test_a_change_of_role_is_audited_and_ends_open_sessions(firm: Firm) -> None:
    password = firm.add()
    token = (await firm.sign_in("farid", password)).token
    assert "already finance" in firm.user("role", "farid", "finance")
    assert await firm.holds(token), "nothing changed"
    assert "now auditor" in firm.user("role", "FARID", "auditor")
    assert not await firm.holds(token)
    assert (await firm.sign_in("farid", password)).actor.role == "auditor"
    assert (await firm.trail())[1:] == [("command-line", "user.role_changed", {"from": "finance", "to": "auditor"})]


async def test_a_disabled_user_is_out_and_stays_out(firm: Firm) -> None:
    password, other = firm.add(), firm.add("grace")
    token, hers = (await firm.sign_in("farid", password)).token, (await firm.sign_in("grace", other)).token
    assert "now disabled" in firm.user("disable", "farid")
    assert "already disabled" in firm.user("disable", "farid")
    assert (await firm.holds(token), await firm.holds(hers)) == (False, True)
    async with firm.db.transaction() as session:
        revoked = select(func.count()).select_from(Session).where(Session.revoked_at.is_not(None))
        assert await session.scalar(revoked) == 1
    with pytest.raises(NotSignedIn):
        await firm.sign_in("farid", password)
    assert [action for _, action, _ in await firm.trail()] == ["user.created", "user.created", "user.disabled"]
    assert "disabled" in firm.user("list")


async def test_wrong_input_is_named_and_changes_nothing(firm: Firm) -> None:
    firm.add()
    for arguments, said in (
        (("add", "--role", "finance", "--login", " Farid ", "--name", NAME), "login is taken"),
        (("add", "--role", "trader", "--login", "x", "--name", NAME), "no staff role 'trader'"),
        (("add", "--role", "admin", "--login", " ", "--name", NAME), "--login must be one line"),
        (("add", "--role", "admin", "--login", "x", "--name", "a\nb"), "--name must be one line"),
        (("add", "--role", "admin", "--login", "x", "--name", NAME, "--person", "f@x.org"), "opaque id"),
        (("role", "farid", "king"), "no staff role 'king'"),
        (("role", "nobody", "admin"), "no user with this login"),
        (("disable", "nobody"), "no user with this login"),
    ):
        assert said in firm.user(*arguments, code=1)
    async with firm.db.transaction() as session:
        await identity.sign_up_trader(session, name="Mara", email="mara@example.org", password_hash="x", country="SE")
    assert "no member of staff" in firm.user("role", "mara@example.org", "admin", code=1)
    assert "mara" not in firm.user("list")
    async with firm.db.transaction() as session:
        assert await session.scalar(select(func.count()).select_from(User)) == 2
