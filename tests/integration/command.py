"""The `propos` command as a person runs it, on a real PostgreSQL, and the record it leaves."""

import os
import re
from pathlib import Path
from typing import Final

from sqlalchemy import select

from store import audit_chain, identity
from store.db import Database
from store.models import AuditEntry
from tests.command_line import propos

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
        return self.run("user", *arguments, code=code)

    def run(self, *arguments: str, code: int = 0) -> str:
        """What `propos …` prints."""
        done = propos(*arguments, env=self._env)
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    def add(self, login: str = "farid", role: str = "finance", *more: str) -> str:
        """Adds a user and gives the printed password."""
        said = self.user("add", "--role", role, "--login", login, "--name", NAME, *more)
        (password,) = re.findall(r"Password \(shown only once\): (\S+)", said)
        return str(password)

    async def sign_in(self, login: str, password: str) -> identity.SignedIn:
        return await identity.sign_in(self.db, login=login, password=password)

    async def holds(self, token: str) -> bool:
        async with self.db.transaction() as session:
            return await identity.current_session(session, token) is not None

    async def trail(self) -> list[tuple[str, str, dict[str, str]]]:
        async with self.db.transaction() as session:
            assert (await audit_chain.verify(session)).broken_at is None
            entries = await session.scalars(select(AuditEntry).order_by(AuditEntry.seq))
            return [(entry.actor, entry.action, entry.evidence) for entry in entries]
