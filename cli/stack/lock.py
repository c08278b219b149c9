"""The exclusive lock on a data folder: who holds it may start servers on it.

The kernel frees it with its holder's death, however that comes. The file's text names the holder for people.
"""

import fcntl
import os
from pathlib import Path
from typing import Self

from cli.stack.processes import Recorded, start_mark
from domain.errors import DataLocked


class DataLock:
    """`with DataLock(data_dir):` holds the lock; raises DataLocked when another process does."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def acquire(self) -> None:
        """Take the lock; nothing more when it is ours already. Makes the folder when it is not there, private as far
        as the user that PostgreSQL runs as allows: under root others may pass through it, not list it."""
        if self._descriptor is not None:
            return
        if not self._data_dir.exists():
            self._data_dir.mkdir(parents=True)
            self._data_dir.chmod(0o711 if os.geteuid() == 0 else 0o700)
        descriptor = os.open(self._data_dir / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            found = holder(self._data_dir)
            raise DataLocked(self._data_dir, str(found.pid) if found else "unknown") from None
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()} {start_mark(os.getpid())}\n".encode())
        self._descriptor = descriptor

    def release(self) -> None:
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None


def holder(data_dir: Path) -> Recorded | None:
    """The live process whose `up` owns the folder; None when nobody does."""
    try:
        pid, _, mark = (data_dir / "lock").read_text().strip().partition(" ")
        found = Recorded(int(pid), mark)
    except (FileNotFoundError, ValueError):
        return None
    return found if found.alive() else None
