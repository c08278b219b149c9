"""The commands `propos backup` and `propos restore`. docs/runbooks/restore.md."""

from pathlib import Path
from typing import Annotated

import typer

from cli.options import AsJson, Data


def backup(
    out: Annotated[Path, typer.Option("--out", help="Folder of the backups.", file_okay=False)],
    keep: Annotated[
        int | None, typer.Option("--keep", min=1, help="Remove older backups; keep this many complete ones.")
    ] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Back up the record, the embedded Temporal and the files of the bank, also while the firm runs. The keys are not
    part of it. Exit code 1 if the books that were backed up do not balance."""
    from cli.backup.make import make

    if not make(out, keep=keep, data=data, as_json=as_json):
        raise typer.Exit(1)


def restore(
    source: Annotated[Path, typer.Option("--from", help="Folder of the backups.", file_okay=False)],
    at: Annotated[
        str | None,
        typer.Option("--at", help="The newest backup not after this time, such as 2026-03-06T12:00:00Z."),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Put it in the place of a database with rows, which is renamed.")
    ] = False,
    reason: Annotated[str, typer.Option("--reason", help="Reason, for the audit log.")] = "restored from a backup",
    only: Annotated[str | None, typer.Option("--only", help="Restore one of: record, temporal.")] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Restore a backup while nothing of the firm runs. Every workflow starts again from the record afterwards,
    and providers are asked for everything that is open there. The audit log says who restored what."""
    from cli.backup.restore import Asked, bring_back

    bring_back(source, Asked(at, reason, replace), only=only, data=data, as_json=as_json)
