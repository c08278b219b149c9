"""Row security: what the database shows and takes, by the catalogue and by what happens."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest
import yaml
from psycopg import sql
from psycopg.errors import InsufficientPrivilege
from sqlalchemy import select, text

from cli.init import init
from cli.stack.embedded import postgres
from domain.approvals import Actor
from store import roles
from store.db import Database, Limits, as_firm, connect, connect_async, install
from store.models import Trader
from store.scope import FIRM, NOBODY, Scope, act_for, request_scope
from tests import servers
from tests.architecture.source import ROOT

NOW: Final = datetime(2026, 1, 5, tzinfo=UTC)
A, B = "trd_a", "trd_b"
GUARDED: Final = """
    SELECT c.relname, c.relrowsecurity, c.relforcerowsecurity,
           ARRAY(SELECT p.polname::text FROM pg_policy p WHERE p.polrelid = c.oid AND p.polcmd = '*' AND p.polpermissive
                    AND p.polqual IS NOT NULL AND p.polwithcheck IS NOT NULL),
           (SELECT count(*) FROM pg_policy p WHERE p.polrelid = c.oid)
      FROM pg_class c
     WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
       AND (c.relname = 'traders' OR EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid
                                                AND a.attname = 'trader_id' AND NOT a.attisdropped))
     ORDER BY c.relname
"""
_CONDITIONS: Final = """
    SELECT c.relname, k.conname FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
     WHERE c.relnamespace = 'public'::regnamespace AND k.contype = 'c' AND c.relrowsecurity
"""
_SEALED: Final = {
    *("postings", "ledger_transactions", "audit_log", "audit_anchors", "decisions", "proofs", "history_points"),
}


def _owner_of(table: str) -> str:
    return "id" if table == "traders" else "trader_id"


def _fill(owner_url: str) -> list[str]:
    """Gives each guarded table a row of each of two traders, without triggers and other conditions. Returns the
    tables."""
    with psycopg.connect(owner_url) as connection:
        connection.execute("SET LOCAL session_replication_role = replica")
        tables = [str(row[0]) for row in connection.execute(GUARDED.encode()).fetchall()]
        for table, name in connection.execute(_CONDITIONS.encode()).fetchall():
            drop = sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}")
            connection.execute(drop.format(sql.Identifier(table), sql.Identifier(name)))
        for table in tables:
            for trader in (A, B):
                row = _row(connection, table, trader)
                names = sql.SQL(", ").join(map(sql.Identifier, row))
                values = sql.SQL(", ").join(sql.Literal(value) for value in row.values())
                # a constant of unknown type becomes the column's
                connection.execute(
                    sql.SQL("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE VALUES ({})").format(
                        sql.Identifier(table), names, values
                    )
                )
    return tables


def _row(connection: psycopg.Connection[Any], table: str, trader: str) -> dict[str, str]:
    columns = connection.execute(
        "SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = 'public'"
        " AND table_name = %s AND is_nullable = 'NO' AND is_generated = 'NEVER'",
        (table,),
    ).fetchall()
    row = {str(name): _made_up(str(name), str(kind), trader) for name, kind in columns}
    return row | {_owner_of(table): trader}


def _made_up(name: str, kind: str, trader: str) -> str:
    plain = {
        "boolean": "true",
        "bytea": "\\x00",
        "jsonb": "{}",
        "ARRAY": "{}",
        "timestamp with time zone": NOW.isoformat(),
        "date": "2026-01-05",
    }
    if kind in ("integer", "bigint", "smallint", "numeric"):
        return str(1 + (trader == B))
    if kind in plain:
        return plain[kind]
    return {"currency": "USD", "country": "DE"}.get(name, f"{trader}")


@dataclass(frozen=True)
class Wall:
    """A database with a row of each of two traders in each guarded table."""

    url: str  # of the application's role; says nothing of whose rows
    owner_url: str
    tables: list[str]


@pytest.fixture
def wall(owner_url: str) -> Wall:
    return Wall(servers.without_scope(servers.as_app(owner_url)), owner_url, _fill(owner_url))


@pytest.fixture
async def db(wall: Wall) -> AsyncIterator[Database]:
    db = Database(wall.url, pool_size=1, scope=NOBODY)
    yield db
    await db.close()


def _owners(connection: psycopg.Connection[Any], table: str) -> set[str]:
    column, name = sql.Identifier(_owner_of(table)), sql.Identifier(table)
    return {str(row[0]) for row in connection.execute(sql.SQL("SELECT {} FROM {}").format(column, name)).fetchall()}


def test_every_table_with_a_trader_is_guarded_also_from_its_owner(owner_url: str) -> None:
    with psycopg.connect(owner_url) as connection:
        found = connection.execute(GUARDED.encode()).fetchall()
    assert len(found) >= 16
    assert [row for row in found if (row[1:] != (True, True, ["by_trader"], 1))] == []


def test_a_later_table_is_guarded_by_the_next_migration(owner_url: str) -> None:
    with psycopg.connect(owner_url) as connection:
        connection.execute("CREATE TABLE later (trader_id text)")
        connection.execute("SELECT secure_rows()")
        found = {row[0]: row[1:] for row in connection.execute(GUARDED.encode()).fetchall()}
    assert found["later"] == (True, True, ["by_trader"], 1)


def test_views_would_show_the_rows_of_the_reader(owner_url: str) -> None:
    with psycopg.connect(owner_url) as connection:
        views = connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
            " AND (relkind = 'm' OR relkind = 'v' AND NOT coalesce('security_invoker=true' = ANY(reloptions), false))"
        ).fetchall()
    assert views == []


def test_a_connection_that_says_nothing_sees_no_row(wall: Wall) -> None:
    with psycopg.connect(wall.url) as connection:
        assert {table: seen for table in wall.tables if (seen := _owners(connection, table))} == {}


def test_a_setting_that_a_transaction_left_behind_shows_nothing(wall: Wall) -> None:
    with psycopg.connect(wall.url, autocommit=True) as connection:
        with connection.transaction():
            connection.execute("SELECT set_config('app.trader', %s, true), set_config('app.scope', 'firm', true)", (A,))
            assert _owners(connection, "traders") == {A, B}
        assert connection.execute("SELECT current_setting('app.trader', true)").fetchone() == ("",)
        assert {table: seen for table in wall.tables if (seen := _owners(connection, table))} == {}


def test_a_transaction_of_a_trader_sees_no_row_of_another(wall: Wall) -> None:
    with psycopg.connect(wall.url) as connection:
        connection.execute("SELECT set_config('app.trader', %s, true)", (A,))
        assert {table: _owners(connection, table) for table in wall.tables} == {table: {A} for table in wall.tables}


def test_a_transaction_of_a_trader_writes_no_row_of_another(wall: Wall) -> None:
    """As the owner, whom FORCE binds, so that neither privilege nor trigger is what refuses."""
    with psycopg.connect(wall.owner_url, autocommit=True) as connection:
        for table in wall.tables:
            column, name = sql.Identifier(_owner_of(table)), sql.Identifier(table)
            row = _row(connection, table, B)
            insert = sql.SQL("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE VALUES ({})").format(
                name,
                sql.SQL(", ").join(map(sql.Identifier, row)),
                sql.SQL(", ").join(sql.Literal(value) for value in row.values()),
            )
            change = sql.SQL("UPDATE {} SET {} = {}").format(name, column, sql.Literal(B))
            for statement in (insert, change):
                with pytest.raises(InsufficientPrivilege, match="row-level security"), connection.transaction():
                    connection.execute("SET LOCAL session_replication_role = replica")
                    connection.execute("SELECT set_config('app.trader', %s, true)", (A,))
                    connection.execute(f"SET LOCAL ROLE {roles.OWNER}")
                    connection.execute(statement)
            with connection.transaction(force_rollback=True):
                connection.execute("SET LOCAL session_replication_role = replica")
                connection.execute("SELECT set_config('app.trader', %s, true)", (A,))
                connection.execute(f"SET LOCAL ROLE {roles.OWNER}")
                hidden = sql.SQL("DELETE FROM {} WHERE {} = {}").format(name, column, sql.Literal(B))
                assert connection.execute(hidden).rowcount == 0, table


def test_the_role_of_the_application_owns_nothing_and_passes_nothing(owner_url: str) -> None:
    with psycopg.connect(owner_url) as connection:
        (flags,) = connection.execute(
            "SELECT ARRAY[rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication] FROM pg_roles"
            " WHERE rolname = %s",
            (roles.APP,),
        ).fetchall()
        owned = connection.execute(
            "SELECT relname FROM pg_class WHERE relowner = %s::regrole UNION ALL"
            " SELECT proname FROM pg_proc WHERE proowner = %s::regrole",
            (roles.APP, roles.APP),
        ).fetchall()
        member = connection.execute("SELECT pg_has_role(%s, %s, 'MEMBER')", (roles.APP, roles.OWNER)).fetchone()
    assert flags[0] == [False] * 5
    assert owned == []
    assert member == (False,)


def test_tables_that_only_grow_refuse_changes_by_privilege(owner_url: str) -> None:
    with psycopg.connect(owner_url) as connection:
        sealed = {
            str(row[0])
            for row in connection.execute(
                "SELECT c.relname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid WHERE t.tgname = 'append_only'"
            )
        }
        rights = connection.execute(
            "SELECT c.relname, r FROM pg_class c, unnest(ARRAY['UPDATE', 'DELETE', 'TRUNCATE']) r"
            " WHERE c.relnamespace = 'public'::regnamespace AND c.relname = ANY(%s)"
            " AND has_table_privilege(%s, c.oid, r)",
            (sorted(sealed), roles.APP),
        ).fetchall()
        inbox = connection.execute("SELECT has_table_privilege(%s, 'inbox', 'TRUNCATE')", (roles.APP,)).fetchone()
    assert sealed >= _SEALED
    assert rights == []
    assert inbox == (False,)


@pytest.mark.parametrize(("table", "column"), [("postings", "id"), ("audit_log", "recorded_at"), ("decisions", "id")])
def test_a_change_of_the_record_is_refused(owner_url: str, table: str, column: str) -> None:
    for verb in (f"UPDATE {{}} SET {column} = {column}", "DELETE FROM {}", "TRUNCATE {}"):
        with psycopg.connect(servers.as_app(owner_url)) as connection, pytest.raises(InsufficientPrivilege):
            connection.execute(sql.SQL(verb).format(sql.Identifier(table)))


def test_the_processes_connect_as_the_role_that_owns_nothing(tmp_path: Path) -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    given = {name: set(each["secrets"]) for name, each in compose.items() if each.get("image") == "propos"}
    assert {"api", "worker", "relay", "monitor"} <= given.keys()
    assert {name for name, secrets in given.items() if "PROPOS_OWNER_DATABASE_URL" in secrets} == {"migrate"}
    assert all("DATABASE_URL" in secrets for secrets in given.values())
    init(tmp_path, "https://desk.example.com")
    assert (tmp_path / "secrets" / "DATABASE_URL").read_text().startswith(f"postgresql://{roles.APP}:")


async def test_pool_and_connections_of_a_process_are_the_application_and_the_firm(wall: Wall) -> None:
    """By the embedded server's own URL, as `propos up` hands it to its processes."""
    assert wall.url.startswith(f"postgresql://{roles.APP}@")
    assert f"//{roles.APP}@" in postgres.Cluster(Path("d"), Path("s"), [], None).app_url()
    question = "SELECT current_user::text, count(*) FROM traders"
    with connect(wall.url) as connection:
        assert connection.execute(question).fetchone() == (roles.APP, 2)
    async with await connect_async(wall.url) as listening:
        assert await (await listening.execute(question)).fetchone() == (roles.APP, 2)
    process = Database(wall.url, pool_size=1)
    async with process.transaction() as session:
        assert (await session.execute(text(question))).one() == (roles.APP, 2)
    await process.close()


async def _seen(db: Database, scope: Scope | None = None) -> set[str]:
    async with db.transaction(scope) as session:
        return set(await session.scalars(select(Trader.id)))


def _trader(trader_id: str) -> Actor:
    return Actor(user_id="usr_1", person_id="p", role="trader", trader_id=trader_id)


async def test_a_request_sees_what_its_person_may_see(db: Database) -> None:
    """One connection, so that each transaction gets what the one before left."""
    assert await _seen(db) == set()
    assert await _seen(db, FIRM) == {A, B}
    with request_scope():
        assert await _seen(db) == set()
        act_for(_trader(A))
        assert await _seen(db) == {A}
        act_for(Actor(user_id="usr_2", person_id="p", role="risk"))
        assert await _seen(db) == {A, B}
        act_for(Actor(user_id="usr_3", person_id="p", role="venue"))
        assert await _seen(db) == {A, B}
    assert await _seen(db) == set()


async def test_requests_at_once_do_not_mix(wall: Wall) -> None:
    db = Database(wall.url, pool_size=2, scope=NOBODY)

    async def ask(trader_id: str) -> set[str]:
        with request_scope():
            act_for(_trader(trader_id))
            await asyncio.sleep(0)
            return await _seen(db)

    answers = await asyncio.gather(*(ask((A, B)[n % 2]) for n in range(20)))
    await db.close()
    assert answers == [{(A, B)[n % 2]} for n in range(20)]


async def test_within_a_request_a_process_is_not_the_firm(wall: Wall) -> None:
    process = Database(wall.url, pool_size=1)
    with request_scope():
        assert await _seen(process) == set()
        act_for(_trader(B))
        assert await _seen(process) == {B}
    assert await _seen(process) == {A, B}
    await process.close()


async def test_a_check_of_the_firm_ends_with_its_block_however_it_ends(db: Database) -> None:
    async with db.transaction(Scope(A)) as session:
        async with as_firm(session):
            assert set(await session.scalars(select(Trader.id))) == {A, B}
        assert set(await session.scalars(select(Trader.id))) == {A}
        with pytest.raises(ValueError, match="refused"):
            async with as_firm(session):
                raise ValueError("refused")
        assert set(await session.scalars(select(Trader.id))) == {A}
        with pytest.raises(Exception, match="division"):
            async with session.begin_nested(), as_firm(session):
                await session.execute(text("SELECT 1 / 0"))
        assert set(await session.scalars(select(Trader.id))) == {A}


async def test_limits_are_those_of_the_settings_and_a_url_may_set_others(wall: Wall) -> None:
    names = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "transaction_timeout")
    question = "SELECT " + ", ".join(f"current_setting('{name}')" for name in names)
    try:
        install(Limits(statement=7, lock=3, idle_in_transaction=0, transaction=90))
        with connect(wall.url) as connection:
            assert connection.execute(question.encode()).fetchone() == ("7s", "3s", "0", "90s")
        with connect(f"{wall.url}&options=-c%20lock_timeout%3D5s") as connection:
            assert connection.execute(question.encode()).fetchone() == ("7s", "5s", "0", "90s")
        db = Database(wall.url, pool_size=1)
        async with db.transaction() as session:
            assert (await session.execute(text(question))).one() == ("7s", "3s", "0", "90s")
        await db.close()
    finally:
        install(Limits())
