"""The simulated bank's side of the folder. A file is sent exactly once, also when the sandbox is killed.

Before the journal is written, a file is in `in/` under a hidden name; afterwards it gets its name. A restart finishes
what the journal has, and removes what it does not have.
"""

import os
from pathlib import Path
from typing import Final

_CLOCK: Final = "clock"
_HIDDEN: Final = ".bank-"


class Postbox:
    def __init__(self, root: Path) -> None:
        self._root, self._out, self._in = root, root / "out", root / "in"
        for folder in (self._out, self._in):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._taken: list[Path] = []
        self._hidden: list[str] = []
        self._clock = ""

    def take(self) -> list[bytes]:
        """Returns the firm's new files. They are removed by `commit`."""
        names = os.listdir(self._out)  # at every batch of prices, and mostly empty
        self._taken = sorted(self._out / name for name in names if not name.startswith("."))
        return [path.read_bytes() for path in self._taken]

    def put(self, name: str, content: bytes) -> None:
        """Prepares a file for the firm. It is sent by `commit`."""
        hidden = self._in / f"{_HIDDEN}{name}"
        with hidden.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        self._hidden.append(name)

    def commit(self, clock: str, *, at_rest: bool = True) -> int:
        """Sends what was prepared and removes what was taken, after the journal has both. Returns the number of files
        sent. `clock`: the bank's time, for the firm: it is written when something was sent, and when time is
        `at_rest`."""
        sent, self._hidden = self._hidden, []
        for name in sent:
            os.replace(self._in / f"{_HIDDEN}{name}", self._in / name)
        for path in self._taken:
            path.unlink(missing_ok=True)
        self._taken = []
        if clock != self._clock and (at_rest or sent):
            hidden = self._root / f".{_CLOCK}"
            hidden.write_text(clock)
            os.replace(hidden, self._root / _CLOCK)
            self._clock = clock
        return len(sent)

    def unread(self) -> int:
        """Returns the number of files that the firm has not read yet."""
        return sum(not path.name.startswith(".") for path in self._in.iterdir())

    def recover(self, sent: set[str]) -> None:
        """Finishes after a kill. `sent`: names of files of which the journal says that they are sent."""
        for path in self._in.glob(f"{_HIDDEN}*"):
            name = path.name.removeprefix(_HIDDEN)
            if name in sent:
                os.replace(path, self._in / name)
            else:
                path.unlink()
