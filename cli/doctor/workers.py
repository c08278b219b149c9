"""What is wrong with the workers of the queue `core` and their versions."""

from dataclasses import dataclass

from cli.versions import Fleet, Version
from contracts.ids import UNVERSIONED


@dataclass(frozen=True)
class Fault:
    said: str
    remedy: str


def fault_of(fleet: Fleet) -> Fault | None:
    """Returns the first thing that keeps workflows waiting; None: each has a worker that goes on with it."""
    return current_fault(fleet) or _stranded(fleet)


def current_fault(fleet: Fleet) -> Fault | None:
    """Returns why nobody begins new workflows; None: a worker does."""
    current = next((each for each in fleet.versions if each.build == fleet.current), None)
    if current is None and not fleet.unversioned:
        ready = [each.build for each in fleet.versions if each.workers]
        if not ready:
            return Fault("No worker polls the task queue 'core'.", "Start one with: propos worker")
        return Fault(
            f"Workers of the version {ready[0]} run, and it is not the current one.",
            f'Run: propos release use {ready[0]} --reason "..."',
        )
    if current is not None and not current.workers:
        return Fault(
            f"No worker of the current version {current.build} runs.",
            f"Start one, or make another version current: propos release use {_other(fleet)}",
        )
    return None


def _stranded(fleet: Fleet) -> Fault | None:
    for each in fleet.versions:
        if each.pinned and not each.workers:
            return Fault(
                f"{each.pinned} workflows go on with the version {each.build} only, and no worker of it runs.",
                f"Start one, or let them start again: propos release drain {each.build} --restart",
            )
    return None


def words(fleet: Fleet) -> str:
    """`fleet`: without a fault."""
    old = ", ".join(f"{each.build} has {each.pinned} left" for each in fleet.versions if _is_left(fleet, each))
    version = "" if fleet.current == UNVERSIONED else f", version {fleet.current}"
    return f"{_workers(fleet)} polling core{version}" + (f"; {old}" if old else "")


def _workers(fleet: Fleet) -> int:
    return fleet.unversioned + sum(each.workers for each in fleet.versions)


def _is_left(fleet: Fleet, version: Version) -> bool:
    return version.build != fleet.current and version.pinned > 0


def _other(fleet: Fleet) -> str:
    return next((each.build for each in fleet.versions if each.workers), UNVERSIONED)
