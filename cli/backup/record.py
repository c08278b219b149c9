"""The record in a backup: dumped at one moment, restored beside what is there, and put into its place at the end."""

import errno
import os
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncSession

from cli.stack.embedded import postgres
from cli.stack.processes import launch_argv
from domain.errors import Conflict, NotAllowed, NotFound, Unavailable
from domain.quoting import cut
from settings import child_environment
from store import db, ledger_check, migrate, roles
from store.db import Database, Limits

_COUNTED: Final = ("traders", "challenges", "payouts", "ledger_transactions", "postings", "audit_log", "outbox")
FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_AS_FIRM: Final = "-c app.scope=firm"
_JOBS: Final = 2


class Databases:
    """The databases of the server of an owner's URL."""

    def __init__(self, owner_url: str) -> None:
        self._url = make_url(owner_url)
        self.name = self._url.database or ""

    def url(self, name: str) -> str:
        return self._url.set(database=name).render_as_string(hide_password=False)

    def connect(self, name: str = "postgres") -> "psycopg.Connection[Any]":
        """Raises Unavailable."""
        try:
            return psycopg.connect(self.url(name), autocommit=True)
        except psycopg.OperationalError as error:
            raise Unavailable(
                f"PostgreSQL does not answer: {_first_line(str(error))}",
                remedy="Start it, or correct PROPOS_OWNER_DATABASE_URL.",
            ) from None

    def exists(self, name: str) -> bool:
        with self.connect() as connection:
            found = connection.execute("SELECT FROM pg_database WHERE datname = %s", [name]).fetchone()
            return found is not None

    def has_tables(self, name: str) -> bool:
        with self.connect(name) as connection:
            query = "SELECT FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = to_regnamespace('public')"
            return connection.execute(query + " LIMIT 1").fetchone() is not None

    def create(self, name: str) -> None:
        with self.connect() as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))

    def drop(self, name: str) -> None:
        with self.connect() as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def check_unused(self, name: str) -> None:
        """Raises Conflict while somebody is connected to the database."""
        with self.connect() as connection:
            query = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND backend_type = 'client backend'"
            row = connection.execute(query, [name]).fetchone()
        if row is not None and row[0]:
            raise _in_use(name)

    def put_in_place(self, new: str, aside: str | None) -> None:
        """Gives `new` the name of the record. What has it is called `aside` from then on; None: there is nothing."""
        rename = sql.SQL("ALTER DATABASE {} RENAME TO {}")
        try:
            with self.connect() as connection, connection.transaction():
                if aside is not None:
                    connection.execute(rename.format(sql.Identifier(self.name), sql.Identifier(aside)))
                connection.execute(rename.format(sql.Identifier(new), sql.Identifier(self.name)))
        except psycopg.errors.ObjectInUse:
            raise _in_use(self.name) from None


def _in_use(name: str) -> Conflict:
    return Conflict(
        f"Processes are connected to the database {name}: it was not replaced.",
        remedy="Stop every process of the firm first, and close every other connection.",
    )


def check_owner(owner_url: str) -> None:
    """Raises NotAllowed for a role that does not own the tables, NotFound for a database without them."""
    with Databases(owner_url).connect(make_url(owner_url).database or "") as connection:
        query = (
            "SELECT r.rolsuper OR pg_has_role(c.relowner, 'USAGE') FROM pg_class c, pg_roles r"
            " WHERE c.oid = to_regclass('public.alembic_version') AND r.rolname = current_user"
        )
        row = connection.execute(query).fetchone()
    if row is None:
        raise NotFound("The database has no tables of PropOS.", remedy="Correct PROPOS_OWNER_DATABASE_URL.")
    if not row[0]:
        raise NotAllowed(
            "The role of this URL does not own the tables.",
            remedy="Set PROPOS_OWNER_DATABASE_URL to the URL that `propos migrate` uses.",
        )


@asynccontextmanager
async def one_moment(owner_url: str) -> AsyncIterator[AsyncSession]:
    """A transaction that sees the record as it is now, whatever is written meanwhile, for as long as it takes."""
    db.install(Limits(statement=0, lock=0, idle_in_transaction=0, transaction=0))
    database = Database(owner_url, pool_size=1, name="propos backup")
    try:
        async with database.engine.connect() as connection:
            await connection.execution_options(isolation_level="REPEATABLE READ")
            async with AsyncSession(connection) as session, session.begin():
                yield session
    finally:
        await database.close()


async def look(session: AsyncSession) -> tuple[str, dict[str, int], int | None]:
    """Returns (revision of the schema, rows of some tables, faults of the books). The books under another schema than
    this version's are not checked: None."""
    revision = str(await session.scalar(text("SELECT version_num FROM alembic_version")))
    is_ours = revision == migrate.newest()
    faults = sum(result.faults for result in await ledger_check.check(session)) if is_ours else None
    rows = {table: int(await session.scalar(text(f"SELECT count(*) FROM {table}")) or 0) for table in _COUNTED}
    return revision, rows, faults


def dump(owner_url: str, snapshot: str, target: Path) -> None:
    """Raises Unavailable with what pg_dump says, OSError when the disk is full."""
    arguments = ["--format=custom", f"--snapshot={snapshot}", f"--file={target}", "--enable-row-security"]
    try:
        _run("pg_dump", owner_url, arguments)
    except Unavailable as error:
        if any(os.strerror(number) in error.message for number in FULL):
            raise OSError(errno.ENOSPC, error.message) from error
        raise


def load(owner_url: str, source: Path) -> None:
    """Restores into an empty database. Raises Unavailable with what pg_restore says."""
    engine = db.sync_engine(owner_url)
    with engine.begin() as connection:
        roles.make(connection)
        connection.execute(text(f"GRANT USAGE, CREATE ON SCHEMA public TO {roles.OWNER}"))
    engine.dispose()
    _run("pg_restore", owner_url, ["--exit-on-error", f"--jobs={_JOBS}", "--enable-row-security", str(source)])


def _run(program: str, owner_url: str, arguments: list[str]) -> None:
    """Runs a program of PostgreSQL. The password is in its environment, where other users do not see it."""
    fields: dict[str, Any] = conninfo_to_dict(owner_url)
    password, options = fields.pop("password", None), fields.pop("options", None)
    environment = child_environment(
        {
            "PGOPTIONS": f"{options or ''} {_AS_FIRM}".strip(),
            **({"PGPASSWORD": str(password)} if password else {}),
        }
    )
    command = [str(postgres.binaries() / program), "--no-password", f"--dbname={make_conninfo(**fields)}", *arguments]
    command = launch_argv(command, user=None, death_signal=signal.SIGKILL)
    done = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise Unavailable(_first_line(done.stderr) or f"{program} ended with the code {done.returncode}.")


def _first_line(words: str) -> str:
    return cut(next((line.strip() for line in words.splitlines() if line.strip()), ""), 300)
