"""Files of a backup: copies of SQLite databases in use, folders as archives, and what makes them last."""

import errno
import os
import sqlite3
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:  # only annotations need it
    from settings import Settings

_SQLITE: Final = b"SQLite format 3\x00"
_BESIDE: Final = ("-wal", "-shm", "-journal")
_BUSY_SECONDS: Final = 60


def folders(settings: "Settings") -> Mapping[str, Path]:
    """Returns the folders that belong to the record, by name: what is exchanged with banks, and mail as files."""
    from settings import adapter_of

    data = settings.data_dir.absolute()
    found = {}
    if settings.simulates_payments:
        found["bank"] = settings.bank_path
    for name, fields in {**settings.statements, **settings.rails}.items():
        if adapter_of(name, fields) == "bank" and "folder" in fields:
            found[f"bank-{name}"] = Path(fields["folder"].get_secret_value())
    if not settings.mail:
        found["mail"] = data / "mail"
    for name, fields in settings.mail.items():
        if adapter_of(name, fields) == "folder" and "path" in fields:
            found[f"mail-{name}"] = Path(fields["path"].get_secret_value())
    return {name: path.absolute() for name, path in found.items()}


def copy_sqlite(source: Path, target: Path) -> None:
    """Copies a database that other processes may be writing, as it is at one moment. Raises OSError."""
    with (
        closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True, timeout=_BUSY_SECONDS)) as busy,
        closing(sqlite3.connect(target)) as copy,
    ):
        try:
            busy.backup(copy)
        except sqlite3.OperationalError as error:
            is_full = error.sqlite_errorcode == sqlite3.SQLITE_FULL
            raise OSError(errno.ENOSPC if is_full else errno.EIO, str(error)) from error


def pack(folder: Path, target: Path) -> None:
    """Archives a folder in use. Its databases come last: they then know at least what the files are about."""
    found = list(_files(folder))
    databases = [path for path in found if _is_sqlite(path)]
    with tarfile.open(target, "w") as archive:
        for path in sorted(set(found) - set(databases)):
            try:
                archive.add(path, str(path.relative_to(folder)), recursive=False)
            except FileNotFoundError:  # it has moved on since the folder was listed
                continue
        for path in databases:
            with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
                copy = Path(scratch) / path.name
                copy_sqlite(path, copy)
                archive.add(copy, str(path.relative_to(folder)), recursive=False)


def unpack(source: Path, folder: Path) -> bool:
    """Brings a folder back. Returns False, and changes nothing, when there are files in it: they are newer, and know
    what was sent since."""
    if folder.is_dir() and any(folder.iterdir()):
        return False
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tarfile.open(source) as archive:
        archive.extractall(folder, filter="data")
    return True


def make_last(folder: Path) -> None:
    """Makes the files of a folder private, and has the disk keep them."""
    for path in folder.iterdir():
        path.chmod(0o600)
        sync(path)
    sync(folder)


def sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink() and not path.name.endswith(_BESIDE):
            yield path


def _is_sqlite(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(_SQLITE)) == _SQLITE
    except FileNotFoundError:
        return False
