"""Engines, connections and transactions. One request or task is one transaction.

Row security: a transaction sees the rows of its scope (`store/scope.py`), and none without one. The processes of the
firm name themselves when they connect; a request names whom it acts for in each of its transactions.
"""

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, cast

import psycopg
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import Engine, Executable, TextClause, create_engine, event, text
from sqlalchemy.exc import DisconnectionError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from store.scope import FIRM, Scope, acting

_TRUSTED_SECONDS: Final = 0.5  # a server that restarts takes longer
_USED_AT: Final = "used_at"
_PREPARE_AFTER: Final = 1  # a statement that comes twice on a connection comes many times: it is planned only once
_PREPARED: Final = (
    400  # a process has more statements than the driver keeps by default; those it drops are planned anew
)
_SCOPE: Final = "scope"
_NAME_SCOPE: Final[TextClause] = text(
    "SELECT set_config('app.scope', :scope, true), set_config('app.trader', :trader, true)"
)
LONG_JOB_SECONDS: Final = 3600


@dataclass(frozen=True)
class Limits:
    """When the server ends what a connection of ours does, in seconds; 0: never."""

    statement: int = 120
    lock: int = 30
    idle_in_transaction: int = 120
    transaction: int = 300  # shorter than `store.read.listing.OVERLAP`

    def options(self) -> str:
        named = {
            "statement_timeout": self.statement,
            "lock_timeout": self.lock,
            "idle_in_transaction_session_timeout": self.idle_in_transaction,
            "transaction_timeout": self.transaction,
        }
        return " ".join(f"-c {name}={seconds}s" for name, seconds in named.items())


_limits = Limits()


def install(limits: Limits) -> None:
    """Sets the limits of every connection that this process opens from now on. The composition root calls it."""
    global _limits
    _limits = limits


def sqlalchemy_url(database_url: str) -> str:
    """Returns `postgresql://…` as a URL of SQLAlchemy's psycopg 3 dialect. Raises ValueError for another scheme."""
    scheme, rest = database_url.split("://", 1)
    if scheme.split("+")[0] not in ("postgresql", "postgres"):
        raise ValueError(f"DATABASE_URL must start with postgresql://, not {scheme}://")
    return f"postgresql+psycopg://{rest}"


def sync_engine(database_url: str) -> Engine:
    return create_engine(sqlalchemy_url(database_url), pool_size=1, hide_parameters=True)


def _options(database_url: str, scope: Scope) -> str:
    """Returns what a connection tells the server when it begins: its limits and its scope. The URL may set others."""
    given = str(conninfo_to_dict(database_url).get("options") or "")
    settings = _settings(scope)
    named = " ".join(f"-c app.{name}={value}" for name, value in settings.items())
    return f"{_limits.options()} {given} {named}"


def _settings(scope: Scope) -> dict[str, str]:
    return {"scope": "firm" if scope.trader_id is None else "", "trader": scope.trader_id or ""}


def connect(database_url: str, *, autocommit: bool = False, **more: Any) -> psycopg.Connection:
    """Opens a connection of a process of the firm, outside of any pool. `more`: further parameters of libpq."""
    return psycopg.connect(database_url, autocommit=autocommit, options=_options(database_url, FIRM), **more)


async def connect_async(database_url: str, *, autocommit: bool = False) -> psycopg.AsyncConnection:
    """Like `connect`, for coroutines."""
    options = _options(database_url, FIRM)
    return await psycopg.AsyncConnection.connect(database_url, autocommit=autocommit, options=options)


class Database:
    """The process's pool of connections."""

    def __init__(self, database_url: str, *, pool_size: int = 10, name: str = "propos", scope: Scope = FIRM) -> None:
        """`name`: what the server shows for the connections, in pg_stat_activity. `scope`: of transactions that neither
        name one nor belong to a request."""
        self.url = database_url
        self._scope = scope
        self.engine: AsyncEngine = create_async_engine(
            sqlalchemy_url(database_url),
            pool_size=pool_size,
            max_overflow=5,
            pool_use_lifo=True,  # the connection that was used last has its statements planned and its caches warm
            hide_parameters=True,
            connect_args={
                "application_name": name,
                "prepare_threshold": _PREPARE_AFTER,
                "options": _options(database_url, scope),
            },
        )
        _keep_prepared(self.engine.sync_engine)
        _ping_after_rest(self.engine.sync_engine)
        self._sessions = async_sessionmaker(self.engine, expire_on_commit=False)
        self._at_once = self.engine.execution_options(isolation_level="AUTOCOMMIT")

    @asynccontextmanager
    async def transaction(self, scope: Scope | None = None) -> AsyncIterator[AsyncSession]:
        """Open a session. It commits at the end of the block; an exception rolls it back. `scope`: None for that of the
        request, or of the process."""
        wanted = scope if scope is not None else acting()
        async with self._sessions() as session, session.begin():
            session.info[_SCOPE] = self._scope
            if wanted is not None:
                await switch(session, wanted)
            yield session

    async def execute_at_once(self, statement: Executable, values: Mapping[str, Any]) -> None:
        """Run one statement as its own transaction, in one round trip. It is committed when this returns. It has the
        scope of the process."""
        async with self._at_once.connect() as connection:
            await connection.execute(statement, values)

    async def fetch_at_once(self, statement: Executable, values: Mapping[str, Any]) -> Any:
        """Run one statement as its own transaction, in one round trip. Returns its only row."""
        async with self._at_once.connect() as connection:
            return (await connection.execute(statement, values)).one()

    async def close(self) -> None:
        await self.engine.dispose()


async def switch(session: AsyncSession, scope: Scope) -> None:
    """From now on this transaction sees the rows of `scope`. Its connection forgets that when the transaction ends."""
    if session.info.get(_SCOPE) == scope:
        return
    await session.execute(_NAME_SCOPE, _settings(scope))
    session.info[_SCOPE] = scope


@asynccontextmanager
async def as_firm(session: AsyncSession) -> AsyncIterator[None]:
    """For a check of the firm within a trader's transaction, which needs the rows of others: how often a coupon was
    used, who else has this bank account. What it returns must not show those rows."""
    before = cast("Scope", session.info.get(_SCOPE, FIRM))
    if before == FIRM:
        yield
        return
    await switch(session, FIRM)
    try:
        yield
    except BaseException:
        with suppress(SQLAlchemyError):  # the transaction has failed: the server takes the setting back with the rest
            await switch(session, before)
        session.info[_SCOPE] = before
        raise
    await switch(session, before)


async def allow_long_job(session: AsyncSession) -> None:
    """Lets each statement of this transaction take an hour, and the whole as long as it takes. The jobs that need it:
    docs/settings.md#the-database. They must not write rows that others copy by `updated_since`."""
    # no SELECT: after one, nobody can choose what the transaction sees any more
    await session.execute(text(f"SET LOCAL statement_timeout = '{LONG_JOB_SECONDS}s'"))
    await session.execute(text("SET LOCAL transaction_timeout = 0"))


def _keep_prepared(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def keep(connection: Any, _record: Any) -> None:
        connection.driver_connection.prepared_max = _PREPARED


def _ping_after_rest(engine: Engine) -> None:
    """Has a connection that was not used for a moment asked whether its server is still there, before it is used. One
    that is busy is not asked: it would cost a round trip for each transaction."""

    @event.listens_for(engine, "checkin")
    def note(_connection: Any, record: Any) -> None:
        record.info[_USED_AT] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def ask(connection: Any, record: Any, _proxy: Any) -> None:
        used_at = record.info.get(_USED_AT)
        if used_at is None or time.monotonic() - used_at < _TRUSTED_SECONDS:
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            raise DisconnectionError("The server closed this connection.") from error
