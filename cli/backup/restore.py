"""`propos restore`: a backup is checked, restored beside what is there, checked again, and put into its place."""

import asyncio
import getpass
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import typer

from cli.backup import files, noting, record
from cli.backup import manifest as manifests
from cli.backup.manifest import Backup
from cli.backup.servers import embedded_postgres, embedded_temporal, is_own
from cli.stack.embedded import postgres
from cli.stack.lock import DataLock
from cli.stack.processes import end_leftovers
from domain.errors import BadInput, Conflict
from firm.restored import Restore
from settings import Settings, load

_PARTS: Final = ("record", "temporal")
_STATE: Final = ("temporal.db", "temporal.db-wal", "temporal.db-shm")


@dataclass
class Done:
    """What a restore did. `aside`: the name that the database of before has now. `kept`: folders with files in them,
    which were left as they are. `has_record`: the record was restored. `moved`: where Temporal's state of before is.
    `asked`: what providers are asked for, by kind of event; None: `propos migrate` asks them."""

    backup: Backup
    aside: str = ""
    has_record: bool = False
    brought: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    moved: str = ""
    ended: int = 0
    asked: dict[str, int] | None = None


@dataclass(frozen=True)
class Asked:
    """How the command was called."""

    at: str | None
    reason: str
    replace: bool


def bring_back(source: Path, asked: Asked, *, only: str | None, data: Path | None, as_json: bool) -> None:
    """Raises NotFound, BadInput or Conflict before anything is changed."""
    from store.migrate import known_revisions

    if only is not None and only not in _PARTS:
        raise BadInput(f"{only!r} cannot be restored alone.", field="--only", remedy="Write `record` or `temporal`.")
    parts = _PARTS if only is None else (only,)
    backup = manifests.choose(manifests.complete(source), None if asked.at is None else manifests.moment(asked.at))
    manifests.verify(backup, load(data_dir=data), known_revisions())
    folder = load(data_dir=data).data_dir.absolute()
    with DataLock(folder):
        end_leftovers(folder / "run")
        (folder / "run" / "addresses.json").unlink(missing_ok=True)  # of servers that were killed
        settings = load(data_dir=data)
        stamp = f"{datetime.now(UTC):%Y%m%d_%H%M%S}"
        _check_temporal(settings, backup, only)
        done = Done(backup)
        if "record" in parts:
            with _server(settings) as owner_url:
                _restore_all(settings, done, record.Databases(owner_url), stamp, asked, parts)
        else:
            _restore_temporal(settings, done, stamp, put_back=True)
    _print(done, settings, as_json)


@contextmanager
def _server(settings: Settings) -> Iterator[str]:
    """Yields the owner's URL of the record on its server."""
    if is_own(settings):
        yield settings.owner_database_url or settings.required("database_url")
        return
    with embedded_postgres(settings) as url:
        yield url


def _check_temporal(settings: Settings, backup: Backup, only: str | None) -> None:
    """Raises what stands in the way of Temporal's part, before anything is changed."""
    own = settings.temporal_address is not None
    if only == "temporal" and (own or manifests.TEMPORAL not in backup.manifest.files):
        raise BadInput(
            "The backup has no state for this Temporal.",
            field="--only",
            remedy="Restore a Temporal of your own by its own means, then run `propos workflows restart`.",
        )
    if own:
        from cli.compose import temporal

        asyncio.run(temporal(settings))


def _restore_all(
    settings: Settings, done: Done, server: record.Databases, stamp: str, asked: Asked, parts: tuple[str, ...]
) -> None:
    """The database gets its place last: until then, all that happened is what a loss of Temporal would do as well."""
    there = server.exists(server.name)
    if there:
        server.check_unused(server.name)
        if server.has_tables(server.name) and not asked.replace:
            raise Conflict(
                f"The database {server.name} has tables. Nothing was changed.",
                remedy="Add --replace: it is then kept under another name, not removed.",
            )
    new = f"{server.name}_restoring_{stamp}"
    aside = f"{server.name}_before_{stamp}" if there else None
    try:
        server.create(new)
        record.load(server.url(new), done.backup.folder / manifests.RECORD)
        asyncio.run(_check_restored(server.url(new), done.backup))
        _restore_temporal(settings, done, stamp, put_back="temporal" in parts)
        _restore_files(settings, done)
        done.asked = noting.note(settings, server, new, _as_note(done, stamp, asked, aside or ""))
        server.put_in_place(new, aside)
    except BaseException:
        server.drop(new)
        raise
    done.aside, done.has_record = aside or "", True


def _as_note(done: Done, stamp: str, asked: Asked, aside: str) -> Restore:
    return Restore(
        stamp=stamp,
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        backup=done.backup.folder.name,
        of=done.backup.manifest.time,
        asked_for=asked.at or "",
        account=getpass.getuser(),
        reason=asked.reason,
        aside=aside,
        ended=done.ended,
    )


async def _check_restored(url: str, backup: Backup) -> None:
    """Raises Conflict when what was restored is not what was backed up."""
    async with record.one_moment(url) as session:
        revision, rows, faults = await record.look(session)
    wanted = backup.manifest
    if (revision, rows) != (wanted.revision, wanted.rows) or (faults or 0) > (wanted.ledger_faults or 0):
        raise Conflict(
            f"What was restored is not what was backed up: {revision}, {rows}, {faults} faults of the books."
            " Nothing was changed.",
            remedy="Choose an earlier backup with --at.",
        )


def _restore_files(settings: Settings, done: Done) -> None:
    for name, folder in files.folders(settings).items():
        source = done.backup.folder / f"{name}.tar"
        if source.exists():
            (done.brought if files.unpack(source, folder) else done.kept).append(str(folder))


def _restore_temporal(settings: Settings, done: Done, stamp: str, *, put_back: bool) -> None:
    """Ends every workflow, so that the relay starts each again from the record: Temporal may be ahead of the record or
    behind it. `put_back`: the state of the embedded Temporal is that of the backup, for its histories."""
    if settings.temporal_address is not None:
        done.ended = _end_all(settings)
        return
    data, backed_up = settings.data_dir.absolute(), done.backup.folder / manifests.TEMPORAL
    if put_back and backed_up.exists():
        for path in (data / name for name in _STATE if (data / name).exists()):
            aside = data / f"before-restore-{stamp}"
            aside.mkdir(mode=0o700, exist_ok=True)
            path.rename(aside / path.name)
            done.moved = str(aside)
        unfinished = data / "temporal.db.new"
        shutil.copyfile(backed_up, unfinished)
        unfinished.chmod(0o600)
        files.sync(unfinished)
        unfinished.rename(data / "temporal.db")
    if (data / "temporal.db").exists():
        with embedded_temporal(settings) as running:
            done.ended = _end_all(running)


def _end_all(settings: Settings) -> int:
    from cli.workflows import end_running

    return asyncio.run(end_running(settings, "restored from a backup"))


def _print(done: Done, settings: Settings, as_json: bool) -> None:
    manifest = done.backup.manifest
    if as_json:
        plain: dict[str, object] = {
            "aside": done.aside,
            "brought": done.brought,
            "kept": done.kept,
            "moved": done.moved,
        }
        plain |= {"ended": done.ended, "asked": done.asked}
        typer.echo(json.dumps({"backup": str(done.backup.folder), "time": manifest.time, **plain}))
        return
    typer.echo(f"Restored the backup of {manifest.time}, checked: {done.backup.folder}")
    typer.echo(f"Ended {done.ended} workflows; the relay starts each open one again from the record.")
    if done.asked:
        typer.echo(f"The relay asks the providers again for what is open there: {sum(done.asked.values())} objects.")
    if done.moved:
        typer.echo(f"Temporal's state of before is in {done.moved}.")
    for folder in done.brought:
        typer.echo(f"Brought back {folder}.")
    for folder in done.kept:
        typer.echo(f"Left {folder} as it is: it is newer, and knows what was sent since.")
    if done.aside:
        typer.echo(f"The database of before is kept as {done.aside}. When it is no longer needed, as the owner:")
        typer.echo(f"  {_psql(settings)} --command 'DROP DATABASE \"{done.aside}\"'")
    typer.echo("Next:")
    first = "`propos migrate`, then start worker, monitor, relay, API" if is_own(settings) else "`propos up`"
    steps = [f"{first}.", "`propos ledger check`.", "`propos doctor`.", *([_LAST] if done.has_record else [])]
    for number, step in enumerate(steps, 1):
        typer.echo(f"  {number}. {step}")


_LAST: Final = "Decide the open breaks of the next reconciliation: movements since the backup have no row any more."


def _psql(settings: Settings) -> str:
    if is_own(settings):
        return "psql --dbname postgres"
    socket = postgres.owner_url(settings.data_dir.absolute() / "postgres").partition("host=")[2]
    return f"{postgres.binaries() / 'psql'} --host {socket} --username postgres --dbname postgres"
