"""A wrong database, key, Temporal or disk is one clear line with what to do, and nothing there is changed."""

import asyncio
import base64
import errno
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text
from temporalio.client import Client

from cli.compose import temporal
from cli.doctor.database import clock_fault
from cli.refusals import in_words
from cli.stack.embedded import postgres
from cli.stack.room import LEAST_DISK, NEEDED, check_disk, free_bytes, shortage
from cli.stack.said import refusal_in
from cli.stack.temporal_check import check_ours
from contracts.ids import shard_workflow
from contracts.messages import ShardStart
from domain.errors import Conflict, PropOSError, Unavailable
from settings import Settings, load
from store import crypto, identity
from store.db import Database
from store.key_check import check_keys
from store.migrate import current, newest, upgrade
from tests import servers
from tests.command_line import propos as run
from tests.free_ports import free_port_environment
from workflows.monitor_shard import MonitorShardWorkflow


def propos(*arguments: str, **more: str) -> tuple[int, list[str]]:
    """Returns the exit code and the lines that say what went wrong."""
    done = run(*arguments, env=free_port_environment() | more)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr.splitlines()


@pytest.fixture
def empty_url(postgres_url: str) -> Iterator[str]:
    name = f"bad_input_{os.getpid()}"
    servers.create_database(postgres_url, name)
    yield servers.database_of(postgres_url, name)
    servers.drop_database(postgres_url, name)


def _tables(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        return {name for (name,) in rows}


def test_a_database_of_another_program_is_refused_and_stays_as_it_is(empty_url: str) -> None:
    with psycopg.connect(empty_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE customers (id int)")
    with pytest.raises(Conflict, match=r"tables of another program: customers\."):
        upgrade(empty_url)
    assert _tables(empty_url) == {"customers"}
    with psycopg.connect(empty_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num text)")
        connection.execute("INSERT INTO alembic_version VALUES ('ab12')")
    with pytest.raises(Conflict, match="revision ab12, which is none of PropOS"):
        upgrade(empty_url)
    assert _tables(empty_url) == {"customers", "alembic_version"}


def test_a_database_of_a_newer_version_is_refused_and_stays_as_it_is(owner_url: str, data_dir: Path) -> None:
    with psycopg.connect(owner_url, autocommit=True) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(Conflict, match=f"revision 9999; this version of PropOS knows revisions up to {newest()}"):
        upgrade(owner_url)
    code, (said, remedy) = propos("migrate", DATABASE_URL=owner_url, PROPOS_DATA=str(data_dir))
    assert code == 1 and said.startswith("propos: The database is at revision 9999;")
    assert "newer version" in remedy
    assert current(owner_url)[0] == "9999"


def test_a_command_on_a_database_without_our_tables_says_so(empty_url: str, data_dir: Path) -> None:
    keys = f"k1:{base64.b64encode(bytes(32)).decode()}"
    code, (said, remedy) = propos(
        "user", "list", DATABASE_URL=empty_url, PROPOS_DATA=str(data_dir), PROPOS_PAYLOAD_KEYS=keys
    )
    assert code == 1
    assert said == 'propos: The database is not that of this version of PropOS: relation "users" does not exist.'
    assert "propos doctor" in remedy and "propos migrate" in remedy


def test_a_wrong_password_and_a_server_that_is_away_are_named(postgres_url: str, data_dir: Path) -> None:
    keys = f"k1:{base64.b64encode(bytes(32)).decode()}"
    common = {"PROPOS_DATA": str(data_dir), "PROPOS_PAYLOAD_KEYS": keys}
    code, (said, remedy) = propos("user", "list", DATABASE_URL="postgresql://a:word@127.0.0.1:1/propos", **common)
    assert code == 1 and said.startswith("propos: PostgreSQL does not let us in: ") and "Connection refused" in said
    assert "word" not in said and "DATABASE_URL" in remedy
    refused = postgres.refusal(servers.database_of(postgres_url, "no_such_database"))
    assert refused is not None and refused.endswith('database "no_such_database" does not exist')


async def test_keys_of_another_database_are_refused_by_name(database_url: str) -> None:
    db = Database(database_url)
    right = crypto.keys()
    try:
        async with db.transaction() as session:
            await check_keys(session)  # nothing is encrypted yet: any keys will do
            await identity.add_user(
                session,
                login="ana",
                name="Ana Kovac",
                password_hash="-",
                role="admin",
                person_id="usr_ana",
                by="test",
            )
        async with db.transaction() as session:
            await check_keys(session)
            for ring, words in (
                ({right.current: os.urandom(32)}, f"The key {right.current} in PROPOS_PAYLOAD_KEYS is not the one"),
                ({"k9": os.urandom(32)}, f"under the key {right.current}, which is not in PROPOS_PAYLOAD_KEYS"),
            ):
                crypto.install(crypto.FieldKeys(ring))
                with pytest.raises(Conflict, match=words):
                    await check_keys(session)
            crypto.install(right)
            # One value that was altered says nothing about the key.
            await identity.add_user(
                session, login="bo", name="Bo", password_hash="-", role="admin", person_id="usr_bo", by="test"
            )
            await session.execute(text("UPDATE users SET name = substr(name, 1, 20) WHERE person_id = 'usr_bo'"))
            await check_keys(session)
    finally:
        crypto.install(right)
        await db.close()


async def test_the_temporal_of_another_firm_is_refused(temporal_address: str, data_dir: Path) -> None:
    def settings() -> Settings:
        keys = f"k1:{base64.b64encode(os.urandom(32)).decode()}"
        return load(data_dir=data_dir, temporal_address=temporal_address, payload_keys=keys)

    ours, others = settings(), settings()
    await check_ours(ours)  # nobody runs there yet
    client: Client = await temporal(others)
    await client.start_workflow(
        MonitorShardWorkflow.run, ShardStart(shard=0), id=shard_workflow(0), task_queue="nobody-works-here"
    )
    async with asyncio.timeout(120):  # the list of workflows is behind
        while not [found async for found in client.list_workflows("ExecutionStatus = 'Running'")]:
            await asyncio.sleep(0.2)
    with pytest.raises(Conflict, match="is used with other keys: shard/0 runs there"):
        await check_ours(ours)
    await check_ours(others)


def test_a_temporal_that_is_away_is_one_line(data_dir: Path, database_url: str) -> None:
    code, lines = propos("up", "--data", str(data_dir), TEMPORAL_ADDRESS="127.0.0.1:1")
    assert code == 1
    assert lines[0] == "propos: Temporal does not answer at 127.0.0.1:1."
    assert "TEMPORAL_ADDRESS" in lines[1]


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "The disk is full: /data/lock cannot be written."),
        (errno.EROFS, "/data/lock cannot be written: its file system is read-only."),
        (errno.EACCES, "This user may not use /data/lock."),
        (errno.EMFILE, "This process may not open more files."),
        (errno.ENOMEM, "This machine is out of memory."),
    ],
)
def test_an_error_of_the_machine_is_a_sentence(number: int, words: str) -> None:
    found = in_words(OSError(number, os.strerror(number), "/data/lock"))
    assert isinstance(found, PropOSError)
    assert found.message == words and found.remedy


def test_what_postgresql_lacks_is_a_sentence() -> None:
    full = in_words(psycopg.errors.DiskFull("could not extend file"))
    assert full is not None
    assert full.message == "The disk of PostgreSQL is full."
    assert full.remedy
    assert in_words(MemoryError()) is not None
    assert in_words(ValueError("x")) is None


def test_too_little_memory_is_said_with_both_figures(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal:  8000000 kB\nMemAvailable:  512000 kB\nSwapFree:  1024 kB\n")
    free = free_bytes(meminfo, tmp_path)
    assert free == 513_024 * 1024
    assert (shortage(free) or "").startswith("Only 501 MiB of memory are free; a firm takes about 1500 MiB.")
    assert shortage(NEEDED) is None and shortage(None) is None
    (tmp_path / "memory.max").write_text("200000000\n")
    (tmp_path / "memory.current").write_text("150000000\n")
    assert free_bytes(meminfo, tmp_path) == 50_000_000
    assert free_bytes(tmp_path / "none", tmp_path) is None


def test_what_a_command_said_in_its_log_is_said_again(tmp_path: Path) -> None:
    log = tmp_path / "migrate.log"
    log.write_text("propos: an old one\n  old remedy\n")
    begin = log.stat().st_size
    assert refusal_in(log, begin) is None
    with log.open("a") as file:
        file.write("some noise\npropos: The database is at revision 9999.\n  Use the newer version.\n")
    found = refusal_in(log, begin)
    assert isinstance(found, Unavailable)
    assert (found.message, found.remedy) == ("The database is at revision 9999.", "Use the newer version.")


def test_a_full_disk_is_said_before_anything_is_started(tmp_path: Path) -> None:
    check_disk(tmp_path, LEAST_DISK)
    with pytest.raises(Unavailable, match="only 5 MiB are free") as refused:
        check_disk(tmp_path, 5 * 2**20)
    assert "256 MiB" in str(refused.value.remedy)


def test_a_clock_that_is_off_or_was_set_back_is_said() -> None:
    now, minute = datetime(2026, 3, 6, 12, tzinfo=UTC), timedelta(minutes=1)
    assert clock_fault(now, now, None) is None
    assert clock_fault(now, now, now) is None
    for here, recorded, words in (
        (now + minute, now, "60 s ahead of that of PostgreSQL"),
        (now - minute, now, "60 s behind that of PostgreSQL"),
        (now, now + minute, "set back: the newest entry of the audit log is 60 s from now"),
    ):
        fault = clock_fault(here, now, recorded)
        assert fault is not None
        assert words in fault.message
        assert "NTP" in str(fault.remedy)
