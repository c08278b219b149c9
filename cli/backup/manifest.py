"""What a backup says of itself, and which backups of a folder are complete.

A backup is a folder named by its time, such as `2026-03-06T120000Z`. It has that name only once it is complete.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from domain.errors import BadInput, Conflict, NotFound

if TYPE_CHECKING:  # only annotations need it
    from settings import Settings

FILE: Final = "manifest.json"
RECORD: Final = "record.dump"
TEMPORAL: Final = "temporal.db"
DIGEST_KEY: Final = "digest"  # how the key of digests is named among the keys
UNFINISHED: Final = ".part"
_NAME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d{6}Z")
_CHUNK: Final = 1 << 20


@dataclass(frozen=True)
class Manifest:
    """`time`: when the record was as it is in the backup, in real time (UTC). `keys`: the ids of the keys that are
    needed to read it -> a digest by which a key is known again. `files`: name -> sha256. `rows`: of some tables.
    `ledger_faults`: how many `propos ledger check` found in it; None when another version's schema was backed up."""

    time: str
    version: str
    revision: str
    keys: Mapping[str, str]
    files: Mapping[str, str]
    rows: Mapping[str, int]
    ledger_faults: int | None


@dataclass(frozen=True)
class Backup:
    folder: Path
    manifest: Manifest

    @property
    def at(self) -> datetime:
        return datetime.fromisoformat(self.manifest.time)


def name_of(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H%M%SZ}"


def as_text(manifest: Manifest) -> str:
    return json.dumps(asdict(manifest), indent=2) + "\n"


def complete(folder: Path) -> list[Backup]:
    """Returns the complete backups of a folder, oldest first. What was left half-written has no such name.

    Raises NotFound if there is no such folder, Conflict for a backup with a manifest that cannot be read.
    """
    if not folder.is_dir():
        raise NotFound(f"There is no folder {folder}.", remedy="Name the folder that `propos backup --out` writes to.")
    found = [Backup(path, _read(path)) for path in sorted(folder.iterdir()) if _NAME.fullmatch(path.name)]
    return sorted(found, key=lambda backup: backup.at)


def _read(folder: Path) -> Manifest:
    try:
        values = json.loads((folder / FILE).read_text())
        return Manifest(**{field.name: values[field.name] for field in fields(Manifest)})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Conflict(
            f"{folder / FILE} cannot be read ({type(error).__name__}).",
            remedy="Move this folder away: it is no complete backup.",
        ) from None


def moment(written: str) -> datetime:
    """Raises BadInput for a text that is no time, or has no time zone."""
    try:
        at = datetime.fromisoformat(written)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise BadInput(
            f"{written!r} is not a time with a time zone.",
            field="--at",
            remedy="Write it like 2026-03-06T12:00:00Z or 2026-03-06T13:00:00+01:00.",
        )
    return at


def choose(backups: Sequence[Backup], at: datetime | None) -> Backup:
    """Returns the newest backup that is not later than `at`. Raises NotFound."""
    if not backups:
        raise NotFound("The folder has no complete backup.", remedy="Name the folder that has them.")
    fitting = [backup for backup in backups if at is None or backup.at <= at]
    if not fitting:
        raise NotFound(
            f"No backup is as old as {at:%Y-%m-%dT%H:%M:%S%z}: the oldest is of {backups[0].manifest.time}.",
            remedy="Name a later time.",
        )
    return fitting[-1]


def digest(path: Path) -> str:
    """Returns the sha256 of a file, in hexadecimal."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            found.update(chunk)
    return found.hexdigest()


def keys_of(settings: "Settings") -> dict[str, str]:
    """Returns the id of each key of this process with a digest of it. The keys are random: nothing follows from it."""
    from store.crypto import digest_key_of

    ring = settings.payload_key_ring()
    used = {**dict(ring), DIGEST_KEY: settings.digest_key_bytes() or digest_key_of(ring[-1][1])}
    return {name: hashlib.sha256(b"propos backup" + key).hexdigest()[:16] for name, key in used.items()}


def verify(backup: Backup, settings: "Settings", known_revisions: frozenset[str]) -> None:
    """Raises Conflict when a file is missing or changed, when a newer version made the backup, or when a key that it
    needs is not here. Touches nothing."""
    manifest = backup.manifest
    for name, wanted in manifest.files.items():
        path = backup.folder / name
        if not path.is_file() or digest(path) != wanted:
            raise Conflict(
                f"{path} is not what was backed up. Nothing was changed.",
                remedy="Fetch the backup again, or choose an earlier one with --at.",
            )
    if manifest.revision not in known_revisions:
        raise Conflict(
            f"PropOS {manifest.version} made the backup, with a schema ({manifest.revision}) that this version does not"
            " know. Nothing was changed.",
            remedy=f"Restore it with PropOS {manifest.version} or newer.",
        )
    have = keys_of(settings)
    missing = [name for name, wanted in manifest.keys.items() if have.get(name) != wanted]
    if missing:
        words = ["PROPOS_DIGEST_KEY" if name == DIGEST_KEY else f"the key {name}" for name in missing]
        raise Conflict(
            f"The backup cannot be read without {' and '.join(words)}. Nothing was changed.",
            remedy="Bring back the secrets of that time first: secrets.json in the data folder, or the folder secrets/"
            " of `propos init`.",
        )
