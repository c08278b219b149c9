"""`propos backup`: one consistent backup, complete or not there."""

import asyncio
import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import typer
from sqlalchemy import text

from cli.backup import files, record
from cli.backup import manifest as manifests
from cli.backup.manifest import Manifest
from cli.backup.servers import record_in_use
from domain.errors import BadInput, Conflict, Unavailable
from settings import Settings, is_in_environment, load


def make(out: Path, *, keep: int | None, data: Path | None, as_json: bool) -> bool:
    """Writes the backup and removes older ones; prints what it has. Returns whether the books in it balance."""
    settings = load(data_dir=data)
    keys = manifests.keys_of(settings)
    with _room(out), record_in_use(settings) as owner_url:
        record.check_owner(owner_url)
        folder, manifest = _write(out, settings, owner_url, keys)
        removed = _remove_older(out, keep)
    if as_json:
        body = {"folder": str(folder), "manifest": asdict(manifest), "removed": [path.name for path in removed]}
        typer.echo(json.dumps(body))
    else:
        _say(folder, manifest, settings, removed)
    return not manifest.ledger_faults


@contextmanager
def _room(out: Path) -> Iterator[None]:
    """The folder of the backups, for one backup at a time. What an earlier one left half-written is removed. A disk
    that is full or may not be written is one clear line."""
    try:
        out.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(out / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for path in out.glob(f".*{manifests.UNFINISHED}"):
                shutil.rmtree(path)
            yield
        finally:
            os.close(descriptor)
    except BlockingIOError:
        raise Conflict(f"Another backup is being written to {out}.", remedy="Wait until it has ended.") from None
    except OSError as error:
        raise _refusal(out, error) from error


def _refusal(out: Path, error: OSError) -> Unavailable | BadInput:
    if error.errno in record.FULL:
        return Unavailable(
            f"There is no room left for the backup in {out}. No backup was made.",
            remedy="Make room, keep fewer with --keep, or choose another --out.",
        )
    return BadInput(
        f"The backup cannot be written to {out}: {error.strerror}. No backup was made.",
        field="--out",
        remedy="Name a folder that the user of this process may write to.",
    )


def _write(out: Path, settings: Settings, owner_url: str, keys: dict[str, str]) -> tuple[Path, Manifest]:
    now = datetime.now(UTC).replace(microsecond=0)
    folder = out / manifests.name_of(now)
    if folder.exists():
        raise Conflict(f"{folder} exists.", remedy="Try again in a second.")
    unfinished = out / f".{folder.name}{manifests.UNFINISHED}"
    unfinished.mkdir(mode=0o700)
    try:
        revision, rows, faults = asyncio.run(_write_record(owner_url, unfinished / manifests.RECORD))
        _write_rest(settings, unfinished)
        digests = {path.name: manifests.digest(path) for path in sorted(unfinished.iterdir())}
        manifest = Manifest(now.isoformat(), version("propos"), revision, keys, digests, rows, faults)
        (unfinished / manifests.FILE).write_text(manifests.as_text(manifest))
        files.make_last(unfinished)
        unfinished.rename(folder)
        files.sync(out)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    return folder, manifest


async def _write_record(owner_url: str, target: Path) -> tuple[str, dict[str, int], int | None]:
    """Returns what `record.look` finds in the same moment of the record that is dumped."""
    async with record.one_moment(owner_url) as session:
        found = await record.look(session)
        snapshot = str(await session.scalar(text("SELECT pg_export_snapshot()")))
        await asyncio.to_thread(record.dump, owner_url, snapshot, target)
    return found


def _write_rest(settings: Settings, target: Path) -> None:
    """What is copied after the record knows at least what the record knows."""
    temporal = settings.data_dir.absolute() / "temporal.db"
    if temporal.exists() and not is_in_environment("temporal_address"):
        files.copy_sqlite(temporal, target / manifests.TEMPORAL)
    for name, folder in files.folders(settings).items():
        if folder.is_dir():
            files.pack(folder, target / f"{name}.tar")


def _remove_older(out: Path, keep: int | None) -> list[Path]:
    removed = [backup.folder for backup in manifests.complete(out)[:-keep]] if keep else []
    for folder in removed:
        unfinished = folder.with_name(f".{folder.name}{manifests.UNFINISHED}")
        folder.rename(unfinished)
        shutil.rmtree(unfinished)
    return removed


def _say(folder: Path, manifest: Manifest, settings: Settings, removed: list[Path]) -> None:
    size = sum(path.stat().st_size for path in folder.iterdir())
    typer.echo(f"Backed up to {folder}: {', '.join(manifest.files)}; {size / 1e6:,.1f} MB.")
    rows = ", ".join(f"{count:,} {table}" for table, count in manifest.rows.items())
    typer.echo(f"The record of {manifest.time}, schema {manifest.revision}: {rows}.")
    if manifest.ledger_faults:
        typer.echo(f"Its books have {manifest.ledger_faults} faults: run `propos ledger check`.")
    if manifests.TEMPORAL not in manifest.files and is_in_environment("temporal_address"):
        typer.echo("Temporal is a server of the firm's own: back it up by the means of its database.")
    for path in removed:
        typer.echo(f"Removed {path.name}.")
    secrets = "secrets/ and adapters.env" if is_in_environment("payload_keys") else settings.data_dir / "secrets.json"
    needed = ", ".join(name for name in manifest.keys if name != manifests.DIGEST_KEY)
    typer.echo(f"The secrets are NOT in it. Keep {secrets} in another place. The backup needs the keys {needed}.")
