"""The memory of this process and of its children while something runs, where shared pages count once."""

import threading
from pathlib import Path
from types import TracebackType
from typing import Final, Self

_EVERY: Final = 0.2  # seconds


class Peak:
    """Measures while the block runs. `megabytes`: the highest sum of the proportional set sizes."""

    def __init__(self) -> None:
        self.megabytes = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while True:
            self.megabytes = max(self.megabytes, sum(_own(process) for process in _family("self")) / 1024)
            if self._ended.wait(_EVERY):
                return


def _family(process: str) -> list[str]:
    found = [process]
    for tasks in Path(f"/proc/{process}/task").glob("*/children"):
        try:
            children = tasks.read_text().split()
        except OSError:  # it has ended meanwhile
            continue
        for child in children:
            found += _family(child)
    return found


def _own(process: str) -> int:
    """Returns kilobytes; 0 for a process that has ended."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
