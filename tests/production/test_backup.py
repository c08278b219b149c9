"""`propos backup` and `propos restore`: a backup that is incomplete, changed or unreadable is refused before anything
is touched, and a restored record is the one that was backed up."""

import json
import os
import shlex
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest

from cli.backup import noting
from cli.backup.record import Databases
from cli.secret_file import ensure_secrets
from cli.stack.embedded import postgres
from cli.stack.lock import DataLock
from cli.stack.processes import running
from firm.restored import Restore
from settings import load
from store.migrate import upgrade
from tests import servers
from tests.integration.earlier_database import upgrade_to
from tests.production.propos_command import PROPOS, answer, propos

_OPEN_PARENTS: Final = os.environ.get("PROPOS_OPEN_PARENTS") == "1"

pytestmark = pytest.mark.timeout(1800)


@contextmanager
def server(data: Path) -> Iterator[postgres.Cluster]:
    """The folder's PostgreSQL, without the firm."""
    cluster = postgres.prepare(data / "postgres", open_parents=_OPEN_PARENTS)
    answers = partial(postgres.answers, cluster.url("postgres"))
    with running(cluster.argv, answers, data / "log", user=cluster.user, stop=signal.SIGINT):
        yield cluster


def change(data: Path) -> None:
    """Something that happens after the backup."""
    with server(data) as cluster, psycopg.connect(cluster.url()) as connection:
        connection.execute("CREATE SEQUENCE IF NOT EXISTS after_the_backup")


def changed(data: Path, database: str = "propos") -> bool:
    with server(data) as cluster, psycopg.connect(cluster.url(database)) as connection:
        return connection.execute("SELECT to_regclass('after_the_backup') IS NOT NULL").fetchone() == (True,)


def restores(data: Path) -> list[dict[str, Any]]:
    """What the audit log has of each restore."""
    with server(data) as cluster, psycopg.connect(servers.as_app(cluster.url())) as connection:
        found = connection.execute("SELECT evidence FROM audit_log WHERE action = 'record.restored'").fetchall()
        return [evidence for (evidence,) in found]


@pytest.fixture(scope="module")
def firm() -> Iterator[Path]:
    """A firm's data folder with an empty record and one backup of it, in `backups` beside it."""
    with servers.scratch_dir("backup") as folder:
        data = folder / "d"
        data.mkdir()
        data.chmod(0o711)
        ensure_secrets(data)
        with server(data) as cluster:
            postgres.ensure_database(cluster)
            upgrade(cluster.url(), cluster.app_url())
        (data / "bank" / "out").mkdir(parents=True)
        (data / "bank" / "out" / "payments.xml").write_text("<Document/>")
        made = answer(propos("backup", "--out", str(folder / "backups"), "--data", str(data), "--json"))
        assert made["manifest"]["ledger_faults"] == 0
        yield folder


@pytest.fixture
def copy(firm: Path, tmp_path: Path) -> Path:
    """The firm's backups, to be damaged."""
    shutil.copytree(firm / "backups", tmp_path / "backups")
    return tmp_path / "backups"


def refused(*arguments: str, **more: str) -> str:
    """What a refusal says: one line and its remedy."""
    done = propos(*arguments, **more)
    assert done.returncode == 1, done.stdout
    first, remedy = done.stderr.splitlines()
    assert first.startswith("propos: ")
    assert remedy.startswith("  ")
    return first


def test_a_backup_is_private_and_says_what_it_needs(firm: Path) -> None:
    (folder,) = [path for path in (firm / "backups").iterdir() if path.name != ".lock"]
    assert (folder.stat().st_mode & 0o777, (firm / "backups").stat().st_mode & 0o777) == (0o700, 0o700)
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    manifest = json.loads((folder / "manifest.json").read_text())
    assert set(manifest["keys"]) == {"k1", "digest"}
    assert set(manifest["files"]) == {"record.dump", "bank.tar"}
    secret = json.loads((firm / "d" / "secrets.json").read_text())["payload_keys"].partition(":")[2]
    assert secret not in (folder / "manifest.json").read_text()


def test_a_half_written_backup_is_no_backup_and_the_next_one_removes_it(firm: Path, copy: Path) -> None:
    (whole,) = copy.glob("2*")
    unfinished = copy / f".{whole.name}.part"
    whole.rename(unfinished)
    assert "no complete backup" in refused("restore", "--from", str(copy), "--data", str(firm / "d"))
    made = answer(propos("backup", "--out", str(copy), "--data", str(firm / "d"), "--json"))
    assert sorted(path.name for path in copy.iterdir()) == [".lock", Path(made["folder"]).name]


def test_older_backups_are_removed_and_the_newest_stay(firm: Path, copy: Path) -> None:
    (old,) = copy.glob("2*")
    for year in (2024, 2025):
        shutil.copytree(old, copy / f"{year}-01-01T000000Z")
        manifest = json.loads((old / "manifest.json").read_text()) | {"time": f"{year}-01-01T00:00:00+00:00"}
        (copy / f"{year}-01-01T000000Z" / "manifest.json").write_text(json.dumps(manifest))
    made = answer(propos("backup", "--out", str(copy), "--keep", "2", "--data", str(firm / "d"), "--json"))
    assert made["removed"] == ["2024-01-01T000000Z", "2025-01-01T000000Z"]
    assert sorted(path.name for path in copy.glob("2*")) == sorted([old.name, Path(made["folder"]).name])


def test_a_backup_that_was_changed_is_refused_and_nothing_is_touched(firm: Path, copy: Path) -> None:
    change(firm / "d")
    (folder,) = copy.glob("2*")
    with (folder / "record.dump").open("r+b") as file:
        file.seek(1000)
        file.write(b"?")
    words = refused("restore", "--from", str(copy), "--data", str(firm / "d"), "--replace")
    assert words.endswith("record.dump is not what was backed up. Nothing was changed.")
    assert changed(firm / "d")


@pytest.mark.parametrize("name", ["payload_keys", "digest_key"])
def test_without_its_keys_a_backup_is_refused_and_nothing_is_touched(firm: Path, tmp_path: Path, name: str) -> None:
    """Another key of the same id is another key."""
    secrets = json.loads((firm / "d" / "secrets.json").read_text())
    other = "A" * 43 + "="
    (tmp_path / "secrets.json").write_text(
        json.dumps(secrets | {name: f"k1:{other}" if name == "payload_keys" else other})
    )
    words = refused("restore", "--from", str(firm / "backups"), "--data", str(tmp_path))
    assert ("the key k1" if name == "payload_keys" else "PROPOS_DIGEST_KEY") in words
    assert [path.name for path in tmp_path.iterdir()] == ["secrets.json"]


@pytest.mark.parametrize(
    ("at", "words"),
    [
        ("2026-01-01T00:00:00Z", "No backup is as old as"),
        ("2026-01-01T00:00:00", "not a time with a time zone"),
        ("yesterday", "not a time"),
    ],
)
def test_a_time_without_a_backup_is_refused(firm: Path, at: str, words: str) -> None:
    arguments = ("--from", str(firm / "backups"), "--at", at, "--replace", "--data", str(firm / "d"))
    assert words in refused("restore", *arguments)


def test_a_restore_refuses_a_firm_that_runs_and_rows_that_nobody_gave_up(firm: Path) -> None:
    arguments = ("restore", "--from", str(firm / "backups"), "--data", str(firm / "d"))
    with DataLock(firm / "d"):
        assert f"process {os.getpid()}" in refused(*arguments, "--replace")
    assert "has tables. Nothing was changed." in refused(*arguments)


def test_a_place_that_cannot_be_written_and_the_wrong_role_are_refused(firm: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    words = refused("backup", "--out", str(tmp_path / "file" / "backups"), "--data", str(firm / "d"))
    assert "cannot be written" in words
    with server(firm / "d") as cluster:
        given = {"DATABASE_URL": cluster.app_url()}
        words = refused("backup", "--out", str(tmp_path / "b"), "--data", str(firm / "d"), **given)
        assert words == "propos: The role of this URL does not own the tables."
        given["PROPOS_OWNER_DATABASE_URL"] = cluster.url()
        answer(propos("backup", "--out", str(tmp_path / "b"), "--data", str(firm / "d"), "--json", **given))


def test_a_full_disk_is_one_clear_line_and_leaves_nothing(firm: Path, tmp_path: Path) -> None:
    with server(firm / "d") as cluster:
        env = os.environ | {"DATABASE_URL": cluster.app_url(), "PROPOS_OWNER_DATABASE_URL": cluster.url()}
        backup = shlex.join([*PROPOS, "backup", "--out", str(tmp_path / "b"), "--data", str(firm / "d")])
        done = subprocess.run(
            ["bash", "-c", f"ulimit -f 40; exec {backup}"], env=env, capture_output=True, text=True, check=False
        )
    assert done.returncode == 1, done.stdout
    assert "There is no room left" in done.stderr.splitlines()[0]
    assert [path.name for path in (tmp_path / "b").iterdir()] == [".lock"]


def test_a_lost_folder_comes_back_and_a_record_that_is_replaced_is_kept(firm: Path) -> None:
    data = firm / "d"
    change(data)
    with (data / "bank" / "out" / "newer.xml").open("w") as file:
        file.write("<Document/>")
    arguments = ("restore", "--from", str(firm / "backups"), "--json")
    done = answer(propos(*arguments, "--data", str(data), "--replace"))
    assert not changed(data)
    assert changed(data, done["aside"])
    assert done["kept"] == [str(data / "bank")], "it knows what was sent since"
    assert (data / "bank" / "out" / "newer.xml").exists()

    new = firm / "new"
    new.mkdir()
    new.chmod(0o711)
    shutil.copy(data / "secrets.json", new)
    done = answer(propos(*arguments, "--data", str(new)))
    assert (done["aside"], done["brought"]) == ("", [str(new / "bank")])
    assert (new / "bank" / "out" / "payments.xml").read_text() == "<Document/>"
    (entry,) = restores(new)
    assert (entry["backup"], entry["asked_for"], entry["ended"]) == (Path(done["backup"]).name, "", 0)
    assert entry["of"] == done["time"]
    made = answer(propos("backup", "--out", str(firm / "again"), "--data", str(new), "--json"))
    first = json.loads(next((firm / "backups").glob("2*/manifest.json")).read_text())
    first["rows"]["audit_log"] += 1  # the restore
    assert {key: made["manifest"][key] for key in ("rows", "keys", "revision", "ledger_faults")} == {
        key: first[key] for key in ("rows", "keys", "revision", "ledger_faults")
    }


def test_a_restored_record_of_an_earlier_schema_is_noted_by_the_upgrade(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    servers.create_database(postgres_url, "restored")
    url = servers.database_of(postgres_url, "restored")
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setenv("PROPOS_PAYLOAD_KEYS", "k1:" + "A" * 43 + "=")
    settings = load(data_dir=tmp_path)
    done = Restore("20261130_120000", "2026-11-30T12:00:00+00:00", "b", "2026-11-29", "", "ana", "a test", "", 3)
    try:
        upgrade_to(url, "0092")
        assert noting.note(settings, Databases(url), "restored", done) is None
        upgrade(url)
        for _ in range(2):
            noting.note_after_upgrade(settings)
        with psycopg.connect(servers.as_app(url)) as connection:
            rows = connection.execute(
                "SELECT actor, subject_id, evidence->>'ended' FROM audit_log WHERE action = 'record.restored'"
            ).fetchall()
        assert rows == [("command-line", "20261130_120000", "3")]
    finally:
        servers.drop_database(postgres_url, "restored")


def test_servers_of_the_firms_own_are_backed_up_and_restored_by_a_role_that_is_no_superuser(
    temporal_address: str, tmp_path: Path
) -> None:
    with servers.postgres_server() as cluster:
        with psycopg.connect(cluster.url("postgres"), autocommit=True) as connection:
            connection.execute("CREATE ROLE maker LOGIN CREATEROLE CREATEDB")
            connection.execute("CREATE DATABASE propos OWNER maker")
        owner = cluster.url().replace("postgres@", "maker@")
        upgrade(owner, cluster.app_url())
        env = {"DATABASE_URL": cluster.app_url(), "PROPOS_OWNER_DATABASE_URL": owner}
        env |= {"TEMPORAL_ADDRESS": temporal_address, "PROPOS_DATA": str(tmp_path / "data")}
        env |= {"PROPOS_PAYLOAD_KEYS": "k1:" + "A" * 43 + "="}
        made = answer(propos("backup", "--out", str(tmp_path / "backups"), "--json", **env))
        assert set(made["manifest"]["files"]) == {"record.dump"}, "Temporal is backed up by its own means"
        arguments = ("restore", "--from", str(tmp_path / "backups"), "--replace")
        with psycopg.connect(cluster.app_url()):
            assert "Processes are connected" in refused(*arguments, **env)
        done = propos(*arguments, **env)
        assert "DROP DATABASE" in done.stdout, done.stderr
        assert answer(propos("ledger", "check", "--json", **env))["faults"] == 0
        assert propos("migrate", **env).returncode == 0
