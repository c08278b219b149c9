"""Which build of PropOS this installation is: the name of its version among the workers of Temporal."""

import hashlib
from importlib.metadata import version
from pathlib import Path
from typing import Final

from settings import Settings

_ROOT: Final = Path(__file__).parent.parent
# What a worker runs, but not the pages and commands of other processes: they may change without a new version.
_OF_WORKERS: Final = (
    *("activities", "adapters", "contracts", "domain", "firm", "policy"),
    *("ports", "relay", "store", "surveillance", "workflows"),
)


def build_of(settings: Settings) -> str:
    """Returns PROPOS_BUILD, or the package's version and a digest of the code that workers run. Equal code has an equal
    name on every host."""
    return settings.build or f"{version('propos')}-{_digest()}"


def _digest() -> str:
    found = hashlib.sha256()
    for path in sorted(path for name in _OF_WORKERS for path in (_ROOT / name).rglob("*.py")):
        found.update(str(path.relative_to(_ROOT)).encode() + b"\0")
        found.update(hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()[:12]
