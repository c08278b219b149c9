"""How much memory and disk this machine has left for a firm."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

from domain.errors import Unavailable

NEEDED: Final = 1500 * 2**20  # bytes: what the processes of a small firm take together
LEAST_DISK: Final = 256 * 2**20  # bytes: what embedded servers write before the first trade, and their logs
_CGROUP: Final = Path("/sys/fs/cgroup")


def free_bytes(meminfo: Path = Path("/proc/meminfo"), cgroup: Path = _CGROUP) -> int | None:
    """Returns the bytes that programs can still get, swap included, at most what the limit of a container leaves; None
    where the system does not say it."""
    try:
        rows = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
        free = sum(int(rows[name].split()[0]) * 1024 for name in ("MemAvailable", "SwapFree"))
    except (OSError, KeyError, ValueError):
        return None
    try:
        limit, used = ((cgroup / name).read_text().strip() for name in ("memory.max", "memory.current"))
        return min(free, max(0, int(limit) - int(used)))
    except (OSError, ValueError):  # no container, or one without a limit: "max"
        return free


def shortage(free: int | None) -> str | None:
    """Returns the sentence that warns of too little memory; None if there is enough, or nobody knows."""
    if free is None or free >= NEEDED:
        return None
    return (
        f"Only {free // 2**20} MiB of memory are free; a firm takes about {NEEDED // 2**20} MiB. Parts may be slow, or"
        " be ended by the system. Stop other programs, or give this machine more memory."
    )


def say_shortage(say: Callable[[str], None]) -> None:
    """Says when there is too little memory. The firm starts all the same."""
    sentence = shortage(free_bytes())
    if sentence is not None:
        say(sentence)


def check_disk(folder: Path, free: int | None = None) -> None:
    """Raises Unavailable when embedded servers would run into a full disk. `free`: bytes; None: those of the folder's
    disk."""
    left = shutil.disk_usage(folder).free if free is None else free
    if left < LEAST_DISK:
        raise Unavailable(
            f"The disk of {folder} is full: only {left // 2**20} MiB are free.",
            remedy=f"Free at least {LEAST_DISK // 2**20} MiB there, or use a --data folder on another disk. Nothing is"
            " lost.",
        )
