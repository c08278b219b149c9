"""The folder that the firm and the bank's link share. A file appears in one step and survives a power cut."""

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from adapters.bank.xml import LARGEST

PARTS: Final = ("out", "in", "done", "refused", "staged")


class Folder:
    """`out/`: our payment files, until the bank takes them. `in/`: the bank's files, until they are read. `done/`,
    `refused/`: files that were read, the refused ones with a `.reason`. `staged/`: our files before they are out."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @contextmanager
    def lock(self) -> Iterator[bool]:
        """Yields whether this caller is now the only one that moves files. Whoever is not comes back later."""
        for part in PARTS:
            (self.root / part).mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(self.root / ".lock", os.O_CREAT | os.O_RDWR, 0o600)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True
        finally:
            os.close(handle)

    def incoming(self) -> list[Path]:
        """Returns the bank's files by time of arrival. Names with a dot in front are still being written."""
        files = [path for path in (self.root / "in").iterdir() if not path.name.startswith(".") and path.is_file()]
        return sorted(files, key=lambda path: (path.stat().st_mtime_ns, path.name))

    def stage(self, name: str, content: bytes) -> None:
        """Writes our file where the bank does not see it."""
        _write(self.root / "staged" / name, content)

    def give_out(self, name: str) -> None:
        """Moves a staged file to `out/`, in one step. A file that is no longer staged was moved before."""
        staged = self.root / "staged" / name
        if staged.exists():
            _move(staged, self.root / "out" / name)

    def put_away(self, path: Path, part: str, number: int, reason: str | None = None) -> None:
        """Moves a file that was read to `done/` or `refused/`; its number keeps names apart."""
        target = self.root / part / numbered(number, path.name)
        if reason is not None:
            _write(target.with_name(f"{target.name}.reason"), f"{reason}\n".encode())
        _move(path, target)

    def bring_back(self, number: int, name: str) -> None:
        """Moves a refused file back to `in/`, if it is still there."""
        refused = self.root / "refused" / numbered(number, name)
        if refused.exists():
            _move(refused, self.root / "in" / name)
            refused.with_name(f"{refused.name}.reason").unlink(missing_ok=True)


def numbered(number: int, name: str) -> str:
    """Returns a name of its own for a file that was read, short enough for every file system."""
    return f"{number:06d}-{name.encode(errors='replace')[-200:].decode(errors='ignore')}"


def content_of(path: Path) -> bytes:
    """Returns the content, one byte longer than allowed if the file is too large."""
    with path.open("rb") as file:
        return file.read(LARGEST + 1)


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _write(path: Path, content: bytes) -> None:
    hidden = path.with_name(f".{path.name}.part")
    with hidden.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    _move(hidden, path)


def _move(source: Path, target: Path) -> None:
    os.replace(source, target)
    for folder in {target.parent, source.parent}:
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
