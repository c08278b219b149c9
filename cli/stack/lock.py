"""The exclusive lock on a data folder. Only its holder may start servers on the folder.

The kernel releases the lock when the holder dies. The text of the lock file names the holder.
"""

import fcntl
import os
from pathlib import Path
from typing import Self

from cli.stack.processes import Recorded, start_mark
from domain.file_errors import DataLocked


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
        """Takes the lock, unless this object already holds it. Creates the folder if it does not exist.

        A new folder is private. Under root, other users may pass through it but not list it, because PostgreSQL runs
        as another user.
        """
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
    """Returns the live `propos up` process that holds the folder; None if there is none."""
    try:
        pid, _, mark = (data_dir / "lock").read_text().strip().partition(" ")
        found = Recorded(int(pid), mark)
    except (FileNotFoundError, ValueError):
        return None
    return found if found.alive() else None
